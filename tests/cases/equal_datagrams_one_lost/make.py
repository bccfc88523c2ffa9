"""One of two equal datagrams is lost."""

from pathlib import Path

from scapy.layers.inet import IP, UDP

from ttrace.tests.correlate.scene import IN, OUT, Node


def make(folder: Path) -> list[str]:
    node = Node("router", snapshots=False)
    node.interface("docker0", 2)
    node.interface("eth0", 3)
    packet = IP(src="172.17.0.2", dst="203.0.113.1", id=0) / UDP(sport=1, dport=2) / b"the same words"
    node.see("docker0", IN, 0, packet)
    node.see("docker0", IN, 5, packet)
    node.see("eth0", OUT, 10, packet)
    return [node.write(folder)]
