"""Paths and connections are written from columns: the text is that of their values, one by one, whatever is in them."""

from pathlib import Path

import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.nodes.sources import Source
from ttrace.tests.cases.case import all_cases
from ttrace.tests.correlate.findings.test_by_kernel import datagram, dropped
from ttrace.tests.correlate.scene import IN, correlate, docker_host
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


def test_drops_of_the_kernel_for_several_reasons(tmp_path, monkeypatch):
    """Some alike in all that is told, others not."""
    node = docker_host()
    reasons = [("NO_SOCKET", "one"), ("NO_SOCKET", "other"), ("NO_SOCKET", "one"), ("", "one"), ("XDP", "one")]
    for number, (reason, function) in enumerate(reasons, 1):
        node.see("eth0", IN, number * 1000, datagram(number=number))
        dropped(node, number * 1000 + 30, datagram(number=number), reason, function)
    result = correlate(tmp_path, node)
    said = [result.path(number).hops[-1].says for number in range(1, 6)]
    assert (len(set(said)), said[0]) == (4, said[2])
    assert_written_as_plain(result, monkeypatch)
