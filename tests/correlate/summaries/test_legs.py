"""Loss and latency from point to point, as the connection summary tells them."""

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from ttrace.correlate import Correlation
from ttrace.correlate.dataframes import legs_table
from ttrace.correlate.summaries.connections import summarise_connections
from ttrace.correlate.summaries.legs import Leg, LegEnd
from ttrace.pcapng.blocks import Direction, LinkType

from ..scene import DOCKER0, DROP, DROP_RULE, ETH0, IN, OUT, Node, correlate, docker_host

WEB1, FAR, A, B = "172.17.0.2", "203.0.113.1", "192.0.2.1", "192.0.2.2"
LATER = 9_000_000
"""Microseconds: the captures go on well after what is judged."""


def datagram(number: int, source: str = WEB1, destination: str = FAR, ttl: int = 64) -> IP:
    return IP(src=source, dst=destination, id=number, ttl=ttl) / UDP(sport=1000, dport=2000) / b"eight by"


def answer(number: int, source: str = FAR, destination: str = WEB1) -> IP:
    return IP(src=source, dst=destination, id=1000 + number) / UDP(sport=2000, dport=1000) / b"more than eight"


def keep_recording(*nodes: Node) -> None:
    """Something else is seen much later, so that no capture ends early."""
    for number, node in enumerate(nodes):
        point = next(name for netns, name in node._interfaces if netns == "root")
        node.see(point, OUT, LATER, IP(src="127.0.0.1", dst="127.0.0.1", id=60_000 + number) / UDP(sport=9, dport=9))


def router(name: str = "router", *, boot_id: str | None = None) -> Node:
    """A node that passes packets from one device to the other, without NAT."""
    node = Node(name, boot_id=boot_id)
    node.interface("eth0", 2, addresses=["10.0.0.1"])
    node.interface("eth1", 3, addresses=["10.1.0.1"])
    return node


def legs(result: Correlation, number: int = 1, *, forward: bool = True) -> dict[tuple[str | None, str | None], Leg]:
    """The legs of one direction by their ends (`eth0 in`; `b:eth0 in` of several nodes), in the order of the way."""

    def short(end: LegEnd | None) -> str | None:
        node = f"{end.node}:" if end and len(result.clocks) > 1 else ""
        return f"{node}{end.interface} {end.direction}" if end else None

    found = [leg for leg in summarise_connections(result).of(number - 1).legs if leg.forward == forward]
    ends = [(short(leg.from_point), short(leg.to_point)) for leg in found]
    assert len(set(ends)) == len(ends)
    return dict(zip(ends, found, strict=True))


def counts(leg: Leg) -> tuple[int, int, int]:
    return leg.packets, leg.lost, leg.unknown


def latencies(leg: Leg) -> tuple[int | None, int | None, int | None]:
    return leg.minimum_ns, leg.median_ns, leg.p99_ns


def test_known_delays_are_their_minimum_median_and_99th_percentile(tmp_path):
    host = docker_host()
    for number in range(200):
        start = number * 1000
        host.see("veth1", IN, start, datagram(number))
        host.see("docker0", IN, start + 5, datagram(number))
        # 1 to 200 us, in no order.
        host.see("eth0", OUT, start + 5 + 1 + number * 77 % 200, datagram(number, ttl=63))
    found = legs(correlate(tmp_path, host))
    assert latencies(found["veth1 in", "docker0 in"]) == (5_000, 5_000, 5_000)
    assert latencies(found["docker0 in", "eth0 out"]) == (1_000, 100_500, 198_000)
    assert [leg.clock_error_ns for leg in found.values()] == [0, 0, None]


@pytest.mark.parametrize(
    ("delays", "expected"),
    [([7], (7, 7, 7)), ([9, 7], (7, 8, 9)), ([1, 9, 2], (1, 2, 9)), ([1] * 99 + [50], (1, 1, 1))],
)
def test_few_delays(delays, expected, tmp_path):
    node = router()
    for number, delay in enumerate(delays):
        node.see("eth0", IN, number * 1000, datagram(number))
        node.see("eth1", OUT, number * 1000 + delay, datagram(number, ttl=63))
    found = legs(correlate(tmp_path, node))
    assert latencies(found["eth0 in", "eth1 out"]) == tuple(1000 * value for value in expected)


def test_both_directions_have_legs_of_their_own_in_the_order_of_the_way(tmp_path):
    host = docker_host()
    for number in range(3):
        for point, way, time, packet in (
            ("veth1", IN, 0, datagram(number)),
            ("docker0", IN, 1, datagram(number)),
            ("eth0", OUT, 2, datagram(number, ttl=63)),
            ("eth0", IN, 100, answer(number)),
            ("docker0", OUT, 103, answer(number)),
            ("veth1", OUT, 107, answer(number)),
        ):
            host.see(point, way, number * 1000 + time, packet)
    result = correlate(tmp_path, host)
    assert list(legs(result)) == [("veth1 in", "docker0 in"), ("docker0 in", "eth0 out"), ("eth0 out", None)]
    back = legs(result, forward=False)
    assert list(back) == [("eth0 in", "docker0 out"), ("docker0 out", "veth1 out")]
    assert [latencies(leg)[0] for leg in back.values()] == [3_000, 4_000]
    assert all(counts(leg) == (3, 0, 0) for leg in back.values())


def losing(host: Node, lost: set[int], packets: int = 20) -> None:
    """Datagrams from web1 to far away, a millisecond each; those in `lost` come to docker0 and no further."""
    for number in range(packets):
        host.see("veth1", IN, 1_000_000 + number * 1000, datagram(number))
        host.see("docker0", IN, 1_000_005 + number * 1000, datagram(number))
        if number not in lost:
            host.see("eth0", OUT, 1_000_030 + number * 1000, datagram(number, ttl=63))
    keep_recording(host)


def test_lost_packets_are_counted_on_the_leg_where_they_were_lost(tmp_path):
    host = docker_host()
    losing(host, {3, 4, 11, 17, 18})
    result = correlate(tmp_path, host)
    found = legs(result)
    assert counts(found["veth1 in", "docker0 in"]) == (20, 0, 0)
    assert counts(found["docker0 in", "eth0 out"]) == (15, 5, 0)
    assert summarise_connections(result).lost[0].tolist() == [5, 0]


def test_what_leaves_for_where_nothing_is_captured_is_unknown_behind_the_last_point(tmp_path):
    host = docker_host()
    losing(host, {3})
    last = legs(correlate(tmp_path, host))["eth0 out", None]
    assert (counts(last), latencies(last), last.clock_error_ns) == ((0, 0, 19), (None, None, None), None)


def test_where_the_capture_lost_packets_a_missing_one_is_unknown(tmp_path):
    host = docker_host()
    losing(host, {3, 4, 11})
    host.lost("eth0", 500_000, 0)
    host.lost("eth0", 1_500_000, 3)
    assert counts(legs(correlate(tmp_path, host))["docker0 in", "eth0 out"]) == (17, 0, 3)


def test_packets_that_none_follows_on_are_lost_behind_their_last_point(tmp_path):
    host = docker_host()
    packet = IP(src=WEB1, dst="203.0.113.9", id=4) / UDP(sport=1, dport=2)
    host.see("veth1", IN, 0, packet)
    host.see("docker0", IN, 5, packet)
    host.trace(8, packet, "FORWARD", iif=DOCKER0, oif=ETH0, rules=[("FORWARD", DROP_RULE, DROP)], policy=None)
    result = correlate(tmp_path, host)
    found = legs(result)
    assert list(found) == [("veth1 in", "docker0 in"), ("docker0 in", None)]
    assert counts(found["docker0 in", None]) == (0, 1, 0)
    summaries = summarise_connections(result)
    assert (summaries.dropped[0].tolist(), summaries.lost[0].tolist()) == ([1, 0], [0, 0])


@pytest.mark.parametrize(("by_eth2", "told_of"), [(2, ("eth0 in", "eth1 out")), (6, ("eth0 in", None))])
def test_where_the_way_forks_a_loss_is_told_of_the_leg_that_most_took(by_eth2, told_of, tmp_path):
    node = router()
    node.interface("eth2", 4, addresses=["10.2.0.1"])
    for number in range(12):
        node.see("eth0", IN, number * 1000, datagram(number))
        node.see("eth2" if number < by_eth2 else "eth1", OUT, number * 1000 + 9, datagram(number, ttl=63))
    node.see("eth0", IN, 20_000, datagram(99))
    keep_recording(node)
    found = legs(correlate(tmp_path, node))
    assert {ends: leg.lost for ends, leg in found.items() if leg.lost} == {told_of: 1}
    assert found["eth0 in", "eth2 out"].packets == by_eth2


def two_hosts(ahead_us: float, boot_ids: tuple[str, str] | None = None, *, answers: bool = True) -> tuple[Node, Node]:
    """Datagrams from one router to another, 100 us on the wire each way; the second one's clock is ahead."""
    a, b = (router(name, boot_id=boot_ids[i] if boot_ids else None) for i, name in enumerate("ab"))
    for number in range(10):
        start = number * 10_000
        a.see("eth1", OUT, start, datagram(number))
        b.see("eth0", IN, start + 100 + ahead_us, datagram(number))
        if answers:
            b.see("eth0", OUT, start + 200 + ahead_us, answer(number))
            a.see("eth1", IN, start + 300, answer(number))
    return a, b


def test_between_two_nodes_the_latency_has_the_error_of_their_clocks(tmp_path):
    result = correlate(tmp_path, *two_hosts(ahead_us=5_000_000))
    for forward, ends in ((True, ("a:eth1 out", "b:eth0 in")), (False, ("b:eth0 out", "a:eth1 in"))):
        leg = legs(result, forward=forward)[ends]
        assert leg.clock_error_ns == result.clocks[1].error_ns > 0
        assert abs(leg.median_ns - 100_000) <= leg.clock_error_ns < 200_000


def test_without_packets_both_ways_the_clock_error_is_not_known(tmp_path):
    result = correlate(tmp_path, *two_hosts(ahead_us=5_000_000, answers=False))
    leg = legs(result)["a:eth1 out", "b:eth0 in"]
    assert (leg.packets, leg.clock_error_ns) == (10, None)


def test_two_nodes_on_one_kernel_have_one_clock(tmp_path):
    leg = legs(correlate(tmp_path, *two_hosts(0, ("x", "x"))))["a:eth1 out", "b:eth0 in"]
    assert (latencies(leg), leg.clock_error_ns) == ((100_000, 100_000, 100_000), 0)


def three_hosts(boot_ids: tuple[str, str, str]) -> tuple[Node, Node, Node]:
    """Datagrams from a over b to c and back; 100 us on each wire, 10 us on b."""
    a, b, c = (router(name, boot_id=boot_id) for name, boot_id in zip("abc", boot_ids, strict=True))
    for number in range(10):
        start = number * 10_000
        for node, point, way, time, ttl in (
            (a, "eth1", OUT, 0, 64), (b, "eth0", IN, 100, 64), (b, "eth1", OUT, 110, 63), (c, "eth0", IN, 210, 63),
        ):  # fmt: skip
            node.see(point, way, start + time, datagram(number, ttl=ttl))
        for node, point, way, time in (
            (c, "eth0", OUT, 300), (b, "eth1", IN, 400), (b, "eth0", OUT, 410), (a, "eth1", IN, 510),
        ):  # fmt: skip
            node.see(point, way, start + time, answer(number))
    return a, b, c


def test_the_errors_of_two_clocks_that_are_both_known_by_a_third_add_up(tmp_path):
    result = correlate(tmp_path, *three_hosts(("x", "y", "z")))
    _, b_error, c_error = (clock.error_ns for clock in result.clocks)
    found = legs(result)
    assert list(found)[:3] == [
        ("a:eth1 out", "b:eth0 in"),
        ("b:eth0 in", "b:eth1 out"),
        ("b:eth1 out", "c:eth0 in"),
    ]
    assert [leg.clock_error_ns for leg in found.values()][:3] == [b_error, 0, b_error + c_error]
    assert 0 < b_error < c_error


def test_between_two_nodes_on_one_kernel_there_is_no_error_however_little_is_known_of_its_clock(tmp_path):
    result = correlate(tmp_path, *three_hosts(("x", "y", "y")))
    wire = legs(result)["b:eth1 out", "c:eth0 in"]
    assert result.clocks[2].error_ns > 0
    assert (wire.clock_error_ns, wire.median_ns) == (0, 100_000)


def test_a_packet_that_clocks_put_in_the_wrong_order_is_told_of_the_way_that_the_others_take(tmp_path):
    """The clocks are known to half a millisecond, for the two ways are so unlike; and equal datagrams, which say
    nothing about clocks, are faster than that: by the times they are on b before they leave a."""
    a, b = router("a"), router("b")
    for number in range(8):
        start = number * 20_000
        a.see("eth0", IN, start, datagram(number, ttl=65))
        a.see("eth1", OUT, start + 10, datagram(number))
        b.see("eth0", IN, start + 1_010, datagram(number))
        b.see("eth1", OUT, start + 1_020, datagram(number, ttl=63))
        b.see("eth1", IN, start + 5_000, answer(number))
        b.see("eth0", OUT, start + 5_010, answer(number))
        a.see("eth1", IN, start + 5_020, answer(number))
        a.see("eth0", OUT, start + 5_030, answer(number))
    for start in (200_000, 300_000):
        a.see("eth0", IN, start, datagram(77, ttl=65))
        a.see("eth1", OUT, start + 10, datagram(77))
        b.see("eth0", IN, start + 60, datagram(77))
        b.see("eth1", OUT, start + 70, datagram(77, ttl=63))
    result = correlate(tmp_path, a, b)
    found = legs(result)
    assert list(found) == [
        ("a:eth0 in", "a:eth1 out"),
        ("a:eth1 out", "b:eth0 in"),
        ("b:eth0 in", "b:eth1 out"),
        ("b:eth1 out", None),
    ]
    assert [leg.packets for leg in found.values()] == [10, 10, 10, 0]
    wire = found["a:eth1 out", "b:eth0 in"]
    assert wire.minimum_ns < 0 < wire.median_ns
    assert wire.minimum_ns + wire.clock_error_ns >= 50_000


def test_fragments_count_once_by_the_first_of_them(tmp_path):
    node = router()
    for number in range(3):
        start = number * 1000
        whole = IP(src="10.0.0.9", dst="10.1.0.9", id=70 + number) / UDP(sport=1, dport=2) / bytes(2000)
        data = bytes(whole)[20:]
        node.see("eth0", IN, start, whole)
        for offset, time in ((0, 20), (1000, 25), (2000, 28)):
            piece = IP(
                src="10.0.0.9", dst="10.1.0.9", id=70 + number, ttl=63, proto=17, flags=int(offset < 2000),
                frag=offset // 8,
            ) / data[offset : offset + 1000]  # fmt: skip
            node.see("eth1", OUT, start + time, piece)
    found = legs(correlate(tmp_path, node))
    assert list(found) == [("eth0 in", "eth1 out"), ("eth1 out", None)]
    leg = found["eth0 in", "eth1 out"]
    assert (leg.packets, latencies(leg)) == (3, (20_000, 20_000, 20_000))


def test_a_packet_that_passes_a_point_of_unknown_direction_twice_has_no_leg_from_it_to_itself(tmp_path):
    node = Node("a", snapshots=False)
    node.interface("docker0", 3)
    node.interface("eth0", 2)
    for number in range(3):
        node.see("eth0", Direction.UNKNOWN, number * 1000, datagram(number))
        node.see("docker0", Direction.UNKNOWN, number * 1000 + 10, datagram(number, ttl=63))
        node.see("docker0", Direction.UNKNOWN, number * 1000 + 20, datagram(number, ttl=62))
    found = legs(correlate(tmp_path, node))
    assert found
    assert all(start != end for start, end in found)


def test_a_packet_that_ends_at_a_point_which_it_passed_before_did_not_end_on_the_leg_from_there(tmp_path):
    """In and out of one bridge port (hairpin), recorded by something that tells no directions."""
    node = Node("a", snapshots=False)
    node.interface("veth1", 5)
    node.interface("docker0", 3)
    for number in range(3):
        for point, time, ttl in (("veth1", 0, 64), ("docker0", 10, 64), ("veth1", 20, 63)):
            node.see(point, Direction.UNKNOWN, number * 1000 + time, datagram(number, ttl=ttl))
    found = legs(correlate(tmp_path, node))
    assert {ends: counts(leg) for ends, leg in found.items()} == {
        ("veth1 unknown", "docker0 unknown"): (3, 0, 0),
        ("docker0 unknown", "veth1 unknown"): (3, 0, 0),
        ("veth1 unknown", None): (0, 0, 3),
    }


def test_legs_are_in_the_order_of_the_way_also_when_the_first_point_was_captured_last(tmp_path):
    host = docker_host()
    for number in range(6):
        start = number * 1000
        if number > 2:
            host.see("veth1", IN, start, datagram(number))
        if number > 1:
            host.see("docker0", IN, start + 5, datagram(number))
        host.see("eth0", OUT, start + 30, datagram(number, ttl=63))
    found = legs(correlate(tmp_path, host))
    assert list(found) == [("veth1 in", "docker0 in"), ("docker0 in", "eth0 out"), ("eth0 out", None)]


def test_ambiguous_paths_are_counted_but_not_timed(tmp_path):
    node = router()
    for number in range(3):
        node.see("eth0", IN, number * 1000, datagram(number))
        node.see("eth1", OUT, number * 1000 + 40, datagram(number, ttl=63))
    # Two equal ones, of which one is lost: which of them came out, nobody can say.
    for time in (10_000, 10_010):
        node.see("eth0", IN, time, datagram(7))
    node.see("eth1", OUT, 10_100, datagram(7, ttl=63))
    result = correlate(tmp_path, node)
    assert result.packets.ambiguous.any()
    leg = legs(result)["eth0 in", "eth1 out"]
    assert (leg.packets, latencies(leg)) == (4, (40_000, 40_000, 40_000))


def test_what_stays_on_its_link_has_no_legs(tmp_path):
    host = Node("host")
    host.interface("br0", 3, kind="bridge", link_type=LinkType.ETHERNET)
    host.interface("veth1", 5, kind="veth", master=3, peer="web1", link_type=LinkType.ETHERNET)
    host.interface("veth2", 6, kind="veth", master=3, peer="web2", link_type=LinkType.ETHERNET)
    asked = Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff") / ARP(psrc=WEB1, pdst="172.17.0.3")
    host.see("veth1", IN, 0, asked)
    host.see("br0", IN, 1, asked)
    host.see("veth2", OUT, 2, asked)
    result = correlate(tmp_path, host)
    assert result.packets.count == 1
    assert summarise_connections(result).legs.size == 0


def test_an_icmp_error_is_no_packet_of_the_connection_it_is_about(tmp_path):
    host = docker_host()
    host.see("veth1", IN, 0, datagram(1))
    host.see("docker0", IN, 5, datagram(1))
    host.see("eth0", OUT, 30, datagram(1, ttl=63))
    error = IP(src="198.51.100.1", dst=WEB1, id=9) / ICMP(type=3, code=1) / bytes(datagram(1, ttl=60))
    host.see("eth0", IN, 90, error)
    host.see("docker0", OUT, 95, error)
    host.see("veth1", OUT, 99, error)
    result = correlate(tmp_path, host)
    assert result.connections.count == 1
    assert legs(result, forward=False) == {}
    assert {counts(leg)[0] for leg in legs(result).values() if leg.to_point} == {1}


def test_only_wanted_connections_are_summarised_and_with_the_same_result(tmp_path):
    host = docker_host()
    for flow in range(3):
        for number in range(flow + 1):
            packet = IP(src=WEB1, dst=FAR, id=number) / UDP(sport=1000 + flow, dport=2000)
            host.see("veth1", IN, flow * 50 + number * 1000, packet)
            host.see("docker0", IN, flow * 50 + number * 1000 + 5, packet)
    result = correlate(tmp_path, host)
    every = summarise_connections(result)
    wanted = summarise_connections(result, np.array([False, True, False]))
    assert every.of(1).legs == wanted.of(1).legs != []
    assert wanted.of(0).legs == wanted.of(2).legs == []
    assert [len(every.of(n).legs) for n in range(3)] == [2, 2, 2]


def gso(host: Node, start: float, sizes: list[int], lost: set[int], ip_id: int) -> None:
    """3,000 bytes come in as one and leave as segments of these sizes, of which some get no further than docker0."""
    sequence = 1

    def data(offset: int, size: int, number: int) -> Packet:
        tcp = TCP(sport=1000, dport=80, flags="A", seq=offset)
        return IP(src=FAR, dst=WEB1, id=number) / tcp / bytes(size)

    host.see("eth0", IN, start, data(1, 3000, ip_id))
    for number, size in enumerate(sizes):
        host.see("docker0", OUT, start + 5 + number, data(sequence, size, ip_id + number))
        if number not in lost:
            host.see("veth1", OUT, start + 7 + number, data(sequence, size, ip_id + number))
        sequence += size


def test_a_segment_that_is_lost_is_not_lost_a_second_time_as_the_super_packet_it_was_cut_from(tmp_path):
    host = docker_host()
    gso(host, 1_000_000, [1000, 1000, 1000], {1}, 10)
    keep_recording(host)
    found = legs(correlate(tmp_path, host))
    assert counts(found["docker0 out", "veth1 out"]) == (2, 1, 0)
    assert sum(leg.lost for leg in found.values()) == 1


def test_a_super_packet_of_which_a_part_was_never_seen_again_is_lost_where_it_ends(tmp_path):
    host = docker_host()
    gso(host, 1_000_000, [1000, 1000], set(), 10)
    keep_recording(host)
    found = legs(correlate(tmp_path, host))
    assert {ends: leg.lost for ends, leg in found.items() if leg.lost} == {("eth0 in", None): 1}


def test_the_table_has_a_row_for_each_leg(tmp_path):
    host = docker_host()
    losing(host, {3, 4})
    table = legs_table(correlate(tmp_path, host))
    rows = table[table["connection"] == 1].to_dict("records")
    assert [(row["from_interface"], row["to_interface"]) for row in rows[:2]] == [
        ("veth1", "docker0"),
        ("docker0", "eth0"),
    ]
    assert (rows[1]["packets"], rows[1]["lost"], rows[1]["latency_median_ns"]) == (18, 2, 25_000)
    assert table["to_interface"].isna().tolist() == table["latency_min_ns"].isna().tolist()
    assert sum(row["to_interface"] is None or row["to_interface"] != row["to_interface"] for row in rows) == 1
