"""What the kernel says of its drops: each reason as its kind of finding, and what is nobody's fault."""

import struct

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from ttrace.correlate.result.values import KernelHop
from ttrace.pcapng.blocks import DROP_MESSAGE, DropAttribute
from ttrace.report.telling import Telling

from ..frames import attribute, message
from ..scene import DROP, DROP_RULE, ETH0, IN, OUT, Node, correlate, docker_host, keep_recording, paths

CLIENT, SERVER, HOST = "203.0.113.7", "203.0.113.99", "192.0.2.1"


def dropped(
    node: Node, time_us: float, packet: IP, reason: str, function: str = "f", *, device: int = ETH0, netns="root"
):
    numbers = {DropAttribute.REASON_NUMBER: 9, DropAttribute.DEVICE: device, DropAttribute.INPUT: device}
    data = b"".join(attribute(kind, struct.pack("<I", value)) for kind, value in numbers.items())
    data += attribute(DropAttribute.REASON, reason.encode().ljust(48, b"\0"))
    data += attribute(DropAttribute.SYMBOL, f"{function}+0x10/0x20".encode().ljust(64, b"\0"))
    node.message(time_us, message(DROP_MESSAGE, data + attribute(DropAttribute.PACKET, bytes(packet))), netns=netns)


def datagram(port: int = 7000, *, to: str = HOST, ttl: int = 60, number: int = 1) -> IP:
    return IP(src=CLIENT, dst=to, id=number, ttl=ttl) / UDP(sport=4000, dport=port) / b"x"


def segment(flags: str, number: int, *, back: bool = False, payload: bytes = b"", seq: int = 1, ack: int = 1) -> IP:
    ends = (HOST, CLIENT, 80, 4000) if back else (CLIENT, HOST, 4000, 80)
    header = IP(src=ends[0], dst=ends[1], id=number)
    return header / TCP(sport=ends[2], dport=ends[3], flags=flags, seq=seq, ack=ack) / payload


def told(tmp_path, node: Node):
    keep_recording(node)
    result = correlate(tmp_path, node)
    return result, Telling.chosen(result).head[0]


@pytest.mark.parametrize(
    ("reason", "function", "kind", "words"),
    [
        ("NEIGH_FAILED", "neigh_invalidate", "neighbour_unresolved", "nobody answers there for 192.0.2.1"),
        ("IP_RPFILTER", "ip_rcv_finish_core", "reverse_path", f"the way back to {CLIENT} does not lead out by eth0"),
        ("IP_INNOROUTES", "ip_error", "no_route", f"it has no route to {HOST}"),
        ("IP_LOCALNET", "ip_rcv_finish_core", "martian", "route_localnet of eth0 is 0"),
        ("UDP_CSUM", "__udp4_lib_rcv", "checksum_wrong", "its UDP checksum is wrong"),
        ("PKT_TOO_BIG", "ip_forward", "mtu_exceeded", "no ICMP error was seen"),
        ("NO_SOCKET", "__udp4_lib_rcv", "refused", "nobody listens at 192.0.2.1:7000 (host)"),
        ("QDISC_OVERLIMIT", "__dev_queue_xmit", "queue_drop", "the queue of eth0 takes no more"),
        ("XDP", "do_xdp_generic", "before_netfilter", "by an XDP program"),
        ("FRAG_REASM_TIMEOUT", "ip_expire", "fragment_missing", "did not come in time"),
        ("SOCKET_RCVBUFF", "__udp_enqueue_schedule_skb", "kernel_drop", "its program does not read"),
        ("A_REASON_OF_LATER_KERNELS", "some_function", "kernel_drop", "A_REASON_OF_LATER_KERNELS (some_function)"),
    ],
)
def test_each_reason_is_a_kind_of_finding(tmp_path, reason, function, kind, words):
    node = docker_host()
    for number in (1, 2):
        node.see("eth0", IN, number * 1000, datagram(number=number))
        dropped(node, number * 1000 + 30, datagram(number=number), reason, function)
    result, (found,) = told(tmp_path, node)
    assert (found.kind, found.severity, found.packets) == (kind, "fault", 2)
    assert found.text.startswith(f"host eth0 drops 2 packets of udp {CLIENT}:4000 -> {HOST}:7000 (host): ")
    assert words in found.text
    assert found.evidence[0].what == "kernel"
    assert found.evidence[0].text == f"host: {reason} ({function})"
    assert [path.outcome for path in paths(result)[:2]] == ["dropped", "dropped"]


def test_a_frame_for_the_address_of_the_receiver_with_another_mac(tmp_path):
    node = docker_host()
    node.see("eth0", IN, 0, datagram())
    dropped(node, 30, datagram(), "OTHERHOST", "ip_rcv_core")
    _, (found,) = told(tmp_path, node)
    assert (found.kind, found.severity) == ("wrong_mac", "fault")
    assert "addressed to another MAC than that of eth0" in found.text


def test_a_frame_that_is_for_others_is_no_drop(tmp_path):
    """A switch floods it, and a card in promiscuous mode takes all."""
    node = docker_host()
    node.see("eth0", IN, 0, datagram(to=SERVER))
    dropped(node, 30, datagram(to=SERVER), "OTHERHOST", "ip_rcv_core")
    result, found = told(tmp_path, node)
    assert not found
    assert paths(result)[0].outcome == "unknown"


@pytest.mark.parametrize(
    "function",
    [
        "raw_rcv",
        "raw_rcv_skb",
        "tpacket_rcv",
        "packet_rcv.part.0",
        "rawv6_rcv",
        "rawv6_rcv_skb",
        "__ping_queue_rcv_skb",
    ],
)
def test_what_a_tap_did_not_take_says_nothing(tmp_path, function):
    node = docker_host()
    node.see("eth0", IN, 0, datagram())
    dropped(node, 30, datagram(), "SOCKET_RCVBUFF", function)
    result, found = told(tmp_path, node)
    assert not found
    assert not any(isinstance(hop, KernelHop) for hop in paths(result)[0].hops)


@pytest.mark.parametrize("reason", ["NOT_SPECIFIED", "UNHANDLED_PROTO"])
def test_a_reason_that_names_no_cause_is_no_finding(tmp_path, reason):
    node = docker_host()
    node.see("eth0", IN, 0, datagram(to=SERVER))
    dropped(node, 30, datagram(to=SERVER), reason, "some_function")
    assert not told(tmp_path, node)[1]


def test_a_group_and_a_broadcast_are_wanted_by_nobody(tmp_path):
    node = docker_host()
    for number, address in enumerate(("224.0.0.251", "255.255.255.255", "192.0.2.255")):
        packet = datagram(to=address, number=number + 1)
        node.see("eth0", IN, number * 1000, packet)
        dropped(node, number * 1000 + 30, packet, "IP_INVALID_DEST", "ip_route_input")
    assert not told(tmp_path, node)[1]


def connection(node: Node, lost: IP, reason: str, *, again: bool = True, function: str = "tcp_data_queue"):
    """A connection of which one segment is dropped, and sent again 200 ms later."""
    node.see("eth0", IN, 0, segment("S", 1, seq=0))
    node.see("eth0", OUT, 100, segment("SA", 1, back=True, seq=0))
    node.see("eth0", IN, 200, segment("A", 2))
    node.see("eth0", IN, 300, lost)
    dropped(node, 330, lost, reason, function)
    if again:
        sent_again = lost.copy()
        sent_again[IP].id = 77
        node.see("eth0", IN, 200_300, sent_again)
        node.see("eth0", OUT, 200_400, segment("A", 2, back=True, ack=6))


def test_what_tcp_makes_good_is_a_notice_where_the_cause_is_worth_to_know(tmp_path):
    node = docker_host()
    connection(node, segment("PA", 3, payload=b"hello"), "QDISC_DROP", function="__dev_queue_xmit")
    (found,) = told(tmp_path, node)[1]
    assert (found.kind, found.severity) == ("queue_drop", "notice")


@pytest.mark.parametrize("reason", ["TCP_OLD_DATA", "TCP_RFC7323_PAWS", "TCP_OFOMERGE", "TCP_INVALID_SEQUENCE"])
def test_what_tcp_throws_away_and_makes_good_is_not_said(tmp_path, reason):
    node = docker_host()
    connection(node, segment("PA", 3, payload=b"hello"), reason)
    assert not told(tmp_path, node)[1]


def test_what_tcp_throws_away_for_good_is_said(tmp_path):
    node = docker_host()
    connection(node, segment("PA", 3, payload=b"hello"), "TCP_RFC7323_PAWS", again=False)
    (found,) = told(tmp_path, node)[1]
    assert (found.kind, found.severity) == ("kernel_drop", "fault")
    assert "TCP_RFC7323_PAWS (tcp_data_queue)" in found.text


def test_an_acknowledgement_that_tcp_throws_away_harms_nobody(tmp_path):
    node = docker_host()
    connection(node, segment("A", 3), "TCP_INVALID_ACK_SEQUENCE", again=False)
    assert not told(tmp_path, node)[1]


@pytest.mark.parametrize(
    ("reason", "packet", "is_lost"),
    [
        ("TCP_RFC7323_PAWS", segment("A", 3), False),
        ("TCP_RFC7323_PAWS_ACK", segment("A", 3), False),
        ("TCP_RFC7323_PAWS", segment("PA", 3, payload=b"hello"), True),
        ("TCP_RFC7323_PAWS", segment("FA", 3), True),
        ("SOCKET_BACKLOG", segment("A", 3), True),
    ],
)
def test_an_acknowledgement_that_a_later_one_overtook_is_not_lost(tmp_path, reason, packet, is_lost):
    """Cores do not keep the order of bare acknowledgements; with data, an old timestamp is a loss."""
    node = docker_host()
    connection(node, packet, reason, again=False)
    result, _ = told(tmp_path, node)
    (path,) = [path for path in paths(result) if any(isinstance(hop, KernelHop) for hop in path.hops)]
    assert (path.outcome == "dropped") == is_lost


def test_a_datagram_that_was_asked_again_and_answered_is_a_notice(tmp_path):
    node = docker_host()
    node.see("eth0", IN, 0, datagram(53))
    dropped(node, 30, datagram(53), "SOCKET_RCVBUFF", "__udp_enqueue_schedule_skb")
    node.see("eth0", IN, 1_000_000, datagram(53, number=2))
    node.see("eth0", OUT, 1_000_100, IP(src=HOST, dst=CLIENT, id=5) / UDP(sport=53, dport=4000) / b"answer")
    (found,) = told(tmp_path, node)[1]
    assert (found.kind, found.severity) == ("kernel_drop", "notice")


def test_the_rule_stands_first_and_there_is_one_finding(tmp_path):
    node = docker_host()
    packet = datagram(to="172.17.0.2")
    node.see("eth0", IN, 0, packet)
    node.trace(10, packet, "FORWARD", rules=[("FORWARD", DROP_RULE, DROP)], policy=None, iif=ETH0)
    dropped(node, 30, packet, "NETFILTER_DROP", "nft_do_chain")
    result, (found,) = told(tmp_path, node)
    assert found.kind == "rule_drop"
    assert paths(result)[0].reason.kind == "rule"


def test_a_time_to_live_that_ran_out_without_an_error(tmp_path):
    node = docker_host()
    packet = datagram(to="172.17.0.2", ttl=1)
    for number in range(2):
        node.see("eth0", IN, number * 1000, packet)
    dropped(node, 30, packet, "IP_INHDR", "ip_forward")
    kinds = [(one.kind, one.severity) for one in told(tmp_path, node)[1]]
    assert ("kernel_drop", "fault") not in kinds


def test_an_error_of_the_router_says_more_than_that_it_was_too_big(tmp_path):
    node = docker_host()
    packet = datagram(to="172.17.0.2")
    node.see("eth0", IN, 0, packet)
    dropped(node, 30, packet, "PKT_TOO_BIG", "ip_forward")
    error = IP(src=HOST, dst=CLIENT, id=70) / ICMP(type=3, code=4, nexthopmtu=1400) / bytes(packet)
    node.see("eth0", OUT, 60, error)
    assert [one.kind for one in told(tmp_path, node)[1]] == ["mtu_exceeded"]


def test_drops_of_many_connections_are_one_finding_a_cause(tmp_path):
    """They are in several parts, where a result is made part by part."""
    node = docker_host()
    reasons = (("UDP_CSUM", "__udp4_lib_rcv"), ("SOCKET_RCVBUFF", "__udp_enqueue_schedule_skb"), ("XDP", "do_xdp"))
    for number in range(24):
        packet = IP(src=f"203.0.113.{number + 1}", dst=HOST, id=number + 1) / UDP(sport=4000, dport=7000) / b"x"
        node.see("eth0", IN, number * 1000, packet)
        dropped(node, number * 1000 + 30, packet, *reasons[number % 3])
    found = told(tmp_path, node)[1]
    assert [(one.kind, one.packets, one.connection_count) for one in found] == [
        ("checksum_wrong", 8, 8), ("kernel_drop", 8, 8), ("before_netfilter", 8, 8),
    ]  # fmt: skip


def test_data_that_never_comes_through_though_the_sender_goes_on_harms_somebody(tmp_path):
    """What is acknowledged counts, and not that other packets came through."""
    node = docker_host()
    lost = segment("PA", 3, payload=b"hello")
    connection(node, lost, "QDISC_DROP", function="__dev_queue_xmit", again=False)
    node.see("eth0", IN, 900_000, segment("A", 8))
    node.see("eth0", OUT, 900_100, segment("A", 9, back=True))
    (found,) = told(tmp_path, node)[1]
    assert (found.kind, found.severity) == ("queue_drop", "fault")


def test_where_the_other_end_is_never_heard_what_comes_through_later_made_it_good(tmp_path):
    node = docker_host()
    for number, flags in enumerate("SA"):
        node.see("eth0", IN, 100 * number, segment(flags, number + 1, seq=number))
    lost = segment("PA", 3, payload=b"hello")
    node.see("eth0", IN, 300, lost)
    dropped(node, 330, lost, "QDISC_DROP", "__dev_queue_xmit")
    node.see("eth0", IN, 900_000, segment("PA", 4, payload=b"hello"))
    (found,) = (one for one in told(tmp_path, node)[1] if one.kind == "queue_drop")
    assert found.severity == "notice"
