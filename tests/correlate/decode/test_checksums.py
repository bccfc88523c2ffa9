"""Checksums of captured frames against those that scapy makes."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrHopByHop
from scapy.layers.l2 import GRE, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from ttrace.correlate.decode.checksums import Sum, check_sums
from ttrace.correlate.decode.compared_bytes import whole_reach
from ttrace.correlate.decode.frames import dissect_packets
from ttrace.pcapng.read import read_capture
from ttrace.tests.pcapng.blocks import LITTLE

V4, V6 = IP(src="10.0.0.1", dst="10.0.0.2", id=7), IPv6(src="fd00::1", dst="fd00::2")
SYN = TCP(sport=1, dport=2, flags="S", seq=5)
LINK = Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:00:0b")
PLAIN = {
    "tcp": V4 / SYN, "tcp odd": V4 / SYN / b"odd", "udp": V4 / UDP(sport=1, dport=2) / b"abc",
    "icmp": V4 / ICMP() / b"ab",
    "tcp6": V6 / SYN / b"x", "udp6": V6 / UDP(sport=1, dport=2) / b"abcd", "icmp6": V6 / ICMPv6EchoRequest(data=b"abc"),
}  # fmt: skip


def vxlan(packet: Packet) -> Packet:
    return V4 / UDP(sport=9, dport=4789) / VXLAN(vni=5, flags=8) / LINK / packet


AROUND: dict[str, Callable[[Packet], Packet]] = {
    "vlan": lambda packet: LINK / Dot1Q(vlan=5) / packet,
    "vxlan": lambda packet: LINK / vxlan(packet),
    "ipip": lambda packet: LINK / IP(src="1.1.1.1", dst="2.2.2.2", proto=4 if IP in packet else 41) / packet,
    "gre": lambda packet: LINK / V6 / GRE() / packet,
}


def sums(folder: Path, *frames: Packet | bytes, kept: int = 1 << 16) -> list[tuple[Sum, Sum, Sum]]:
    """(IP headers, what it carries, UDP around it) of each."""
    path = folder / "x.pcap"
    path.write_bytes(LITTLE.pcap(*((k, k, bytes(frame)[:kept]) for k, frame in enumerate(frames)), link_type=1))
    capture = read_capture(path)
    nowhere = np.zeros(1, np.uint32), np.zeros(1, np.uint16)
    rows = dissect_packets(capture, 0, *nowhere).rows
    found = check_sums(capture.data, capture.records, capture.interfaces, rows, whole_reach())
    return [(Sum(int(h)), Sum(int(t)), Sum(int(o))) for h, t, o in found.tolist()]


def flipped(frame: Packet, at: int, bit: int = 0) -> bytes:
    """With one bit of the byte at `at` (from the end, if negative) the other way."""
    data = bytearray(bytes(frame))
    data[at] ^= 1 << bit
    return bytes(data)


@pytest.mark.parametrize("name", PLAIN)
def test_right_and_with_any_bit_of_the_payload_wrong(tmp_path: Path, name: str) -> None:
    frame = LINK / PLAIN[name]
    size = len(bytes(PLAIN[name])) - (20 if IP in frame else 40)
    header = Sum.RIGHT if IP in frame else Sum.UNKNOWN
    right, *wrong = sums(tmp_path, frame, *(flipped(frame, -1 - at, at % 8) for at in range(size) if name[0] != "u"))
    assert right == (header, Sum.RIGHT, Sum.UNKNOWN)
    assert all(one[0] == header for one in wrong)
    # A wrong length of the TCP header moves nothing that is summed up.
    assert all(one[1] == Sum.WRONG for one in wrong)


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", PLAIN)
def test_behind_tags_and_in_tunnels(tmp_path: Path, name: str, around: str) -> None:
    frame = AROUND[around](PLAIN[name])
    right, wrong = sums(tmp_path, frame, flipped(frame, -1))
    outer = Sum.RIGHT if around == "vxlan" else Sum.UNKNOWN
    assert right[1:] == (Sum.RIGHT, outer)
    assert wrong[1:] == (Sum.WRONG, Sum.WRONG if around == "vxlan" else outer)


def test_the_header_of_ip(tmp_path: Path) -> None:
    frame = LINK / PLAIN["tcp"]
    zero = LINK / IP(src="10.0.0.1", dst="10.0.0.2", id=7, chksum=0) / SYN
    options = LINK / IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_NOP()] * 4) / SYN
    assert [one[0] for one in sums(tmp_path, flipped(frame, 14 + 5), zero, options)] == [
        Sum.WRONG, Sum.OFFLOADED, Sum.RIGHT,
    ]  # fmt: skip


def _pseudo(packet: Packet, *, with_length: bool) -> int:
    data = bytes(packet)
    size = len(data) - (20 if IP in packet else 40)
    ends, protocol = (data[12:20], data[9]) if IP in packet else (data[8:40], data[6])
    total = sum(np.frombuffer(ends, ">u2").tolist()) + protocol + (size if with_length else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize("name", ["tcp", "udp", "tcp6", "udp6"])
def test_left_to_the_device(tmp_path: Path, name: str, with_length: bool) -> None:
    packet = PLAIN[name].copy()
    packet[TCP if TCP in packet else UDP].chksum = _pseudo(PLAIN[name], with_length=with_length)
    ((_, transport, _),) = sums(tmp_path, LINK / packet)
    assert transport == Sum.OFFLOADED


def _nothing() -> Sequence[Packet | bytes]:
    none = V4 / UDP(sport=1, dport=2, chksum=0) / b"abc"
    none_6 = V6 / UDP(sport=1, dport=2, chksum=0) / b"abc"
    piece = IP(src="10.0.0.1", dst="10.0.0.2", flags="MF") / UDP(sport=1, dport=2, chksum=5) / bytes(64)
    large = V4 / TCP(sport=1, dport=2, chksum=5) / bytes(1600)
    options = V6 / IPv6ExtHdrHopByHop() / TCP(sport=1, dport=2, chksum=5)
    longer = V4 / UDP(sport=1, dport=2, chksum=5, len=600) / b"abc"
    other = IP(src="10.0.0.1", dst="10.0.0.2", proto=200) / Raw(bytes(64))
    return [none, none_6, piece, large, options, longer, other]


def test_what_says_nothing(tmp_path: Path) -> None:
    assert {one[1] for one in sums(tmp_path, *(LINK / packet for packet in _nothing()))} == {Sum.UNKNOWN}
    cut = LINK / V4 / TCP(sport=1, dport=2, chksum=5) / bytes(64)
    assert sums(tmp_path, cut, kept=90)[0] == (Sum.RIGHT, Sum.UNKNOWN, Sum.UNKNOWN)


def test_what_is_around_one_that_is_left_to_the_device(tmp_path: Path) -> None:
    """It fits the packet as it will be."""
    packet = V4 / TCP(sport=1, dport=2, flags="S", chksum=_pseudo(PLAIN["tcp"], with_length=True))
    outer = vxlan(packet)
    outer[UDP].chksum = 5
    assert sums(tmp_path, LINK / outer) == [(Sum.RIGHT, Sum.OFFLOADED, Sum.UNKNOWN)]


def test_trailing_bytes_are_no_part_of_it(tmp_path: Path) -> None:
    assert sums(tmp_path, bytes(LINK / PLAIN["tcp odd"]) + b"\x01\x02\x03") == [(Sum.RIGHT, Sum.RIGHT, Sum.UNKNOWN)]
