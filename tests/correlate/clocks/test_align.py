"""The clocks of nodes from synthetic traffic whose true offset is known."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP

from ttrace.correlate import correlate_captures, in_memory
from ttrace.correlate.clocks import align
from ttrace.correlate.in_parts.rounds import correlate_in_parts
from ttrace.correlate.pipeline import delays_by_connections
from ttrace.pcapng.blocks import Direction

from ..scene import IN, OUT, Node, correlate, paths

ADDRESSES = {"a": "192.0.2.1", "b": "192.0.2.2", "c": "192.0.2.3"}


def machine(name: str, boot_id: str | None = None) -> Node:
    node = Node(name, boot_id=boot_id)
    node.interface("eth0", 2, addresses=[ADDRESSES[name]])
    return node


def about(error_ns: int, bound_ns: int, length_ns: int) -> bool:
    """The error is the bound of a constant offset, and what a drift of two quartzes (150 ppm) can add in that time."""
    return bound_ns <= error_ns <= bound_ns + length_ns * 150e-6 * 2 + 2


class Wire:
    """Sends packets between nodes whose clocks are ahead of the true time by `offsets` (microseconds)."""

    def __init__(self, offsets: dict[str, float]) -> None:
        self.offsets = offsets
        self.count = 0

    def send(self, sender: Node, receiver: Node, time_us: float, delay_us: float) -> None:
        self.count += 1
        packet = IP(src=ADDRESSES[sender.name], dst=ADDRESSES[receiver.name], id=self.count) / UDP(sport=1, dport=2)
        sender.see("eth0", OUT, time_us + self.offsets[sender.name], packet)
        receiver.see("eth0", IN, time_us + delay_us + self.offsets[receiver.name], packet)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    offset=st.integers(-(10**9), 10**9),
    forth=st.lists(st.integers(1, 5000), min_size=1, max_size=6),
    back=st.lists(st.integers(1, 5000), min_size=1, max_size=6),
)
def test_the_offset_is_within_its_error(tmp_path, offset, forth, back):
    a, b = machine("a"), machine("b")
    wire = Wire({"a": 2_000_000_000, "b": 2_000_000_000 + offset})
    for number, delay in enumerate(forth):
        wire.send(a, b, number * 10_000, delay)
    for number, delay in enumerate(back):
        wire.send(b, a, number * 10_000 + 7, delay)
    reference, clock = correlate(tmp_path, a, b).clocks
    assert (reference.offset_ns, reference.error_ns, reference.basis) == (0, 0, "reference")
    assert clock.packets == len(forth) + len(back)
    assert abs(clock.offset_ns - offset * 1000) <= clock.error_ns
    # The fastest packets of both ways bound it: no wider than half of their round trip.
    assert about(clock.error_ns, (min(forth) + min(back)) * 500, 60_000_000)


def test_traffic_in_one_direction_gives_an_offset_without_an_error(tmp_path):
    for sends in ("a", "b"):
        nodes = {"a": machine("a"), "b": machine("b")}
        wire = Wire({"a": 0, "b": 500_000})
        receiver = "b" if sends == "a" else "a"
        wire.send(nodes[sends], nodes[receiver], 0, 30)
        clock = correlate(tmp_path, nodes["a"], nodes["b"]).clocks[1]
        assert clock.error_ns is None
        assert 29_990 <= abs(clock.offset_ns - 500_000_000) <= 30_000


def test_with_traffic_in_one_direction_nothing_arrives_before_it_was_sent(tmp_path):
    for sends in ("a", "b"):
        nodes = {"a": machine("a"), "b": machine("b")}
        receiver = "b" if sends == "a" else "a"
        Wire({"a": 0, "b": 500_000}).send(nodes[sends], nodes[receiver], 0, 30)
        assert [hop.node for hop in correlate(tmp_path, *nodes.values()).path(1).hops] == [sends, receiver]


@pytest.mark.parametrize(("packets", "apart_us", "known"), [(3, 5e9, True), (2, 5e9, False), (3, 1e6, False)])
def test_packets_of_which_nobody_knows_the_way_tell_of_clocks_that_are_far_apart(packets, apart_us, known, tmp_path):
    """As tcpdump records one way of a flow: the same TTL and no direction. Near clocks are taken as equal."""
    nodes = [Node(name, snapshots=False) for name in "ab"]
    for node, ahead in zip(nodes, (0, apart_us), strict=True):
        node.interface("eth0", 2)
        for number in range(packets):
            packet = IP(src=ADDRESSES["a"], dst=ADDRESSES["b"], id=number + 1) / UDP(sport=1, dport=2)
            node.see("eth0", Direction.UNKNOWN, number * 1000 + ahead, packet)
    result = correlate(tmp_path, *nodes)
    clock = result.clocks[1]
    assert clock.error_ns is None
    assert abs(clock.offset_ns - (apart_us * 1000 if known else 0)) <= 1
    assert result.packets.count == (2 * packets if not known and apart_us > 2e6 else packets)


def test_nodes_without_a_packet_between_them_are_not_comparable(tmp_path):
    a, b = machine("a"), machine("b")
    a.see("eth0", OUT, 0, IP(src="192.0.2.1", dst="203.0.113.1", id=1) / UDP())
    b.see("eth0", OUT, 0, IP(src="192.0.2.2", dst="203.0.113.1", id=2) / UDP())
    clock = correlate(tmp_path, a, b).clocks[1]
    assert (clock.offset_ns, clock.error_ns, clock.basis) == (0, None, "unknown")


def test_nodes_of_one_running_kernel_have_one_clock(tmp_path):
    a, b = machine("a", "same"), machine("b", "same")
    wire = Wire({"a": 0, "b": 0})
    wire.send(a, b, 0, 900)
    clock = correlate(tmp_path, a, b).clocks[1]
    assert (clock.offset_ns, clock.error_ns, clock.basis) == (0, 0, "same machine")


def test_a_node_is_reached_over_another_and_the_errors_add_up(tmp_path):
    a, b, c = machine("a"), machine("b"), machine("c")
    wire = Wire({"a": 0, "b": 1000, "c": -500_000})
    for first, second, delay in ((a, b, 10), (b, a, 20), (b, c, 100), (c, b, 200)):
        wire.send(first, second, wire.count * 1000, delay)
    _, near, far = correlate(tmp_path, a, b, c).clocks
    assert about(near.error_ns, 15_000, 1_000_000)
    assert about(far.error_ns, 15_000 + 150_000, 2_000_000)
    assert abs(far.offset_ns + 500_000_000) <= far.error_ns


def test_of_two_ways_to_a_node_the_surer_one_counts(tmp_path):
    a, b, c = machine("a"), machine("b"), machine("c")
    wire = Wire({"a": 0, "b": 1000, "c": -500_000})
    for first, second, delay in ((a, b, 10), (b, a, 20), (b, c, 10), (c, b, 20), (a, c, 5000), (c, a, 5000)):
        wire.send(first, second, wire.count * 1000, delay)
    far = correlate(tmp_path, a, b, c).clocks[2]
    assert about(far.error_ns, 30_000, 10_000_000)


def test_packets_with_a_twin_bound_no_more_than_any_of_them_would(tmp_path):
    a, b = machine("a"), machine("b")
    wire = Wire({"a": 0, "b": 0})
    wire.send(a, b, 0, 50)
    wire.send(b, a, 10, 50)
    twin = IP(src="192.0.2.1", dst="192.0.2.2", id=0) / UDP(sport=9, dport=9)
    for time in (100, 200):
        a.see("eth0", OUT, time, twin)
    b.see("eth0", IN, 150, twin)  # the second one, if the first was lost, arrived before it was sent
    clock = correlate(tmp_path, a, b).clocks[1]
    assert about(clock.offset_ns, 0, 1_000)
    assert about(clock.error_ns, 50_000, 1_000_000)


def test_a_twin_that_comes_much_later_bounds_nothing(tmp_path):
    a, b = machine("a"), machine("b")
    wire = Wire({"a": 0, "b": 0})
    wire.send(a, b, 0, 50)
    wire.send(b, a, 10, 50)
    twin = IP(src="192.0.2.1", dst="192.0.2.2", id=0) / UDP(sport=9, dport=9)
    for time in (100, 20_200):
        a.see("eth0", OUT, time, twin)
    b.see("eth0", IN, 20_250, twin)
    assert correlate(tmp_path, a, b).clocks[1].packets == 2


def test_bounds_that_contradict_each_other_give_no_error(tmp_path):
    a, b = machine("a"), machine("b")
    wire = Wire({"a": 0, "b": 0})
    for number in range(5):
        wire.send(a, b, number * 1000, 50)
        wire.send(b, a, number * 1000 + 500, 50)
    wire.offsets["b"] = -10_000  # the clock is set back
    wire.send(a, b, 20_000, 50)
    clock = correlate(tmp_path, a, b).clocks[1]
    assert clock.error_ns is None
    assert abs(clock.offset_ns) <= 50_000


def test_routed_container_traffic_bounds_the_clocks_too(tmp_path):
    # The same packet, untranslated, at the container's and at the node's eth0: once where it leaves the node.
    a, b = machine("a"), machine("b")
    for node, address in ((a, "10.1.0.2"), (b, "10.2.0.2")):
        node.interface("eth0", 2, netns="pod", kind="veth", addresses=[address])
    for number, (first, second, src, dst) in enumerate(
        ((a, b, "10.1.0.2", "10.2.0.2"), (b, a, "10.2.0.2", "10.1.0.2"))
    ):
        packet = IP(src=src, dst=dst, id=number) / UDP(sport=1, dport=2)
        first.see("eth0", OUT, number * 1000, packet, netns="pod")
        first.see("eth0", OUT, number * 1000 + 5, packet)
        second.see("eth0", IN, number * 1000 + 25, packet)
        second.see("eth0", IN, number * 1000 + 30, packet, netns="pod")
    clock = correlate(tmp_path, a, b).clocks[1]
    assert about(clock.error_ns, 20_000, 2_000_000)


def test_every_time_of_a_path_is_on_the_reference_clock(tmp_path):
    a, b = machine("a"), machine("b")
    wire = Wire({"a": 0, "b": 3_600_000_000})
    wire.send(a, b, 0, 40)
    wire.send(b, a, 1000, 40)
    result = correlate(tmp_path, a, b)
    assert np.diff([hop.time_ns for hop in result.path(1).hops]).tolist() == [40_000]
    assert [hop.node for hop in result.path(2).hops] == ["b", "a"]


@pytest.mark.parametrize("step_us", [400_000, -400_000], ids=["forward", "back"])
def test_a_clock_that_is_set_shows_in_every_frame(step_us, tmp_path):
    """Also in those between the last packet before and the first one behind, and where its times come twice."""
    here, there = [], []
    for number in range(60):
        start, off = 20_000 * number, step_us if number >= 30 else 0
        go = IP(src="10.0.0.1", dst="10.0.0.2", id=1 + number) / UDP(sport=1, dport=2) / bytes(number)
        back = IP(src="10.0.0.2", dst="10.0.0.1", id=500 + number) / UDP(sport=2, dport=1) / bytes(number)
        there += [(start + 50 + off, hop(go)), (start + 60 + off, hop(go))]
        there += [(start + 200 + off, back), (start + 210 + off, back)]
        here += [(start, go), (start + 260, hop(back))]
    outside = [frame for index, frame in enumerate(there) if index % 4 in (0, 3)]
    inside = [frame for index, frame in enumerate(there) if index % 4 in (1, 2)]
    files = [f"here={raw_pcap(tmp_path / 'here.pcap', here)}"]
    files += [
        f"there/{name}={raw_pcap(tmp_path / f'{name}.pcap', frames)}"
        for name, frames in (("eth0", outside), ("eth1", inside))
    ]
    result = correlate_captures(files)
    assert result.clocks[1].steps == 1
    found = paths(result)
    assert [len(path.hops) for path in found] == [3] * 120
    assert {path.duration_ns for path in found} <= set(range(50_000, 80_000))


def hop(packet: IP) -> IP:
    """The packet behind a router."""
    behind = packet.copy()
    behind[IP].ttl -= 1
    return behind


def raw_pcap(path: Path, frames: list[tuple[int, IP]]) -> Path:
    """Frames (microseconds, packet) in the order in which they were captured, whatever their times say."""
    content = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for time_us, packet in frames:
        data = bytes(packet)
        seconds, rest = divmod(1_000_000_000_000 + time_us, 1_000_000)
        content += struct.pack("<IIII", seconds, rest, len(data), len(data)) + data
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("packets", "delay_us", "again"), [(600, 20, False), (400, 20, True), (600, 200, True)], ids=["well", "few", "slow"]
)
def test_connections_are_asked_where_addresses_leave_a_clock_open(monkeypatch, tmp_path, packets, delay_us, again):
    """In memory and in parts alike; and what they would say where nothing is open is the same."""
    asked = []
    monkeypatch.setattr(in_memory, "delays_by_connections", lambda *of: asked.append(of) or delays_by_connections(*of))
    a, b = machine("a"), machine("b")
    wire = Wire({"a": 0, "b": 7_000})
    for number in range(packets):
        wire.send(a, b, number * 1_000, delay_us)
        wire.send(b, a, number * 1_000 + 300, delay_us)
    result = correlate(tmp_path, a, b)
    assert bool(asked) == again
    stages = []
    files = [str(tmp_path / f"{node.name}.pcapng") for node in (a, b)]
    parted = correlate_in_parts(files, lambda stage, _done: stages.append(stage), most=200, workers=1)
    parted.close()
    assert ("linking connections" in stages) == again
    monkeypatch.setattr(align, "_MANY_PACKETS", 1 << 62)
    assert correlate(tmp_path, a, b).clocks == result.clocks
    assert asked
