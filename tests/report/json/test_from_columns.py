"""Paths and connections are written from columns: the text is that of their values, one by one, whatever is in them."""

from pathlib import Path

import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.nodes.sources import Source
from ttrace.tests.cases.case import all_cases
from ttrace.tests.random_scenes.scene import make_scene

from .plain import assert_written_as_plain

RECORDED = sorted((Path(__file__).parents[3] / "pcaps").glob("docker-*"))


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_cases(case, monkeypatch):
    with case.sources() as sources:
        assert_written_as_plain(correlate_captures(sources), monkeypatch)


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_recordings(folder, monkeypatch):
    assert_written_as_plain(correlate_captures(sorted(map(str, folder.glob("*.pcap*")))), monkeypatch)


@pytest.mark.parametrize("seed", range(1, 13))
def test_random_scenes(seed, tmp_path, monkeypatch):
    """Of several nodes, with tunnels, IPv6, segments, rules and errors."""
    written = make_scene(seed, tmp_path).written.sources
    sources = [Source(node=node, interface=name, path=str(tmp_path / file)) for node, name, file in written]
    assert_written_as_plain(correlate_captures(sources), monkeypatch)
