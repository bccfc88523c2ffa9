"""Could the capture have seen it? One answer for losses on the way, losses in a flow, and points that are explained."""

import numpy as np
import pytest
from scapy.layers.inet import IP, UDP

from ttrace.correlate import Correlation, correlate_captures
from ttrace.correlate.explain.explain import explain
from ttrace.correlate.explain.frame_reference import find_frame
from ttrace.correlate.outcomes.coverage import Watch, missed

from ..scene import DOCKER0, ETH0, IN, Direction, Node, paths
from .test_by_flow import Talk, many, outcomes, points

MS = 1_000_000


@pytest.mark.parametrize(
    ("first_ms", "last_ms", "how"),
    [
        (5, 9, ""),
        (0, 10, ""),
        (-1, 1, "not_running"),
        (9, 11, "not_running"),
        (12, 14, "not_running"),  # between two files
        (9, 21, "not_running"),  # no file covers it all
        (20, 29, ""),
        (30, 39, "lost"),
        (39, 41, "lost"),
        (50, 51, "lost"),  # told late: it may have passed before
        (251, 252, ""),
    ],
)
def test_a_place_is_watched_while_a_file_of_it_is_open_and_nothing_is_lost(first_ms, last_ms, how):
    watch = Watch(spans=[(0, 10 * MS), (20 * MS, 900 * MS)], gaps=[(35 * MS, 50 * MS)], filtered=False)
    by = missed([watch], np.array([first_ms * MS]), np.array([last_ms * MS]))
    assert [name for name, told in by._asdict().items() if told.any()] == ([how] if how else [])


def test_where_it_is_not_known_which_place_it_passed_each_must_have_been_watched():
    here = Watch(spans=[(0, 100)], gaps=[], filtered=False)
    times = np.array([10, 60])
    assert missed([here, here._replace(spans=[(50, 100)])], times, times).not_running.tolist() == [True, False]
    assert missed([here, here._replace(filtered=True)], times, times).filtered.all()
    assert not missed([here], times, times).filtered.any()


def stopped_early(folder, *, client: Node, server: Node, at_us: float) -> Correlation:
    """A SYN that comes only to the client's point."""
    many([client, server], [server, client])
    talk = Talk(5000, 40_000, at_us)
    talk.show(talk.packet("S", 100, 0, 0, back=False), client)
    return correlate_captures([client.write(folder), server.write(folder)])


def test_what_may_have_come_after_the_end_is_not_lost_in_a_flow(tmp_path):
    """As on the way through a node: the last 200 ms of a capture prove no loss."""
    client, server = points("client", "server")
    result = stopped_early(tmp_path, client=client, server=server, at_us=100_000)
    assert outcomes(result, 5000) == {("unknown", "capture-ended")}


@pytest.mark.parametrize("lost_at_us", [50_000, 250_000], ids=["while it passed", "soon after"])
def test_what_may_have_come_during_a_loss_is_not_lost_in_a_flow(lost_at_us, tmp_path):
    client, server = points("client", "server")
    server.see("eth0", Direction.UNKNOWN, 5_000_000, IP(src="10.0.0.9", dst="10.0.0.8", id=1) / UDP(sport=1, dport=2))
    server.lost("eth0", lost_at_us - 50_000, 0)
    server.lost("eth0", lost_at_us + 50_000, 4)
    result = stopped_early(tmp_path, client=client, server=server, at_us=100_000)
    assert outcomes(result, 5000) == {("unknown", "capture-lost")}


def host_with(*captured: str) -> Node:
    """A container host of which one file holds these interfaces only."""
    node = Node("host")
    node.interface("eth0", ETH0, addresses=["192.0.2.1"], captured="eth0" in captured)
    node.interface("docker0", DOCKER0, kind="bridge", addresses=["172.17.0.1"], captured="docker0" in captured)
    return node


@pytest.mark.parametrize(
    ("begins_us", "outcome"),
    [(3_000_000, ("unknown", "capture-ended")), (500_000, ("lost", "inside"))],
    ids=["too late", "in time"],
)
def test_a_way_out_proves_a_loss_only_while_it_is_captured_itself(begins_us, outcome, tmp_path):
    """Two files of one node: it was captured all the time, but not everywhere."""
    inner, outer = host_with("docker0"), host_with("eth0")
    other = IP(src="192.0.2.9", dst="192.0.2.8", id=9) / UDP(sport=7, dport=8)
    for time in (0, 5_000_000):
        inner.see("docker0", IN, time, other)
    inner.see("docker0", IN, 1_000_000, IP(src="172.17.0.2", dst="203.0.113.1", id=1) / UDP(sport=5, dport=6))
    outer.begin_us = begins_us
    for time in (begins_us, 5_000_000):
        outer.see("eth0", IN, time, other)
    files = []
    for name, node in (("inner", inner), ("outer", outer)):
        (tmp_path / name).mkdir()
        files.append(node.write(tmp_path / name))
    path = next(path for path in paths(correlate_captures(files)) if path.hops[0].source == "172.17.0.2:5")
    assert (path.outcome, path.reason.kind) == outcome


@pytest.mark.parametrize(("at_us", "why"), [(1_200_000, "after"), (1_800_000, "before"), (3_000_000, "nothing")])
def test_a_pause_between_two_files_of_a_point_is_told(at_us, why, tmp_path):
    """tcpdump was started again: nothing says that a packet of the pause was not there."""
    client, first, again = points("client", "first", "again")
    other = IP(src="10.0.0.9", dst="10.0.0.8", id=1) / UDP(sport=1, dport=2)
    for node, times in ((first, (0, 1_000_000)), (again, (2_000_000, 5_000_000))):
        for time in times:
            node.see("eth0", Direction.UNKNOWN, time, other)
    client.see("eth0", Direction.UNKNOWN, at_us, IP(src="10.0.0.1", dst="10.9.0.1", id=7) / UDP(sport=5, dport=6))
    files = [f"client={client.write(tmp_path)}", *(f"server/eth0={node.write(tmp_path)}" for node in (first, again))]
    result = correlate_captures(files)
    (point,) = explain(result, find_frame(result, "client.pcapng:1")).absent
    assert (point.node, point.why) == ("server", why)
    assert point.off_ns == (200 * MS if why != "nothing" else None)
