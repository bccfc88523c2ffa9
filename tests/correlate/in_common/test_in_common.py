"""What files have in common, and what is said where that is nothing: each reason as its reader meets it."""

import json
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from ttrace.correlate import correlate_captures
from ttrace.correlate.result.select import select
from ttrace.pcapng.blocks import LinkType
from ttrace.report import render
from ttrace.tests.pcapng.blocks import LITTLE

from ..scene import IN, OUT, SNAT, Node

HOUR_US = 3_600_000_000


def tcp(seq: int, *, sport: int = 1000, data: bytes = b"", flags: str = "A", ip_id: int | None = None) -> Packet:
    packet = IP(src="10.0.0.1", dst="10.0.0.2", id=seq if ip_id is None else ip_id)
    return packet / TCP(sport=sport, dport=80, seq=seq, flags=flags) / Raw(data)


def udp(ip_id: int, data: bytes = b"", source: str = "10.0.0.1") -> Packet:
    return IP(src=source, dst="10.0.0.2", id=ip_id) / UDP(sport=5, dport=6) / Raw(data)


def other(ip_id: int) -> Packet:
    return IP(src="10.7.0.1", dst="10.7.0.2", id=ip_id) / UDP(sport=7, dport=8)


def files(
    folder: Path, *frames: list[tuple[float, Packet | bytes]], link_type: int = LinkType.RAW, name: str = ""
) -> list[str]:
    """One plain capture for each list of (time in us, packet): `a.pcapng`, `b.pcapng`, …"""
    paths = []
    for letter, seen in zip("abcdef", frames, strict=False):
        node = Node(name + letter, snapshots=False)
        node.interface("eth0", 2, link_type=link_type)
        for time_us, packet in seen:
            node.see("eth0", IN, time_us, packet)
        paths.append(node.write(folder))
    return paths


def told(paths: list[str]) -> list[tuple[int, str | None, str | None]]:
    """Per file (shared packets, kind, text) from the JSON form; the text form has the same words in a line of its
    file."""
    result = correlate_captures(paths)
    folder = str(Path(paths[0].partition("=")[2] or paths[0]).parent) + "/"
    captures = json.loads("".join(render(result, select(result), "json")))["captures"]
    lines = "".join(render(result, select(result), "text")).partition("\nConnections")[0].splitlines()
    found = []
    for capture in captures:
        nothing = capture["nothing_in_common"]
        below = lines[next(i for i, line in enumerate(lines) if line.endswith(f"; {capture['file']}")) + 1 :]
        below = below[: next((i for i, line in enumerate(below) if line.endswith(".pcapng")), len(below))]
        if nothing and nothing["scope"] == "file":
            assert any(line.endswith(f": {nothing['text']}") for line in below)
        elif nothing is None:
            assert not any("nothing in common" in line for line in below)
        text = nothing and nothing["text"].replace(folder, "")
        found.append((capture["shared_packets"], nothing and nothing["kind"], text))
    return found


# --- nothing to be said ---------------------------------------------------------------------------------------------


def test_files_that_share_packets_say_how_many_and_no_more(tmp_path):
    a, b, c = [(0, tcp(1)), (10, tcp(2)), (20, tcp(3))], [(1, tcp(1)), (11, tcp(2))], [(22, tcp(3))]
    assert told(files(tmp_path, a, b, c)) == [(3, None, None), (2, None, None), (1, None, None)]


def test_a_file_alone_has_nothing_it_could_share(tmp_path):
    assert told(files(tmp_path, [(0, tcp(1))])) == [(0, None, None)]


def test_a_packet_that_only_the_trace_of_the_other_file_shows_is_shared(tmp_path):
    packets, messages = Node("host", snapshots=False), Node("trace", snapshots=False)
    packets.interface("eth0", 2)
    packets.see("eth0", IN, 0, tcp(1))
    messages.trace(5, tcp(1), "FORWARD", iif=2)
    named = [f"host={packets.write(tmp_path)}", f"host={messages.write(tmp_path)}"]
    assert [(count, kind) for count, kind, _ in told(named)] == [(1, None), (1, None)]


def test_clocks_hours_apart_are_no_reason_where_packets_match(tmp_path):
    a = [(i * 100, tcp(i)) for i in range(5)]
    b = [(i * 100 + 5 * HOUR_US, tcp(i)) for i in range(5)]
    assert told(files(tmp_path, a, b)) == [(5, None, None)] * 2


def test_link_chatter_is_something_in_common_where_there_is_nothing_else(tmp_path):
    ask = Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="10.0.0.1", pdst="10.0.0.2")
    assert told(files(tmp_path, [(0, ask)], [(5, ask)], link_type=LinkType.ETHERNET)) == [(1, None, None)] * 2


# --- each file by itself --------------------------------------------------------------------------------------------


def test_a_file_without_packets(tmp_path):
    first, second = told(files(tmp_path, [], [(0, tcp(1))]))
    assert first == (0, "empty", "it holds no packets")
    assert second == (0, "no-partner", "nothing else holds packets to compare its own with")
    empty = [f"n={path}" for path in files(tmp_path, [], [])]
    assert [kind for _, kind, _ in told(empty)] == ["empty"] * 2


def test_a_file_of_frames_that_are_not_decoded(tmp_path):
    (radio,) = files(tmp_path, [(0, bytes(40)), (9, bytes(40))], link_type=127, name="radio-")
    found = told([radio, *files(tmp_path, [(0, tcp(1))], [(1, tcp(1))])])
    assert found == [(0, "undecoded", "none of its 2 packets is IP or ARP"), (1, None, None), (1, None, None)]


def test_a_file_of_link_chatter(tmp_path):
    chatter = [
        Ether() / ARP(psrc="10.0.0.1", pdst="10.0.0.2"),
        Ether() / IP(dst="224.0.0.251") / UDP(sport=5353, dport=5353),
        Ether() / IPv6(src="fd00::1", dst="fd00::2") / ICMPv6ND_NS(tgt="fd00::2"),
    ]
    a = [(i, frame) for i, frame in enumerate(chatter)]
    found = told(files(tmp_path, a, [(0, Ether() / tcp(1))], [(1, Ether() / tcp(1))], link_type=LinkType.ETHERNET))
    text = "it holds only ARP, multicast and the like, which stay on their link"
    assert found == [(0, "link-chatter", text), (1, None, None), (1, None, None)]


def test_packets_that_are_cut_before_their_ports(tmp_path):
    a, b = [(i, bytes(tcp(i))[:22]) for i in range(3)], [(i, udp(i + 9)) for i in range(3)]
    text = "packets are cut too short to read their ports: record more of each (snaplen)"
    first, second = told(files(tmp_path, a, b))
    assert first == (0, "cut-short", f"its {text}")
    assert second == (0, "cut-short", f"all other {text}")


# --- times ----------------------------------------------------------------------------------------------------------


def test_the_nearest_file_is_named_and_one_clock_is_not_doubted(tmp_path):
    a, b, c = files(tmp_path, [(0, tcp(1))], [(50 * HOUR_US, tcp(2))], [(50.01 * HOUR_US, tcp(3))])
    texts = [text for _, _, text in told([f"n/x={a}", f"n/y={b}", f"n/z={c}"])]
    assert texts == [
        "it ended 2 d 2 h before `b.pcapng` began",
        "it ended 36.0 s before `c.pcapng` began",
        "it began 36.0 s after `b.pcapng` ended",
    ]


def test_a_clock_that_other_packets_tell_is_not_doubted(tmp_path):
    """b's clock is known by its packets to a, so the gap to its other file is a fact."""
    sent = [(i * 100, tcp(i)) for i in range(4)]
    a, b, later = files(tmp_path, sent, [(t + 9, p) for t, p in sent], [(70_000_000, udp(9))])
    *_, last = told([a, f"b={b}", f"b={later}"])
    assert last == (0, "no-overlap", "it began 1 min 9 s after `b.pcapng` ended")


def test_packets_without_times_are_not_taken_for_packets_of_1970(tmp_path):
    path = tmp_path / "simple.pcapng"
    path.write_bytes(LITTLE.section() + LITTLE.interface(link_type=LinkType.RAW) + LITTLE.simple(bytes(other(1))))
    found = told([str(path), *files(tmp_path, [(0, tcp(1))])])
    assert [kind for _, kind, _ in found] == ["no-flow"] * 2


# --- flows ----------------------------------------------------------------------------------------------------------


def test_equal_addresses_at_other_times(tmp_path):
    a = [(0, udp(1)), (9_000_000, tcp(1))]
    b = [(5_000_000, udp(2)), (9_000_000, tcp(2, sport=3))]
    texts = [text for _, _, text in told(files(tmp_path, a, b))]
    assert all(text.endswith("(udp 10.0.0.1:5 -> 10.0.0.2:6), but at other times") for text in texts)


def test_tcp_that_is_ended_and_opened_anew_under_the_same_addresses(tmp_path):
    a, b = [(i, tcp(i + 1)) for i in range(3)], [(i, tcp(i + 900)) for i in range(3)]
    for _, kind, text in told(files(tmp_path, a, b)):
        assert kind == "other-connections"
        assert "(tcp 10.0.0.1:1000 -> 10.0.0.2:80) at the same time, but with other sequence numbers" in text


def test_data_that_a_proxy_sends_on(tmp_path):
    """docker-proxy: two connections, and only the data is the same."""
    request, answer = (
        b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    )
    client, proxied = [], []
    for seen, near, far, seq in (
        (client, ("10.0.0.1", 40000), ("192.0.2.1", 8080), 5),
        (proxied, ("172.17.0.1", 50000), ("172.17.0.2", 80), 7000),
    ):
        for number, (data, (source, sport), (destination, dport)) in enumerate(
            ((request, near, far), (answer, far, near))
        ):
            packet = IP(src=source, dst=destination, id=seq + number)
            seen.append((number * 100, packet / TCP(sport=sport, dport=dport, seq=seq, flags="PA") / data))
    for _, kind, text in told(files(tmp_path, client, proxied)):
        assert kind == "other-connections"
        assert "10.0.0.1:40000" in text
        assert "172.17.0.1:50000" in text
        assert text.endswith("something between them ends connections and opens others (docker-proxy, a load balancer)")
    # One equal payload may be chance.
    assert [kind for _, kind, _ in told(files(tmp_path, client[:1], proxied[:1]))] == ["no-flow"] * 2


def test_a_translation_that_conntrack_tells_of_though_no_packet_shows_it(tmp_path):
    inside, outside = ("172.17.0.2", 1000), ("192.0.2.1", 1000)
    server = ("192.0.2.9", 80)
    a, b = Node("a"), Node("b")
    a.interface("docker0", 3, kind="bridge", addresses=["172.17.0.1"])
    b.interface("eth0", 2, addresses=["192.0.2.9"])
    a.conntrack(0, (inside, server), (server, outside), status=SNAT, ct_id=71)
    for number in range(3):
        segment = TCP(sport=1000, dport=80, flags="A")
        a.see("docker0", IN, number, IP(src=inside[0], dst=server[0], id=number + 1) / segment)
        b.see("eth0", IN, number, IP(src=outside[0], dst=server[0], id=number + 70) / segment)
    for _, kind, text in told([a.write(tmp_path), b.write(tmp_path)]):
        assert kind == "other-packets"
        assert text.startswith("1 of its 1 flow is seen in `")


@pytest.mark.parametrize(
    ("packet", "name"),
    [
        (IP(src="192.0.2.1", dst="192.0.2.2", proto=50) / Raw(bytes(range(80))), "ESP"),
        (
            IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=51820, dport=51820) / Raw(b"\4\0\0\0" + bytes(80)),
            "WireGuard",
        ),
        (IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=4500, dport=4500) / Raw(bytes(range(80))), "ESP in UDP"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_tunnel_that_hides_what_it_carries(packet, name, tmp_path):
    a = [(i, packet) for i in range(4)] + [(9, other(5))]
    first, second = told(files(tmp_path, a, [(i, tcp(i)) for i in range(3)]))
    assert first == (0, "encrypted", f"4 of its 5 packets are {name}, which hides what it carries")
    assert second == (0, "encrypted", f"4 of the 5 packets of `a.pcapng` are {name}, which hides what it carries")


# --- more than one reason, more than one file of a node -------------------------------------------------------------


def test_link_chatter_in_common_does_not_hide_that_there_is_nothing_else(tmp_path):
    ask = Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="10.0.0.1", pdst="10.0.0.2")
    paths = files(
        tmp_path, [(0, ask), (3, Ether() / udp(1))], [(1, ask), (4, Ether() / other(8))], link_type=LinkType.ETHERNET
    )
    assert [(count, kind) for count, kind, _ in told(paths)] == [(1, "no-flow")] * 2
    result = correlate_captures(paths)
    text = "".join(render(result, select(result), "text"))
    line = (
        "   nothing in common with the other files but 1 packet of ARP, multicast and the like: no address pair of it"
    )
    assert text.count(line) == 2


def test_one_odd_file_among_files_that_match_is_the_only_one_told(tmp_path):
    a, b, odd = files(tmp_path, [(0, tcp(1))], [(1, tcp(1))], [(0, other(1))])
    assert [kind for _, kind, _ in told([a, b, odd])] == [None, None, "no-flow"]
    assert [kind for _, kind, _ in told([a, f"b={b}", f"b={odd}"])] == [None, None, "no-flow"]


def test_direction_and_point_do_not_make_two_files_of_one(tmp_path):
    node = Node("a", snapshots=False)
    for number, name in enumerate(("veth1", "eth0")):
        node.interface(name, number + 2)
    node.see("veth1", IN, 0, tcp(1))
    node.see("eth0", OUT, 1, tcp(1))
    (_, *b) = files(tmp_path, [], [(0, other(1))])
    assert [(count, kind) for count, kind, _ in told([node.write(tmp_path), *b])] == [(0, "no-flow")] * 2
