"""Out of eth0, in at eth1 of the same node."""

from pathlib import Path

from scapy.layers.inet import IP, UDP

from ttrace.tests.correlate.scene import IN, OUT, Node


def make(folder: Path) -> list[str]:
    node = Node("host")
    node.interface("eth0", 2, addresses=["192.0.2.1"])
    node.interface("eth1", 3, addresses=["198.51.100.1"])
    out = IP(src="192.0.2.1", dst="198.51.100.1", id=3, ttl=64) / UDP(sport=1, dport=2)
    back = IP(src="192.0.2.1", dst="198.51.100.1", id=3, ttl=63) / UDP(sport=1, dport=2)
    node.see("eth0", OUT, 0, out)
    node.see("eth1", IN, 50, back)
    return [node.write(folder)]
