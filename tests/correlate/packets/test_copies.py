"""Mirrored captures: each frame several times in one file, and still one packet."""

import itertools

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

from ..plain import Plain, back, numbers, talk, tcp, udp
from ..scene import Direction, Node, correlate, paths

CLIENT, NAT, SERVER = "192.0.2.10", "198.51.100.7", "203.0.113.5"
S = 1_000_000
ABROAD = {"a": 0, "b": 7_000_000_000}
"""Nodes, and by how many ns the clock of each is ahead."""


def snat(points: str = "ab", port: int = 40_000, outside: int = 20_001, server_port: int = 80):
    """Translated behind the first point."""
    server = (SERVER, server_port)
    return {point: ((NAT, outside) if point != points[0] else (CLIENT, port), server) for point in points}


def assert_whole(result, points: str, packets: int, copies: dict[str, int]) -> None:
    """Each packet is one path with all its copies, in the order of its way."""
    assert result.connections.count == 1
    found = paths(result)
    assert len(found) == packets
    for path in found:
        order = [point for point, _ in itertools.groupby(hop.file.rsplit("/", 1)[-1][0] for hop in path.hops)]
        assert order == list(points if path.forward else reversed(points))
        assert {point: len(frames) for point, frames in numbers(path).items()} == copies
        assert len(path.rewrites) == 1
        assert not path.ambiguous
        assert path.outcome != "lost"


@pytest.mark.parametrize("later_us", [1, 7, 2_000])
@pytest.mark.parametrize("ahead_us", [0, 7 * S])
@pytest.mark.parametrize(
    ("points", "copies"), [("ab", {"a": 2, "b": 2}), ("ab", {"a": 2, "b": 1}), ("ab", {"a": 1, "b": 2}), ("abc", None)]
)
def test_a_mirrored_connection_is_joined_across_its_translation(points, copies, later_us, ahead_us, tmp_path):
    copies = copies or dict.fromkeys(points, 2)
    scene = Plain(
        {point: ahead_us if point == "b" else 0 for point in points},
        {point: tuple(later_us * (1 + k) for k in range(number - 1)) for point, number in copies.items()},
    )
    talk(scene, 0, snat(points), 1_000)
    assert_whole(scene.correlate(tmp_path), points, 9, copies)


def test_three_copies_of_each(tmp_path):
    scene = Plain({"a": 0, "b": 0}, {"b": (3, 8)})
    talk(scene, 0, snat(), 1_000)
    assert_whole(scene.correlate(tmp_path), "ab", 9, {"a": 1, "b": 3})


def test_what_has_no_id_is_a_copy_where_the_rest_of_its_connection_is_mirrored(tmp_path):
    scene = Plain({"a": 0, "b": 0}, {"a": (7,)})
    views = snat()
    talk(scene, 0, views, 1_000)
    for _ in range(2):  # two equal RSTs within a millisecond are two packets, each twice in `a`
        scene.send(40_000, back(views), tcp("R", 8_021))
        scene.send(40_300, back(views), tcp("R", 8_021))
        break
    assert_whole(scene.correlate(tmp_path), "ab", 11, {"a": 2, "b": 1})


def test_equal_datagrams_without_an_id_are_no_copies(tmp_path):
    scene = Plain({"a": 0, "b": 0})
    views = snat(server_port=514)
    scene.send(0, views, udp(b"with an id", 7))
    for number in range(6):
        scene.send(1_000 + 500 * number, views, udp(b"all the same"))
    found = paths(scene.correlate(tmp_path))
    assert [numbers(path) for path in found] == [{"a": [n], "b": [n]} for n in range(1, 8)]


def test_one_id_much_later_is_another_packet(tmp_path):
    scene = Plain({"a": 0, "b": 0})
    for number in range(2):
        scene.send(200_000 * number, snat(), tcp("S", 1_000, 0, 9))
    assert len(paths(scene.correlate(tmp_path))) == 2


@pytest.mark.parametrize("ahead_us", [0, 7 * S])
def test_of_tcp_without_ids_what_nobody_repeats_so_soon_are_copies(ahead_us, tmp_path):
    """IPv6 has no id: each segment twice within microseconds, all through the connection, is the mirror's doing."""
    scene = Plain({"a": 0, "b": ahead_us}, {"a": (2,)})
    server = ("2001:db8::5", 80)
    views = {"a": (("2001:db8:1::10", 40_000), server), "b": (("2001:db8:2::7", 20_001), server)}
    talk(scene, 0, views, 1_000, turns=4)
    assert_whole(scene.correlate(tmp_path), "ab", 15, {"a": 2, "b": 1})


def test_a_segment_that_came_twice_in_a_connection_that_is_not_mirrored_is_no_copy(tmp_path):
    """Two probes for a lost tail, within 2 ms: TCP sent them."""
    scene = Plain({"a": 0, "b": 0})
    server = ("2001:db8::5", 80)
    views = dict.fromkeys("ab", (("2001:db8:1::10", 40000), server))
    talk(scene, 0, views, 1_000, turns=4)
    for time_us in (60_000, 62_000):
        scene.send(time_us, views, tcp("PA", 1_041, 8_041, 0, b"last"))
    assert len(paths(scene.correlate(tmp_path))) == 17


def test_what_a_cooked_capture_shows_twice_in_one_direction_is_one_packet(tmp_path):
    """`tcpdump -i any` of old: the frame of a bridge port and that of the bridge, and no word of which is which."""
    nodes = [Node(name, snapshots=False, clock=lambda ns, ahead=ahead: ns + ahead) for name, ahead in ABROAD.items()]
    for node in nodes:
        node.interface("any", 2)
    for number in range(8):
        request = TCP(sport=40_000, dport=80, flags="PA", seq=1 + 5 * number, ack=9) / b"hello"
        inside = IP(src=CLIENT, dst=SERVER, id=10 + number, ttl=64) / request
        outside = IP(src=NAT, dst=SERVER, id=10 + number, ttl=63) / request
        for later in (0, 3):
            nodes[0].see("any", Direction.IN, 1_000 * number + later, inside)
        nodes[1].see("any", Direction.IN, 1_000 * number + 60, outside)
    found = paths(correlate(tmp_path, *nodes))
    assert len(found) == 8
    assert {len(path.hops) for path in found} == {3}


def test_what_a_sender_makes_with_one_id_is_several_packets(tmp_path):
    """scapy gives every packet the id 1: equal SYNs a few hundred microseconds apart are as many."""
    scene = Plain({"a": 0, "b": 0})
    for number in range(8):
        scene.send(600 * number, snat(), tcp("S", 0, 0, 1))
    found = paths(scene.correlate(tmp_path))
    assert [numbers(path) for path in found] == [{"a": [n], "b": [n]} for n in range(1, 9)]


def test_one_packet_that_comes_again_and_again_is_no_mirror_s_doing(tmp_path):
    scene = Plain({"a": 0, "b": 0})
    for number in range(8):
        scene.send(600 * number, snat(), tcp("S", 0, 0, 77))
    assert len(paths(scene.correlate(tmp_path))) == 8


def test_tenants_who_use_the_same_addresses_are_told_apart_by_their_network(tmp_path):
    """The same packets in two VXLAN networks through one wire, microseconds apart."""
    scene = Plain({"a": 0})
    for number in range(6):
        inner = (
            Ether() / IP(src=CLIENT, dst=SERVER, id=10 + number) / TCP(sport=40_000, dport=80, flags="S", seq=number)
        )
        for tenant in (11, 22):
            packet = (
                IP(src="192.0.2.1", dst="192.0.2.2", id=0) / UDP(sport=5_000, dport=4789) / VXLAN(vni=tenant) / inner
            )
            scene.see("a", 1_000 * number + tenant, packet)
    assert len(paths(scene.correlate(tmp_path))) == 12


def test_a_lone_packet_that_the_network_doubled_is_two_at_however_many_points_it_passes(tmp_path):
    nodes = [Node(name, snapshots=False) for name in "ab"]
    nodes[0].interface("eth0", 2)
    for number, name in enumerate(("eth0", "docker0"), 2):
        nodes[1].interface(name, number)
    packet = IP(src=CLIENT, dst=SERVER, id=77, ttl=64) / UDP(sport=40_000, dport=53) / b"the only one of its flow"
    routed = packet.copy()
    routed.ttl = 63
    nodes[0].see("eth0", Direction.OUT, 0, packet)
    for later_us in (0, 350):
        nodes[1].see("eth0", Direction.IN, 40 + later_us, packet)
        nodes[1].see("docker0", Direction.OUT, 47 + later_us, routed)
    found = paths(correlate(tmp_path, *nodes))
    assert sorted(len(path.hops) for path in found) == [2, 3]
