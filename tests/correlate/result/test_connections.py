"""What columns say of connections is what their plain twin says of each of them."""

from pathlib import Path

import pytest

from ttrace.correlate import Correlation, correlate_captures
from ttrace.tests.cases.case import all_cases

from . import plain_connections as plain

RECORDED = sorted((Path(__file__).parents[3] / "pcaps").glob("docker-*"))


def assert_as_plain(result: Correlation) -> None:
    for index, found in enumerate(result.connection_list()):
        paths = plain.paths_of(result, index)
        assert found.paths == tuple(result.ids.paths[paths].tolist())
        assert (found.client, found.server) == plain.ends(result, paths)
        assert found.outcome == plain.outcome(result, paths)
        assert found.state == plain.state(result, paths)
        assert found.ending == plain.ending(result, paths)
        views = [(one.node, one.interface, one.source, one.destination) for one in found.views]
        assert views == plain.views(result, index)
        assert found == result.connections_at([index])[0]


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_cases(case):
    with case.sources() as sources:
        assert_as_plain(correlate_captures(sources))


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_recordings(folder):
    assert_as_plain(correlate_captures(sorted(map(str, folder.glob("*.pcap*")))))


def test_of_no_connection_nothing_is_said():
    with all_cases()[0].sources() as sources:
        assert correlate_captures(sources).connections_at([]) == []
