"""Two captures of other hosts."""

from collections.abc import Sequence
from pathlib import Path

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet, Raw

from ttrace.tests.correlate.scene import IN, Node

ICMP_ERROR = IP(src="10.0.0.9", dst="10.0.0.4") / ICMP(type=3) / bytes(IP(src="10.0.0.4", dst="10.0.0.8") / UDP())


def make(folder: Path) -> list[str]:
    a = [(i, tcp(i)) for i in range(3)] + [(5, udp(7, source="10.0.0.9")), (6, ICMP_ERROR)]
    return files(folder, a, [(2, other(1))])


def files(folder: Path, *frames: Sequence[tuple[float, Packet]]) -> list[str]:
    """One plain capture for each list of (time in us, packet): `a.pcapng`, `b.pcapng`, …"""
    paths = []
    for name, seen in zip("abcd", frames, strict=False):
        node = Node(name, snapshots=False)
        node.interface("eth0", 2)
        for time_us, packet in seen:
            node.see("eth0", IN, time_us, packet)
        paths.append(node.write(folder))
    return paths


def tcp(seq: int, *, data: bytes = b"", ip_id: int | None = None) -> Packet:
    """10.0.0.1 sends to port 80 of 10.0.0.2."""
    packet = IP(src="10.0.0.1", dst="10.0.0.2", id=seq if ip_id is None else ip_id)
    return packet / TCP(sport=1000, dport=80, seq=seq, flags="A") / Raw(data)


def udp(ip_id: int, source: str = "10.0.0.1") -> Packet:
    return IP(src=source, dst="10.0.0.2", id=ip_id) / UDP(sport=5, dport=6) / Raw(b"")


def other(ip_id: int) -> Packet:
    """Between hosts of its own."""
    return IP(src="10.7.0.1", dst="10.7.0.2", id=ip_id) / UDP(sport=7, dport=8)
