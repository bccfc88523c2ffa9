"""Why a frame is matched with others, and why not: what `--explain` says of built captures."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN

from ttrace.correlate import correlate_captures
from ttrace.correlate.explain.absent_points import Absence, Nearness
from ttrace.correlate.explain.compared_fields import PayloadCheck, compared_fields, differences
from ttrace.correlate.explain.equal_packets import NotIt
from ttrace.correlate.explain.explain import explain
from ttrace.correlate.explain.frame_reference import find_frame
from ttrace.correlate.flows.connections import Tie
from ttrace.correlate.sightings import frames
from ttrace.errors import UsageError
from ttrace.pcapng.blocks import LinkType
from ttrace.report import render_explanations
from ttrace.report.text.words import WORDS

from ..decode.test_compared_bytes import conversation, write
from ..scene import DOCKER0, ETH0, IN, OUT, SNAT, Node, correlate, docker_host, paths

WEB1, HOST, FAR = "172.17.0.2", "192.0.2.1", "203.0.113.1"
ENTRY = (((WEB1, 1000), (FAR, 80)), ((FAR, 80), (HOST, 1000)))
RECORDINGS = sorted((Path(__file__).parents[3] / "pcaps").glob("docker-*"))


def router(name: str = "router", *, interfaces: tuple[str, ...] = ("eth0", "eth1")) -> Node:
    """A node of which nothing but its frames is known."""
    node = Node(name, snapshots=False)
    for number, interface in enumerate(interfaces):
        node.interface(interface, number + 2)
    return node


def at_point(result, interface: str) -> str:
    """`FILE:FRAME` of the first frame at an interface."""
    hops = [result.hop_of(row) for row in range(frames(result.sightings).size)]
    hop = next(hop for hop in hops if hop.interface == interface)
    return f"{hop.file}:{hop.frame}"


def said(result, reference: str) -> str:
    """The text about a frame, `FILE:FRAME`."""
    return "".join(render_explanations(result, [find_frame(result, reference)], "text"))


def explained(result, reference: str):
    return explain(result, find_frame(result, reference))


def segment(source: str, sport: int, flags: str, ip_id: int, *, seq: int = 1, data: bytes = b"", ttl: int = 64) -> IP:
    return IP(src=source, dst=FAR, id=ip_id, ttl=ttl) / TCP(sport=sport, dport=80, flags=flags, seq=seq) / data


def datagram(source: str, port: int, data: bytes, *, ip_id: int = 0, ttl: int = 64) -> IP:
    return IP(src=source, dst=FAR, id=ip_id, ttl=ttl) / UDP(sport=port, dport=53) / data


# --- what it is matched with ----------------------------------------------------------------------------------------


def test_the_frame_itself_and_what_became_of_it(tmp_path):
    host = docker_host("host")
    host.see("docker0", IN, 1.5, segment(WEB1, 1000, "S", 4711, seq=77))
    result = correlate(tmp_path, host)
    reference = at_point(result, "docker0")
    text = said(result, reference)
    assert text.startswith(
        f"host.pcapng:{reference.rpartition(':')[2]}   tcp SYN   172.17.0.2:1000 -> 203.0.113.1:80\n"
        "  host docker0 in   2023-11-14 22:13:20.000001500 UTC   ttl 64   40 bytes\n"
        "  path #1 of connection [1], client to server   UNKNOWN   confidence 1.00\n"
    )
    assert "\nSeen nowhere else\n  looked for: sequence number 77, flags SYN, acknowledgment 0, window 8192, " in text
    assert "IP ID 4711, length 40\n" in text


def test_across_nat_the_votes_of_equal_packets_are_told(tmp_path):
    node = router()
    for number in range(7):
        node.see("eth0", IN, number * 100, datagram(WEB1, 1000, bytes(20 + number), ip_id=50 + number))
        node.see("eth1", OUT, number * 100 + 9, datagram(HOST, 1000, bytes(20 + number), ip_id=50 + number, ttl=63))
    text = said(correlate(tmp_path, node), "router.pcapng:1")
    assert "\n  A  router.pcapng:1  router eth0 in   this frame  ttl 64\n" in text
    assert "\n  B  router.pcapng:2  router eth1 out  +9 us       ttl 63 (-1)\n" in text
    assert "equal in all of them: IP ID 50, length 48, first bytes 00 00 00 00 00 00 00 00 00 00 00 00\n" in text
    assert "  the payload is equal\n" in text
    assert "B  192.0.2.1:1000 -> 203.0.113.1:53   router  = A: 7 equal packets, of 7 here and 7 there; nothing" in text


def test_the_conntrack_entry_that_joins_two_flows_is_named(tmp_path):
    host = docker_host("host")
    host.see("docker0", IN, 0, segment(WEB1, 1000, "S", 1))
    host.see("eth0", OUT, 9, segment(HOST, 1000, "S", 1, ttl=63))
    host.conntrack(10, *ENTRY, status=SNAT, ct_id=4242)
    result = correlate(tmp_path, host)
    found = explained(result, at_point(result, "eth0"))
    assert [(flow.source, flow.conntrack_id) for flow in found.flows] == [
        (f"{HOST}:1000", None),
        (f"{WEB1}:1000", 4242),
    ]
    words = "= A: a conntrack entry (id 4242) translates one into the other"
    assert words in said(result, at_point(result, "eth0"))


def test_the_trace_that_shows_one_packet_under_two_flows(tmp_path):
    host = docker_host("host")
    inside, outside = segment(WEB1, 1000, "S", 1), segment(HOST, 1000, "S", 1, ttl=63)
    host.see("docker0", IN, 0, inside)
    host.see("eth0", OUT, 9, outside)
    host.trace(20, inside, "FORWARD", iif=DOCKER0, oif=ETH0, ct=(5, 0, SNAT))
    host.trace(21, outside, "ttrace-last", table="ttrace", family="inet", oif=ETH0, ct=(5, 0, SNAT))
    result = correlate(tmp_path, host)
    text = said(result, at_point(result, "docker0"))
    assert "= A: the trace shows one packet under both" in text
    assert re.search(r"\n  A  trace +host +forward\n", text)


def test_a_chain_of_ties_goes_step_by_step_and_by_the_kernel_where_it_can(tmp_path):
    """Host a has conntrack, host b nothing: contents would join them all, but tell of the last step only."""
    a, b = docker_host("a", HOST), router("b")
    for number in range(3):
        start = number * 1000
        plain = segment(WEB1, 1000, "S" if number == 0 else "A", number + 1, seq=number + 1)
        sent = segment(HOST, 1000, "S" if number == 0 else "A", number + 1, seq=number + 1, ttl=63)
        given = sent.copy()
        given.ttl, given.dst = 62, "10.9.9.9"
        a.see("docker0", IN, start, plain)
        a.see("eth0", OUT, start + 9, sent)
        b.see("eth0", IN, start + 30, sent)
        b.see("eth1", OUT, start + 40, given)
    a.conntrack(10, *ENTRY, status=SNAT)
    result = correlate(tmp_path, a, b)
    found = explained(result, at_point(result, "docker0"))
    ties = [(flow.node, flow.source, flow.tied_to, flow.tie and flow.tie.name) for flow in found.flows]
    assert ties == [
        ("a", f"{WEB1}:1000", None, None),
        ("a", f"{HOST}:1000", 0, "CONNTRACK"),
        ("b", f"{HOST}:1000", 1, "ADDRESSES"),
        ("b", f"{HOST}:1000", 2, "CONTENT"),
    ]
    assert (found.flows[3].votes, found.flows[3].packets) == (3, (3, 3))


def test_between_nodes_a_difference_of_times_has_the_error_of_the_clocks(tmp_path):
    a, b = router("a"), router("b")
    for number in range(20):
        there = segment(HOST, 1000, "A", 100 + number, seq=number)
        back = IP(src=FAR, dst=HOST, id=number) / TCP(sport=80, dport=1000, flags="A", seq=number)
        a.see("eth0", OUT, number * 1000, there)
        b.see("eth0", IN, number * 1000 + 5_000_000 + 40, there)
        b.see("eth0", OUT, number * 1000 + 5_000_000 + 100, back)
        a.see("eth0", IN, number * 1000 + 140, back)
    found = explained(correlate(tmp_path, a, b), "a.pcapng:1")
    (other,) = [s.seen for s in found.sightings if s.seen.hop != found.frame]
    assert other.clock_error_ns is not None
    assert 0 < other.clock_error_ns <= 41_000
    assert abs(other.difference_ns - 40_000) <= other.clock_error_ns
    assert f"± {round(other.clock_error_ns / 1000)} us" in said(correlate(tmp_path, a, b), "a.pcapng:1")


def test_without_packets_both_ways_the_clocks_are_not_comparable(tmp_path):
    a, b = router("a"), router("b")
    a.see("eth0", OUT, 0, segment(HOST, 1000, "S", 1))
    b.see("eth0", IN, 5_000_000, segment(HOST, 1000, "S", 1))
    assert "(clocks not comparable)" in said(correlate(tmp_path, a, b), "a.pcapng:1")


@pytest.mark.parametrize(
    ("reach", "words"),
    [
        (64, "no more than 10 bytes of the transport header were compared"),
        (2000, "the payload is equal"),
    ],
)
def test_how_much_of_a_cut_packet_was_compared(reach, words, tmp_path):
    before = write(tmp_path / "a.pcap", conversation("fd17::2", "fd77::2", 8000, 0xABCDE), reach)
    after = write(tmp_path / "b.pcap", conversation("fd77::1", "fd18::2", 9000, 0xABCDE), reach, start_us=30)
    result = correlate_captures([f"n/docker0={before}", f"n/eth0={after}"])
    text = said(result, "n/docker0:3")
    assert words in text
    assert "flow label 0xabcde" in text
    whole = "sequence number 100, flags PSH,ACK, acknowledgment 900, window 8192, length 70\n"
    cut = "sequence number 100, length 70, flow label 0xabcde\n"
    assert f"equal in all of them: {cut if reach == 64 else whole}" in said(result, "a.pcap:1")


def test_of_a_cut_payload_the_checksum_is_told(tmp_path):
    packets = [IP(src=source, dst=FAR, id=7) / UDP(sport=1, dport=2) / bytes(range(200)) for source in (WEB1, HOST)]
    names = [write(tmp_path / f"{i}.pcap", [packet], 64, start_us=30 * i) for i, packet in enumerate(packets)]
    text = said(correlate_captures([f"n/docker0={names[0]}", f"n/eth0={names[1]}"]), "0.pcap:1")
    assert "the payload was cut, but the checksum, less what NAT changes in it, says that it is equal" in text


def test_a_packet_in_a_tunnel_is_compared_by_what_is_inside(tmp_path):
    node = Node("n", snapshots=False)
    node.interface("docker0", 2, link_type=LinkType.ETHERNET)
    node.interface("eth0", 3, link_type=LinkType.ETHERNET)
    inner = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / datagram(
        WEB1, 1000, b"the first words of it", ip_id=9
    )
    outer = (
        Ether() / IP(src=HOST, dst=FAR, id=88) / UDP(sport=5555, dport=4789) / VXLAN(vni=42, flags="Instance") / inner
    )
    node.see("docker0", IN, 0, inner)
    node.see("eth0", OUT, 9, outer)
    result = correlate(tmp_path, node)
    for frame in (1, 2):
        text = said(result, f"n.pcapng:{frame}")
        assert f"equal in all of them: IP ID 9, length 49, first bytes {b'the first wo'.hex(' ')}\n" in text
        assert "in VXLAN 42 192.0.2.1:5555 -> 203.0.113.1:4789" in text


# --- what else was considered ---------------------------------------------------------------------------------------


def test_equal_twins_are_a_draw(tmp_path):
    node = router()
    twin = datagram(WEB1, 1000, b"the same words")
    node.see("eth0", IN, 0, twin)
    node.see("eth0", IN, 5, twin)
    node.see("eth1", OUT, 10, twin)
    text = said(correlate(tmp_path, node), "router.pcapng:3")
    assert "\n  AMBIGUOUS: it may have been exchanged for #1\n" in text
    assert (
        "#1  router.pcapng:1  router eth0 in  -10 us  a draw, decided by the order of time; router eth0 in saw both"
        in text
    )
    assert "(frames 2 and 1)" in text


def test_equal_packets_that_one_point_saw_are_two(tmp_path):
    node = router()
    twin = datagram(WEB1, 1000, b"the same words")
    for start in (0, 1000):
        node.see("eth0", IN, start, twin)
        node.see("eth1", OUT, start + 10, twin)
    text = said(correlate(tmp_path, node), "router.pcapng:2")
    assert (
        "#2  router.pcapng:3  router eth0 in  +990 us  another packet, for router eth0 in saw both (frames 1 and 3)"
        in text
    )


def test_equal_packets_long_after_each_other_are_two(tmp_path):
    node = router()
    node.see("eth0", IN, 0, datagram(WEB1, 1000, b"the same words"))
    node.see("eth1", OUT, 5_000_000, datagram(WEB1, 1000, b"the same words"))
    text = said(correlate(tmp_path, node), "router.pcapng:1")
    assert "#2  router.pcapng:2  router eth1 out  +5.00 s  more than 2 s apart" in text


def test_a_different_payload_is_told_with_the_first_byte_that_differs(tmp_path):
    node = router()
    words = [b"the first twelve and then a", b"the first twelve and then b"]
    for number, word in enumerate(words):
        node.see("eth0", IN, number, datagram(WEB1, 1000, word))
        node.see("eth1", OUT, 10 - number, datagram(WEB1, 1000, word))
    result = correlate(tmp_path, node)
    text = said(result, "router.pcapng:1")
    assert "its payload is another, from byte 26 on" in text
    assert "router eth1 out  +10 us" in text
    assert explained(result, "router.pcapng:1").equal.shown[0].different_byte == words[0].rindex(b"a")


def test_flows_that_fit_several_others_are_named_with_their_votes(tmp_path):
    node = router()
    for number in range(4):
        for client, port, own in ((2, 1000, 40001), (3, 2000, 40002)):
            words = bytes(20 + number)
            node.see("eth0", IN, number * 100 + client, datagram(f"172.17.0.{client}", port, words))
            node.see("eth1", OUT, number * 100 + 10 + client, datagram(HOST, own, words, ttl=63))
    result = correlate(tmp_path, node)
    text = said(result, "router.pcapng:1")
    mine = explained(result, "router.pcapng:1").path.connection
    behind = sorted({path.connection for path in paths(result) if path.hops[0].interface == "eth1"})
    first, second = behind
    assert f"its connection may be [{first}] or [{second}] behind a translation" in text
    assert f"of connection [{first}], whose flow shares 4 of 4 packets with this one, but [{second}] would fit" in text
    assert mine not in behind


def test_flows_that_share_too_little_are_not_linked(tmp_path):
    node = router()
    for number in range(10):
        node.see("eth0", IN, number * 100, datagram(WEB1, 1000, bytes(20 + number), ip_id=1 + number))
        node.see("eth1", OUT, number * 100 + 9, datagram(HOST, 1000, bytes(20 + number * number), ip_id=1 + number))
    result = correlate(tmp_path, node)
    assert "of connection [2]: nothing ties its flow to this one; they share 2 of 10 packets" in said(
        result, "router:1"
    )


def test_where_conntrack_is_recorded_equal_content_joins_nothing(tmp_path):
    host = docker_host("host")
    host.see("docker0", IN, 0, segment(WEB1, 1000, "S", 1))
    host.see("eth0", OUT, 9, segment("192.0.2.77", 1000, "S", 1, ttl=63))
    host.conntrack(10, *ENTRY, status=SNAT)
    result = correlate(tmp_path, host)
    words = "conntrack is recorded on both sides, and no entry joins the two flows"
    assert words in said(result, at_point(result, "docker0"))


def test_a_reused_port_is_another_connection(tmp_path):
    node = router(interfaces=("eth0",))
    for start, seq in ((0, 1), (30_000_000, 500)):
        node.see("eth0", IN, start, segment(WEB1, 1000, "S", 7, seq=seq))
        node.see("eth0", IN, start + 100, segment(WEB1, 1000, "A", 8, seq=77))
    text = said(correlate(tmp_path, node), "router.pcapng:2")
    assert "of connection [2]: the same addresses, in an earlier or later connection" in text


def test_the_same_addresses_inside_of_two_nodes_are_two_connections(tmp_path):
    nodes = [docker_host("a", "192.0.2.1"), docker_host("b", "192.0.2.2")]
    for node in nodes:
        node.see("docker0", IN, 5, segment("172.17.0.2", 1000, "S", 1))
    result = correlate(tmp_path, *nodes)
    text = said(result, at_point(result, "docker0"))
    assert "of connection [2]: the same addresses, but not seen on a wire" in text


# --- where it was not seen ------------------------------------------------------------------------------------------


def test_the_packets_there_that_are_nearest_in_time_and_what_differs(tmp_path):
    node = router()
    for number in range(3):
        packet = segment(WEB1, 1000, "A", 4709 + number, seq=1 + 1000 * number)
        node.see("eth0", IN, number * 100, packet)
        if number != 1:
            node.see("eth1", OUT, number * 100 + 10, packet)
    text = said(correlate(tmp_path, node), "router.pcapng:3")
    assert (
        "\nNot seen at\n  router eth1 out: not this packet, but others of this direction, the nearest in time\n" in text
    )
    assert (
        "router.pcapng:2  #1  -90 us   sequence number 1 instead of 1001 (-1,000), IP ID 4709 instead of 4710\n" in text
    )
    assert (
        "router.pcapng:5  #3  +110 us  sequence number 2001 instead of 1001 (+1,000), IP ID 4711 instead of 4710\n"
        in text
    )


def test_a_datagram_differs_by_its_identification_first(tmp_path):
    node = router()
    node.see("eth0", IN, 0, datagram(WEB1, 1000, b"words", ip_id=4710))
    node.see("eth1", OUT, 10, datagram(WEB1, 1000, b"words", ip_id=4711))
    assert "router.pcapng:2  #2  +10 us  IP ID 4711 instead of 4710\n" in said(correlate(tmp_path, node), "router:1")


def test_the_same_bytes_once_more_or_cut_differently(tmp_path):
    node = router()
    node.see("eth0", IN, 0, segment(WEB1, 1000, "A", 1, seq=2**32 - 50, data=bytes(200)))
    node.see("eth1", OUT, 10, segment(WEB1, 1000, "A", 2, seq=2**32 - 50, data=bytes(100)))
    node.see("eth1", OUT, 11, segment(WEB1, 1000, "A", 3, seq=50, data=bytes(100)))
    node.see("eth1", OUT, 12, segment(WEB1, 1000, "A", 4, seq=150, data=bytes(100)))
    result = correlate(tmp_path, node)
    text = said(result, "router.pcapng:1")
    assert "router eth1 out: not this packet, but 2 other packets with bytes of its payload\n" in text
    assert "+10 us  100 of its 200 bytes, IP ID 2 instead of 1" in text
    assert "+11 us  100 of its 200 bytes, sequence number 50 instead of 4294967246 (+100)" in text
    (point,) = explained(result, "router.pcapng:1").absent
    assert [near.shared_bytes for near in point.near] == [100, 100]


def test_packets_with_the_same_addresses_or_words_that_nothing_ties_to_it(tmp_path):
    """Something between the nodes gave the packets new IP ids and, on c, new addresses."""
    nodes = [router(name, interfaces=("eth0",)) for name in "abc"]
    for number in range(3):
        for node, source, ip_id in zip(nodes, (HOST, HOST, "10.0.0.7"), (10, 60, 90), strict=True):
            time = number * 100 + 7 * nodes.index(node)
            node.see("eth0", IN, time, segment(source, 1000, "A", ip_id + number, seq=5000 + 40 * number))
    text = said(correlate(tmp_path, *nodes), "a.pcapng:2")
    nothing = "nothing of this connection in this direction, but packets"
    assert f"  b eth0 in: {nothing} with the same addresses that nothing ties to it, the nearest in time\n" in text
    assert "b.pcapng:2  #5  +7 us (clocks not comparable)   IP ID 61 instead of 11\n" in text
    assert f"  c eth0 in: {nothing} under other addresses with the same sequence numbers or payload" in text
    assert "+14 us (clocks not comparable)  10.0.0.7:1000 -> 203.0.113.1:80  IP ID 91 instead of 11\n" in text


def test_where_nothing_could_be_seen_the_reason_is_told(tmp_path):
    early, late, losing, idle = (router(name, interfaces=("eth0",)) for name in ("early", "late", "losing", "idle"))
    other = datagram("198.51.100.7", 9, b"something else")
    early.see("eth0", IN, 0, other)
    late.see("eth0", IN, 9_000_000, other)
    for node in (losing, idle):
        for time in (0, 9_000_000):
            node.see("eth0", IN, time + 1, other)
    losing.lost("eth0", 100, 0)
    losing.lost("eth0", 9_000_000, 5)
    node = router("node", interfaces=("eth0", "eth1"))
    node.see("eth0", IN, 3_000_000, segment(WEB1, 1000, "S", 1))
    text = said(correlate(tmp_path, node, early, late, losing, idle), "node.pcapng:1")
    for line in (
        "early eth0: what was captured there ends 3.00 s earlier",
        "late eth0: what was captured there begins 6.00 s later",
        "losing eth0: the capture lost packets there around that time",
        "idle eth0: nothing of this connection was seen there",
        "node eth1: nothing at all was captured there",
    ):
        assert f"\n  {line}\n" in text


def test_points_that_saw_the_answers_only_are_told_apart(tmp_path):
    node = router()
    node.see("eth0", IN, 0, segment(WEB1, 1000, "S", 1))
    node.see("eth0", OUT, 20, IP(src=FAR, dst=WEB1) / TCP(sport=80, dport=1000, flags="SA"))
    node.see("eth1", IN, 10, IP(src=FAR, dst=WEB1) / TCP(sport=80, dport=1000, flags="SA"))
    text = said(correlate(tmp_path, node), "router.pcapng:1")
    assert "router eth1: only the other direction of this connection was seen there" in text


# --- every frame ----------------------------------------------------------------------------------------------------


def odd_packets() -> list:
    """One of each kind that is compared in a way of its own."""
    ping = ICMP(type=8, id=7, seq=3) / b"abcdefgh"
    return [
        IP(src=WEB1, dst=FAR, id=4) / ping,
        IPv6(src="fd00::1", dst="fd00::2", fl=5) / ICMPv6EchoRequest(id=4, seq=2, data=b"12345"),
        IP(src=FAR, dst=WEB1, id=5) / ICMP(type=3, code=1) / bytes(IP(src=WEB1, dst=FAR, id=4) / ping),
        IP(src=WEB1, dst=FAR, proto=132, id=6) / bytes(range(40)),
        IP(src=WEB1, dst=FAR, proto=50, id=6) / bytes(range(40)),
        IP(src=WEB1, dst=FAR, proto=33, id=8) / bytes(range(40)),
        IP(src=WEB1, dst=FAR, id=77, flags="MF") / bytes(range(64)),
        IP(src=WEB1, dst=FAR, id=77, frag=8) / bytes(range(30)),
        ARP(psrc=WEB1, pdst="172.17.0.1"),
    ]


def test_what_is_compared_is_equal_in_every_path_and_differs_between_contents(tmp_path):
    """The words must be those of the hash: equal where it is equal, and different where it is not."""
    node = Node("n", snapshots=False)
    for number, name in enumerate(("eth0", "eth1")):
        node.interface(name, number + 2, link_type=LinkType.ETHERNET)
    for number, packet in enumerate(odd_packets()):
        node.see("eth0", IN, number * 10, Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet)
        node.see("eth1", OUT, number * 10 + 2, Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04") / packet)
    result = correlate(tmp_path, node)
    check_words(result)
    assert "about a packet of length 36, IP ID 4" in said(result, "n.pcapng:5")
    assert "equal in all of them: IP ID 77\n" in said(result, "n.pcapng:13")


@pytest.mark.slow
@pytest.mark.parametrize("folder", RECORDINGS, ids=lambda folder: folder.name)
def test_every_frame_of_a_recording_can_be_explained(folder):
    result = correlate_captures([str(file) for file in sorted(folder.glob("*.pcapng"))])
    check_words(result)
    for form in ("text", "json"):
        assert "".join(render_explanations(result, range(frames(result.sightings).size), form))


def check_words(result) -> None:
    seen = np.arange(frames(result.sightings).size)
    words = {int(row): compared_fields(result, int(row)) for row in seen}
    content = result.sightings["content"]
    group = result.connections.way
    for row in seen.tolist():
        found = explain(result, row)
        assert words[row]
        for sighting in found.sightings:
            hop = sighting.seen.hop
            if hasattr(hop, "frame"):
                assert words[find_frame(result, f"{hop.file}:{hop.frame}")] == words[row]
        others = seen[(group[seen] == group[row]) & (content[seen] != content[row])]
        assert all(differences(result, row, int(other)) for other in others)


def test_its_json_is_described(three):
    text = (Path(__file__).parents[3] / "docs" / "json.md").read_text()
    named = set(re.findall(r"`([a-z_-]+)`", text))
    recorded = correlate_captures([str(file) for file in sorted(RECORDINGS[0].glob("*.pcapng"))])
    documents = [
        json.loads("".join(render_explanations(result, range(frames(result.sightings).size), "json")))
        for result in (three, recorded)
    ]
    assert set(field_names(documents)) <= named
    kinds = {*NotIt, *Absence, *Nearness, *PayloadCheck, *(tie.name.lower() for tie in Tie if tie != Tie.RIVAL)}
    assert {str(kind) for kind in kinds} - {"different"} <= named
    assert set(WORDS) <= named


def field_names(value):
    if isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from field_names(part)
    elif isinstance(value, list):
        for part in value:
            yield from field_names(part)


# --- which frame ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A Docker host with trace and conntrack, and two plain files with one name."""
    folder = tmp_path_factory.mktemp("three")
    host = docker_host("host")
    host.see("docker0", IN, 10, segment(WEB1, 1000, "S", 1))
    host.trace(20, segment(WEB1, 1000, "S", 1), "FORWARD", iif=DOCKER0, oif=ETH0)
    host.conntrack(30, *ENTRY, status=SNAT)
    files = [host.write(folder)]
    for name in ("x", "y"):
        (folder / name).mkdir()
        files.append(f"{name}/eth0={write(folder / name / 'c.pcap', [datagram(WEB1, 1, b'')], 2000)}")
    return correlate_captures(files)


@pytest.mark.parametrize("name", ["{path}", "x/eth0={path}", "x=..", "x/eth0", "x"])
def test_a_file_can_be_named_as_given_by_its_point_or_by_its_node(name, three):
    reference = name.replace("x=..", "x/eth0").format(path=three.files[1].path)
    assert three.hop_of(find_frame(three, f"{reference}:1")).file == three.files[1].path


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("1", "`1` says no file, and there are 3"),
        ("c.pcap:1", "`c.pcap` in `c.pcap:1` may be "),
        ("z.pcap:1", "`z.pcap` in `z.pcap:1` is none of the files"),
        ("host:0", "there is no frame 0 in `"),
        ("host:99", "there is no frame 99 in `"),
        ("host:one", "`host:one` names no frame"),
        ("host", "`host` names no frame"),
        ("host:1", "is no packet but a snapshot that the capture took of its node"),
    ],
)
def test_what_names_no_packet_is_said_in_a_line(reference, words, three):
    with pytest.raises(UsageError) as caught:
        find_frame(three, reference)
    assert words in caught.value.message
    assert "\n" not in caught.value.message


def test_of_a_kernel_message_it_is_said_which_it_is(three):
    number = int(at_point(three, "docker0").rpartition(":")[2])
    with pytest.raises(UsageError) as trace:
        find_frame(three, f"host:{number + 1}")
    path = explained(three, f"host:{number}").path.id
    assert trace.value.message.endswith(
        f"is no packet but a trace message: the forward chain ip filter FORWARD, of path {path}"
    )
    assert trace.value.hint == f"`--path {path}` shows it"
    with pytest.raises(UsageError) as conntrack:
        find_frame(three, f"host:{number + 2}")
    assert conntrack.value.message.endswith(
        "is no packet but a conntrack message: a new entry tcp 172.17.0.2:1000 -> 203.0.113.1:80, "
        "answered 203.0.113.1:80 -> 192.0.2.1:1000"
    )


def test_a_conntrack_message_of_a_protocol_without_ports_has_none(tmp_path):
    host = docker_host("host")
    host.see("eth0", OUT, 0, IP(src=HOST, dst=FAR) / ICMP(id=7))
    host.conntrack(5, ((HOST, 0), (FAR, 0)), ((FAR, 0), (HOST, 0)), protocol=1)
    message = host.noted - 1
    result = correlate(tmp_path, host)
    with pytest.raises(UsageError) as said:
        find_frame(result, f"host:{host.frame_numbers()[message]}")
    assert said.value.message.endswith(f"a new entry icmp {HOST} -> {FAR}, answered {FAR} -> {HOST}")


def test_a_lone_file_needs_no_name(tmp_path):
    result = correlate_captures([write(tmp_path / "a.pcap", [datagram(WEB1, 1, b"")], 2000)])
    assert find_frame(result, "1") == 0
    with pytest.raises(UsageError, match="there is no frame 2"):
        find_frame(result, "2")
