"""Clocks that run apart for days: every packet arrives after it was sent, as long after as it took."""

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP

from ttrace.correlate import Correlation
from ttrace.pcapng.blocks import Direction

from ..same_in_parts import assert_same_in_parts
from ..scene import Node, correlate, paths

HERE, THERE = "192.0.2.10", "203.0.113.5"
DAY_US = 86_400_000_000
DELAY_US = 60


def plain(name: str, clock: Callable[[int], int] = lambda time_ns: time_ns) -> Node:
    node = Node(name, snapshots=False, clock=clock)
    node.interface("eth0", 2)
    return node


def runs(ppm: float, ahead_ns: int) -> Callable[[int], int]:
    """A clock that is ahead when the scene begins, and gains so much."""
    return lambda time_ns: time_ns + ahead_ns + round((time_ns - 1_700_000_000 * 10**9) * ppm / 1e6)


def exchange(nodes: list[Node], number: int, time_us: float) -> None:
    """A request that passes the nodes in this order, and its answer, 10 ms later."""
    for back in (False, True):
        source, destination = (THERE, HERE) if back else (HERE, THERE)
        for hop, node in enumerate(reversed(nodes) if back else nodes):
            ports = UDP(sport=5000, dport=4000) if back else UDP(sport=4000, dport=5000)
            packet = IP(src=source, dst=destination, id=1 + 2 * number + back, ttl=64 - hop) / ports / (b"%8d" % number)
            node.see("eth0", Direction.UNKNOWN, time_us + 10_000 * back + DELAY_US * hop, packet)


def assert_all_in_order(result: Correlation, names: list[str], packets: int) -> None:
    found = paths(result)
    assert len(found) == packets
    for path in found:
        back = path.hops[0].source.startswith(THERE)
        assert [hop.node for hop in path.hops] == (names[::-1] if back else names)
        assert all(hop.order_known for hop in path.hops)


@pytest.mark.parametrize(("ppm", "days", "ahead_ns"), [(100, 1, 10**10), (-50, 3, -(10**9)), (-120, 7, -(10**18))])
def test_two_clocks_that_run_apart_for_days(ppm, days, ahead_ns, tmp_path):
    nodes = [plain("a"), plain("b", runs(ppm, ahead_ns))]
    for number in range(41):
        exchange(nodes, number, number * days * DAY_US / 40)
    files = [node.write(tmp_path) for node in nodes]
    result = correlate(tmp_path, *nodes)
    assert_all_in_order(result, ["a", "b"], 82)
    clock = result.clocks[1]
    assert abs(clock.drift_ppm - ppm) < 0.01
    assert abs(clock.offset_ns - ahead_ns) <= clock.error_ns <= 2 * DELAY_US * 1000
    assert {round(path.duration_ns / 10_000) for path in paths(result)} == {DELAY_US // 10}
    assert_same_in_parts(files, result)


def test_three_clocks_the_third_known_by_the_second_alone(tmp_path):
    """Between the first and the second goes one flow, between the second and the third another."""
    nodes = [plain("a"), plain("b", runs(80, 5 * 10**9)), plain("c", runs(-90, -(10**12)))]
    for number in range(30):
        exchange(nodes[:2], 2 * number, number * DAY_US / 20)
        exchange(nodes[1:], 2 * number + 1, number * DAY_US / 20 + 30_000)
    result = correlate(tmp_path, *nodes)
    for path in paths(result):
        assert abs(path.duration_ns - DELAY_US * 1000) < 5_000
    _, near, far = result.clocks
    assert abs(near.drift_ppm - 80) < 0.01
    assert abs(far.drift_ppm + 90) < 0.01
    assert abs(far.offset_ns + 10**12) <= far.error_ns


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("ppm", [100, -50])
def test_packets_of_one_way_alone_show_a_drift_of_days(back, ppm, tmp_path):
    """With one offset for all of them, those of the other end were seconds underway, and not taken for one packet."""
    nodes = [plain("a"), plain("b", runs(ppm, 10**10))]
    for number in range(60):
        for hop, node in enumerate(reversed(nodes) if back else nodes):
            packet = IP(src=HERE, dst=THERE, id=1 + number, ttl=64 - hop) / UDP(sport=1, dport=2) / (b"%8d" % number)
            node.see("eth0", Direction.UNKNOWN, number * DAY_US / 20 + DELAY_US * hop + number % 7, packet)
    files = [node.write(tmp_path) for node in nodes]
    result = correlate(tmp_path, *nodes)
    assert [[hop.node for hop in path.hops] for path in paths(result)] == [["b", "a"] if back else ["a", "b"]] * 60
    assert abs(result.clocks[1].drift_ppm - ppm) < 0.01
    assert result.clocks[1].error_ns is None
    assert max(path.duration_ns for path in paths(result)) < 1_000_000
    assert_same_in_parts(files, result)
