"""Flows of one packet each, translated between two files: joined however far apart the clocks of the files are, once
others have told how far; and only where the times fit by then."""

from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from ttrace.correlate import Correlation

from ..same_in_parts import assert_same_in_parts
from ..scene import START_NS, Direction, Node, correlate, paths

pytestmark = pytest.mark.slow

CLIENT, NAT, SERVER = "192.0.2.10", "198.51.100.7", "203.0.113.5"


def plain(name: str, clock: Callable[[int], int] = lambda time_ns: time_ns) -> Node:
    node = Node(name, snapshots=False, clock=clock)
    node.interface("eth0", 2)
    return node


class Wire:
    """Between the points the client's address is translated; 60 us from each to the next, one hop of TTL."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes = nodes
        self.count = 0

    def send(self, time_us: float, port: int, what: TCP | UDP, *, back: bool = False, only: str | None = None) -> None:
        """A packet of the client's port; `only`: seen by this node alone."""
        self.count += 1
        for hop, node in enumerate(self.nodes[::-1] if back else self.nodes):
            inside = node is self.nodes[0]
            client = (CLIENT, port) if inside else (NAT, port - 20_000)
            layer = what.copy()
            if back:
                layer.dport, packet = client[1], IP(src=SERVER, dst=client[0])
            else:
                layer.sport, packet = client[1], IP(src=client[0], dst=SERVER)
            packet.id, packet.ttl = self.count, 60 - hop
            if only in (None, node.name):
                node.see("eth0", Direction.UNKNOWN, time_us + 60 * hop, packet / layer)

    def talk(self, time_us: float, port: int, turns: int = 5) -> None:
        """An ordinary connection, whose packets tell of the clocks."""
        for turn in range(turns):
            data = b"%04d" % turn
            self.send(time_us + turn * 20_000, port, TCP(dport=80, seq=turn * 4, ack=turn * 4, flags="PA") / data)
            answer = TCP(sport=80, seq=turn * 4, ack=turn * 4 + 4, flags="PA") / data
            self.send(time_us + turn * 20_000 + 9_000, port, answer, back=True)


def joined(result: Correlation) -> list[tuple[str, ...]]:
    return [tuple(hop.node for hop in path.hops) for path in paths(result)]


def correlate_both_ways(folder: Path, *nodes: Node) -> Correlation:
    files = [node.write(folder) for node in nodes]
    result = correlate(folder, *nodes)
    assert_same_in_parts(files, result)
    return result


def steps(time_ns: int) -> int:
    """An hour behind, and set forward by two more minutes when three seconds have passed."""
    return time_ns - 3600 * 10**9 + 120 * 10**9 * (time_ns >= START_NS + 3 * 10**9)


@pytest.mark.parametrize(
    "clock",
    [
        lambda t: t + 61 * 10**9, lambda t: t - 5 * 3600 * 10**9, lambda t: t + 70 * 10**9 - (t - START_NS) // 10_000,
        lambda t: t - 400 * 86_400 * 10**9, lambda t: t + 1 * 10**9, steps,
    ],
    ids=["61-s", "5-h-behind", "70-s-and-drifting", "a-year-behind", "1-s", "an-hour-and-stepped"],
)  # fmt: skip
def test_single_packets_of_both_directions_are_joined(clock, tmp_path):
    nodes = [plain("a"), plain("b", clock)]
    wire = Wire(*nodes)
    for number in range(6):
        wire.talk(number * 1_000_000, 40_000 + number)
    for number in range(10):
        at = number * 500_000 + 250_000
        wire.send(at, 41_000 + number, TCP(dport=81, seq=7777 * number, flags="S"))
        wire.send(at + 50_000, 42_000 + number, UDP(dport=514) / (b"syslog %d" % number))
        wire.send(at + 100_000, 43_000 + number, UDP(sport=53) / (b"answer %d" % number), back=True)
    result = correlate_both_ways(tmp_path, *nodes)
    found = paths(result)
    assert len(found) == 60 + 30
    assert result.connections.count == 6 + 30
    for path in found:
        assert [hop.node for hop in path.hops] == (["b", "a"] if path.hops[0].source.startswith(SERVER) else ["a", "b"])
        assert len(path.rewrites) == 1


def test_three_files_each_with_its_own_time(tmp_path):
    nodes = [plain("a"), plain("b", lambda t: t + 3600 * 10**9), plain("c", lambda t: t - 90 * 10**9)]
    wire = Wire(*nodes)
    for number in range(3):
        wire.talk(number * 1_000_000, 40_000 + number)
    for number in range(5):
        wire.send(number * 500_000 + 250_000, 41_000 + number, TCP(dport=81, seq=7777 * number, flags="S"))
    found = joined(correlate_both_ways(tmp_path, *nodes))
    assert found.count(("a", "b", "c")) == 15 + 5
    assert found.count(("c", "b", "a")) == 15


def test_packets_that_are_alike_at_other_times_are_not_one(tmp_path):
    """By clocks taken as equal they were 7 s apart, and could have been one; they were 61 s apart."""
    nodes = [plain("a"), plain("b", lambda t: t - 54 * 10**9)]
    wire = Wire(*nodes)
    wire.talk(0, 40_000)
    wire.talk(70_000_000, 40_001)
    wire.send(5_000_000, 41_000, UDP(dport=514) / b"syslog", only="a")
    wire.count -= 1
    wire.send(66_000_000, 41_001, UDP(dport=514) / b"syslog", only="b")
    result = correlate_both_ways(tmp_path, *nodes)
    assert [len(path.hops) for path in paths(result) if path.protocol == "udp"] == [1, 1]
    assert len(paths(result)) == 22


def test_an_echo_is_joined_too(tmp_path):
    nodes = [plain("a"), plain("b", lambda t: t + 3600 * 10**9)]
    wire = Wire(*nodes)
    wire.talk(0, 40_000)
    for node, (source, number) in zip(nodes, ((CLIENT, 1), (NAT, 2)), strict=True):
        ping = IP(src=source, dst=SERVER, id=500, ttl=60 - number) / ICMP(id=number, seq=3) / b"abcdefgh"
        node.see("eth0", Direction.UNKNOWN, 50_000 + 60 * number, ping)
    found = paths(correlate_both_ways(tmp_path, *nodes))
    assert [[hop.node for hop in path.hops] for path in found if path.protocol == "icmp"] == [["a", "b"]]
