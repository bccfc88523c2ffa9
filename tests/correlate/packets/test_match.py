"""Which sightings are one packet: equal datagrams, retransmissions, losses on the way, bridges."""

import itertools

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from ttrace.correlate import correlate_captures

from ..scene import DOCKER0, ETH0, IN, OUT, Direction, Node, at, correlate, docker_host, paths, steps

DATAGRAM = IP(src="172.17.0.2", dst="203.0.113.1", id=0, flags="DF") / UDP(sport=1000, dport=53) / b"the same words"


def router() -> Node:
    """A node that passes packets from one device to the other, without NAT."""
    node = Node("router")
    node.interface("eth0", 2, addresses=["10.0.0.1"])
    node.interface("eth1", 3, addresses=["10.1.0.1"])
    return node


def times(path) -> list[int]:
    return [hop.time_ns - at(0) for hop in path.hops]


def test_a_bridge_shows_a_packet_several_times_and_it_is_one(tmp_path):
    host = docker_host(bridge_nf=False)
    host.interface("veth2", 6, kind="veth", master=DOCKER0, peer="web2")
    packet = IP(src="172.17.0.2", dst="172.17.0.3", id=4) / UDP(sport=1, dport=2)
    host.see("veth1", IN, 0, packet)
    host.see("veth2", OUT, 1, packet)
    (path,) = paths(correlate(tmp_path, host))
    assert steps(path) == ["veth1 in", "veth2 out"]
    assert not path.ambiguous


def test_equal_datagrams_are_paired_in_the_order_of_time(tmp_path):
    node = router()
    for number in range(5):
        node.see("eth0", IN, number * 100, DATAGRAM)
        node.see("eth1", OUT, number * 100 + 30, DATAGRAM)
    found = paths(correlate(tmp_path, node))
    assert [times(path) for path in found] == [[n * 100_000, n * 100_000 + 30_000] for n in range(5)]
    assert not any(path.ambiguous for path in found)


def test_equal_datagrams_that_overlap_are_first_in_first_out(tmp_path):
    node = router()
    for number in range(3):
        node.see("eth0", IN, number, DATAGRAM)
        node.see("eth1", OUT, 100 + number, DATAGRAM)
    found = paths(correlate(tmp_path, node))
    assert [times(path) for path in found] == [[n * 1000, 100_000 + n * 1000] for n in range(3)]


def test_when_one_of_equal_datagrams_is_lost_the_others_are_ambiguous(tmp_path):
    node = router()
    node.see("eth0", IN, 0, DATAGRAM)
    node.see("eth0", IN, 10, DATAGRAM)
    node.see("eth1", OUT, 100, DATAGRAM)
    found = paths(correlate(tmp_path, node))
    assert sorted(len(path.hops) for path in found) == [1, 2]
    assert any(path.ambiguous for path in found)
    assert all(path.confidence < 1 for path in found if path.ambiguous)


def test_equal_datagrams_far_apart_in_time_are_different_packets(tmp_path):
    node = router()
    node.see("eth0", IN, 0, DATAGRAM)
    node.see("eth1", OUT, 5_000_000, DATAGRAM)
    assert len(paths(correlate(tmp_path, node))) == 2


def test_a_retransmission_with_a_new_ip_id_is_another_packet(tmp_path):
    node = router()
    for number, start in enumerate((0, 200_000)):
        packet = IP(src="10.0.0.9", dst="10.1.0.9", id=50 + number) / TCP(sport=1, dport=2, flags="S", seq=5)
        node.see("eth0", IN, start, packet)
        node.see("eth1", OUT, start + 20, packet)
    result = correlate(tmp_path, node)
    assert [len(path.hops) for path in paths(result)] == [2, 2]
    assert result.connections.count == 1


@pytest.mark.parametrize("lost", [0, 1], ids=["first lost on the way", "second lost on the way"])
def test_a_retransmission_with_the_same_content_begins_again_at_the_first_point(lost, tmp_path):
    packet = IPv6(src="fd00::2", dst="fd01::2") / TCP(sport=1, dport=2, flags="S", seq=5)
    node = router()
    for number, start in enumerate((0, 200_000)):
        node.see("eth0", IN, start, packet)
        if number != lost:
            node.see("eth1", OUT, start + 20, packet)
    found = paths(correlate(tmp_path, node))
    whole = [path for path in found if len(path.hops) == 2]
    assert [times(path) for path in whole] == [[0, 20_000] if lost else [200_000_000, 200_020_000]]


def test_different_payloads_with_equal_headers_are_different_packets(tmp_path):
    node = router()
    words = [b"the first twelve and then a", b"the first twelve and then b"]
    for number, word in enumerate(words):
        packet = IP(src="10.0.0.9", dst="10.1.0.9", id=0) / UDP(sport=1, dport=2) / word
        node.see("eth0", IN, number, packet)
        node.see("eth1", OUT, 10 - number, packet)
    found = paths(correlate(tmp_path, node))
    assert sorted(times(path) for path in found) == [[0, 10_000], [1_000, 9_000]]


def test_traced_equal_datagrams_have_one_trace_each(tmp_path):
    host = docker_host()
    for number in range(4):
        host.see("veth1", IN, number * 100, DATAGRAM)
        host.see("docker0", IN, number * 100 + 5, DATAGRAM)
        host.trace(number * 100 + 50, DATAGRAM, "FORWARD", iif=DOCKER0, oif=ETH0)
    found = paths(correlate(tmp_path, host))
    assert [steps(path) for path in found] == [["veth1 in", "docker0 in", "FORWARD"]] * 4
    assert not any(path.ambiguous for path in found)


def test_a_trace_without_frames_is_a_packet_of_its_own(tmp_path):
    host = docker_host()
    host.see("veth1", IN, 0, IP(src="172.17.0.9", dst="203.0.113.1", id=1) / UDP())
    host.trace(5, DATAGRAM, "FORWARD", iif=DOCKER0, oif=ETH0)
    assert sorted(steps(path) for path in paths(correlate(tmp_path, host))) == [["FORWARD"], ["veth1 in"]]


def test_every_sighting_is_in_exactly_one_path(tmp_path):
    host = docker_host()
    for number, (point, way) in enumerate(
        itertools.islice(itertools.cycle([("veth1", IN), ("eth0", OUT), ("docker0", IN)]), 17)
    ):
        host.see(point, way, number * 13 % 50, DATAGRAM)
        host.trace(number * 7 % 50, DATAGRAM, "FORWARD", trace_id=number)
    result = correlate(tmp_path, host)
    assert sorted(result.hops["sighting"].tolist()) == list(range(result.sightings.size))
    frames = [hop.frame for path in paths(result) for hop in path.hops if hasattr(hop, "frame")]
    assert len(frames) == len(set(frames)) == 17


@pytest.mark.slow
@pytest.mark.parametrize("traced", [False, True], ids=["captured", "traced"])
def test_many_equal_datagrams_are_one_packet_each(traced, tmp_path):
    """10,000 of them: it took half an hour when the time grew with the cube of their number."""
    host = docker_host("host")
    for number in range(10_000):
        host.see("docker0", IN, number, DATAGRAM)
        if traced:
            host.trace(number + 0.5, DATAGRAM, "FORWARD", iif=DOCKER0, trace_id=number)
    result = correlate_captures([host.write(tmp_path)])
    assert result.packets.count == 10_000
    assert not result.packets.ambiguous.any()
    assert set(np.diff(result.first_hop).tolist()) == {2 if traced else 1}


REPORT = IPv6(src="fe80::1", dst="ff02::16", hlim=1) / b"a report of a link that has come up, with no id"


def two_nodes(*, snapshots: bool = True, boot_id: str | None = "one kernel") -> list[Node]:
    """Neighbours on one wire."""
    nodes = []
    for number, name in enumerate(("master", "slave")):
        node = Node(name, snapshots=snapshots, boot_id=boot_id if snapshots else None)
        node.interface("eth0", 2, addresses=[f"192.0.2.{number + 1}"])
        nodes.append(node)
    return nodes


def talk(one: Node, other: Node, time_us: float, *, direction: bool = True) -> None:
    """A packet each way, 20 us on the wire: so the clocks are known."""
    for number, (first, second) in enumerate(((one, other), (other, one))):
        packet = IP(
            src=f"192.0.2.{1 + number}", dst=f"192.0.2.{2 - number}", id=1 + round(time_us / 1000) + number, ttl=64
        )
        for place, node in enumerate((first, second)):
            way = (OUT if place == 0 else IN) if direction else Direction.UNKNOWN
            seen = packet / UDP(sport=1 + number, dport=2 - number)
            seen.ttl -= place if not direction else 0
            node.see("eth0", way, time_us + 1000 * number + 20 * place, seen)


def sightings(found: list, protocol: str) -> list[tuple[str, ...]]:
    return [tuple(hop.node for hop in path.hops) for path in found if path.protocol == protocol]


@pytest.mark.parametrize("boot_id", ["one kernel", None])
@pytest.mark.parametrize("seen", ["in only", "out only", "in, then out"])
def test_nothing_arrives_before_it_was_sent(boot_id, seen, tmp_path):
    """The kernel repeats a report; one of the captures had not begun with the first, or lost the second."""
    master, slave = two_nodes(boot_id=boot_id)
    talk(master, slave, 0)
    talk(master, slave, 2_000_000)
    lost = {"in only": [("slave", 0)], "out only": [("master", 0)], "in, then out": [("slave", 0), ("master", 1)]}[seen]
    for number in range(2):
        for node, way, later in ((slave, OUT, 0), (master, IN, 10)):
            if (node.name, number) not in lost:
                node.see("eth0", way, 300_000 + 344_000 * number + later, REPORT)
    found = [path for path in paths(correlate(tmp_path, master, slave)) if path.protocol != "udp"]
    both = [tuple(hop.node for hop in path.hops) for path in found]
    if seen == "in, then out":
        assert both == [("master",), ("slave",)]
    else:
        assert both == [("master",) if seen == "in only" else ("slave",), ("slave", "master")]
    assert all(path.duration_ns == 10_000 for path in found if len(path.hops) == 2)


@pytest.mark.parametrize("falls", [True, False])
def test_in_plain_files_what_is_much_nearer_is_one_packet(falls, tmp_path):
    """Four equal packets of which each point missed another: the k-th is not the k-th."""
    near, far = two_nodes(snapshots=False)
    for number in range(5):
        talk(near, far, number * 500_000, direction=False)
    for number in range(4):
        for hop, node in enumerate((near, far)):
            if number != 3 * hop:  # the first is missing at one, the last at the other
                packet = IP(src="10.0.0.1", dst="10.0.0.2", id=0, ttl=64 - hop * falls) / UDP(sport=1, dport=2) / b"x"
                node.see("eth0", Direction.UNKNOWN, 100_000 + 344_000 * number + 20 * hop, packet)
    found = [path for path in paths(correlate(tmp_path, near, far)) if path.hops[0].source.startswith("10.")]
    assert sorted(len(path.hops) for path in found) == [1, 1, 2, 2]
    assert all((path.duration_ns or 0) < 25_000 for path in found)
    assert all(path.ambiguous or falls for path in found)


def test_what_is_long_on_its_way_is_still_paired_in_order(tmp_path):
    """A way of 400 ms, and equal packets every 344 ms: the nearest in time are not one."""
    near, far = two_nodes(snapshots=False)
    for number in range(8):
        for back in (False, True):
            packet = IP(src=f"192.0.2.{1 + back}", dst=f"192.0.2.{2 - back}", id=2 * number + back, ttl=64)
            packet /= UDP(sport=1 + back, dport=2 - back)
            for place, node in enumerate((far, near) if back else (near, far)):
                seen = packet.copy()
                seen.ttl -= place
                node.see("eth0", Direction.UNKNOWN, number * 500_000 + 400_000 * (back + place), seen)
    for number in range(4):
        for hop, node in enumerate((near, far)):
            packet = IP(src="10.0.0.1", dst="10.0.0.2", id=0, ttl=64 - hop) / UDP(sport=1, dport=2) / b"x"
            node.see("eth0", Direction.UNKNOWN, 100_000 + 344_000 * number + 400_000 * hop, packet)
    found = [path for path in paths(correlate(tmp_path, near, far)) if path.hops[0].source.startswith("10.")]
    assert [path.duration_ns for path in found] == [400_000_000] * 4
