"""A header that was cut off says so: no flags, ports, sizes or types that nobody captured."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from ..scene import OUT, Node, correlate, paths

TCP_SYN = TCP(sport=1000, dport=80, flags="S", seq=9)


def plain(name: str, snaplen: int) -> Node:
    node = Node(name, snapshots=False, snaplen=snaplen)
    node.interface("eth0", 2)
    return node


def seen(folder, packet, snaplen: int):
    node = plain("n", snaplen)
    node.see("eth0", OUT, 0, packet)
    (path,) = paths(correlate(folder, node))
    return path.info, path.hops[0].source, path.hops[0].destination


@pytest.mark.parametrize(("kept", "ports"), [(0, False), (2, False), (4, True), (8, True), (12, True), (13, True)])
@pytest.mark.parametrize("packet", [IP(src="10.0.0.1", dst="10.0.0.2", id=5), IPv6(src="fd00::1", dst="fd00::2")])
def test_tcp_without_its_flags(tmp_path, packet, kept, ports):
    info, source, _ = seen(tmp_path, packet / TCP_SYN / b"data", len(packet) + kept)
    assert info == "cut"
    if packet.version == 4:
        assert source == ("10.0.0.1:1000" if ports else "10.0.0.1")
    assert not source.endswith(":0")


@pytest.mark.parametrize("kept", [14, 16, 18, 20])
def test_tcp_with_its_flags(tmp_path, kept):
    info, source, destination = seen(tmp_path, IP(src="10.0.0.1", dst="10.0.0.2", id=5) / TCP_SYN, 20 + kept)
    assert (info, source, destination) == ("SYN", "10.0.0.1:1000", "10.0.0.2:80")


def test_no_flags_are_said_of_a_packet_that_has_none(tmp_path):
    info, _, _ = seen(tmp_path, IP(src="10.0.0.1", dst="10.0.0.2", id=5) / TCP(flags=0), 0)
    assert info == "no flags"


def test_udp_and_icmp(tmp_path):
    ip = IP(src="10.0.0.1", dst="10.0.0.2", id=5)
    datagram, echo = ip / UDP(sport=1000, dport=53) / bytes(30), ip / ICMP(type=8, seq=3) / bytes(30)
    assert seen(tmp_path, datagram, 20) == ("cut", "10.0.0.1", "10.0.0.2")
    assert seen(tmp_path, datagram, 24) == ("30 bytes", "10.0.0.1:1000", "10.0.0.2:53")
    assert seen(tmp_path, echo, 20)[0] == "cut"
    assert seen(tmp_path, echo, 28)[0] == "echo request seq 3"


def test_where_another_file_kept_the_flags_they_are_said(tmp_path):
    short, whole = plain("short", 32), plain("whole", 0)
    for number in range(3):
        packet = IP(src="10.0.0.1", dst="10.0.0.2", id=5 + number, ttl=64) / TCP_SYN
        short.see("eth0", OUT, 100 * number, packet)
        packet.ttl = 63
        whole.see("eth0", OUT, 100 * number + 50, packet)
    result = correlate(tmp_path, short, whole)
    assert [len(path.hops) for path in paths(result)] == [2, 2, 2]
    assert {path.info for path in paths(result)} <= {"cut", "SYN"}
