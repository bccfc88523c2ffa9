"""ARP, answered and not, multicast, broadcast, and a ping, at one interface."""

from pathlib import Path

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether

from ttrace.pcapng.blocks import LinkType
from ttrace.tests.correlate.scene import IN, OUT, Node


def make(folder: Path) -> list[str]:
    node = Node("host")
    node.interface("eth0", 2, addresses=["192.0.2.1"], link_type=LinkType.ETHERNET)
    ether = Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff")
    node.see("eth0", OUT, 0, ether / ARP(psrc="192.0.2.1", pdst="192.0.2.9"))
    node.see("eth0", OUT, 1, ether / ARP(psrc="192.0.2.1", pdst="192.0.2.8"))
    own = Ether(src="02:00:00:00:00:09", dst="02:00:00:00:00:01")
    node.see("eth0", IN, 50, own / ARP(op="is-at", psrc="192.0.2.9", pdst="192.0.2.1"))
    node.see("eth0", OUT, 100, ether / IP(src="192.0.2.1", dst="224.0.0.251") / UDP())
    node.see("eth0", IN, 200, ether / IP(src="192.0.2.9", dst="255.255.255.255") / UDP())
    node.see("eth0", OUT, 5_000_000, ether / IP(src="192.0.2.1", dst="203.0.113.1", id=9) / ICMP())
    return [node.write(folder)]
