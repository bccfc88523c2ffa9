"""Paths and connections are written from columns: the text is that of their values, one by one, whatever is in them."""

from pathlib import Path

import pytest

from ttrace.correlate import correlate_captures
from ttrace.tests.cases.case import all_cases

from .plain import assert_written_as_plain

RECORDED = sorted((Path(__file__).parents[3] / "pcaps").glob("docker-*"))


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_cases(case, monkeypatch):
    with case.sources() as sources:
        assert_written_as_plain(correlate_captures(sources), monkeypatch)


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_recordings(folder, monkeypatch):
    assert_written_as_plain(correlate_captures(sorted(map(str, folder.glob("*.pcap*")))), monkeypatch)
