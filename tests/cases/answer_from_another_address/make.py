"""Questions to one address, answers from another."""

from pathlib import Path

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet

from ttrace.tests.correlate.scene import Direction, Node

CLIENT, ASKED, OTHER = "10.0.0.5", "10.0.0.10", "10.0.0.11"
SECOND_US = 1_000_000


def make(folder: Path) -> list[str]:
    node = Node("client", snapshots=False)
    node.interface("eth0", 2)
    number = 0

    def see(time_us: float, source: str, destination: str, what: Packet) -> None:
        nonlocal number
        number += 1
        node.see("eth0", Direction.UNKNOWN, time_us, IP(src=source, dst=destination, id=number) / what)

    for again in range(2):
        see(again * SECOND_US, CLIENT, ASKED, TCP(sport=1000, dport=80, flags="S", seq=4711))
        see(again * SECOND_US + 300, OTHER, CLIENT, TCP(sport=80, dport=1000, flags="SA", seq=9 + again, ack=4712))
    for count in range(3):
        see(count * SECOND_US + 10_000, CLIENT, ASKED, ICMP(type=8, id=77, seq=count) / b"12345678")
        see(count * SECOND_US + 10_400, OTHER, CLIENT, ICMP(type=0, id=77, seq=count) / b"12345678")
    for again in range(2):
        see(20_000 + again * SECOND_US, CLIENT, ASKED, UDP(sport=40_000, dport=53) / b"question")
    see(20_400, OTHER, CLIENT, UDP(sport=53, dport=40_000) / b"answer")
    see(30_000, CLIENT, OTHER, ICMP(type=8, id=78, seq=1) / b"12345678")
    see(30_400, OTHER, CLIENT, ICMP(type=0, id=78, seq=1) / b"12345678")
    for server in ("10.0.0.12", "10.0.0.13"):
        see(40_000, CLIENT, server, UDP(sport=40_001, dport=53) / b"question")
    see(40_400, "10.0.0.14", CLIENT, UDP(sport=53, dport=40_001) / b"answer")
    see(9 * SECOND_US, CLIENT, OTHER, ICMP(type=8, id=79, seq=1) / b"12345678")
    see(9 * SECOND_US + 400, OTHER, CLIENT, ICMP(type=0, id=79, seq=1) / b"12345678")
    return [node.write(folder)]
