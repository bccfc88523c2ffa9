"""Questions without answers, and one with a late one."""

from pathlib import Path

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import ARP, Ether

from ttrace.pcapng.blocks import LinkType
from ttrace.tests.correlate.scene import IN, OUT, Direction, Node, keep_recording

ROUTER, CLIENT, ABSENT, LATE, SERVER = "10.1.0.1", "10.2.0.9", "10.1.0.77", "10.1.0.78", "10.1.0.5"
SECOND_US = 1_000_000


def make(folder: Path) -> list[str]:
    node = Node("r")
    node.interface("eth0", 2, addresses=["10.2.0.1"], link_type=LinkType.ETHERNET)
    node.interface("eth1", 3, addresses=[ROUTER], link_type=LinkType.ETHERNET)
    syn = Ether() / IP(src=CLIENT, dst=ABSENT, id=5) / TCP(sport=1000, dport=80, flags="S", seq=7)
    node.see("eth0", IN, -100, syn)
    node.see("eth0", IN, -50, Ether() / IP(src=CLIENT, dst=LATE, id=6) / TCP(sport=1001, dport=80, flags="S", seq=8))
    for number in range(3):
        _ask(node, number * SECOND_US, ROUTER, ABSENT, OUT)
        if number < 2:
            _ask(node, number * SECOND_US + 100, ROUTER, LATE, OUT)
        _ask(node, number * SECOND_US + 200, "10.1.0.6", "10.1.0.79", IN)
    node.see("eth1", IN, 1.5 * SECOND_US, Ether(dst="02:00:00:00:00:01") / ARP(op=2, psrc=LATE, pdst=ROUTER))
    late = IP(src=CLIENT, dst=LATE, id=6, ttl=63) / TCP(sport=1001, dport=80, flags="S", seq=8)
    node.see("eth1", OUT, 1.5 * SECOND_US + 50, Ether() / late)
    answer = IP(src=LATE, dst=CLIENT, id=60) / TCP(sport=80, dport=1001, flags="SA", seq=3, ack=9)
    for name, direction in (("eth1", IN), ("eth0", OUT)):
        node.see(name, direction, 1.6 * SECOND_US, Ether() / answer)
    error = IP(src="10.2.0.1", dst=CLIENT, id=90) / ICMP(type=3, code=1) / bytes(syn[IP])
    node.see("eth0", OUT, 3.1 * SECOND_US, Ether() / error)
    # Its own address for the server, as the answer finds it, is that of a host that is not there.
    hidden = "10.1.0.200"
    for number in range(3):
        time_us = 10 * SECOND_US + number * SECOND_US
        ask = IP(src=hidden, dst=SERVER, id=20 + number) / TCP(sport=2000, dport=80, flags="S", seq=9)
        node.see("eth1", OUT, time_us, Ether() / ask)
        _ask(node, time_us + 100, SERVER, hidden, IN)
    keep_recording(node)
    return [node.write(folder)]


def _ask(node: Node, time_us: float, asker: str, target: str, direction: Direction) -> None:
    node.see("eth1", direction, time_us, Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, psrc=asker, pdst=target))
