"""Two SYNs, and no answer."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import Direction, Node

SECOND_US = 1_000_000


def make(folder: Path) -> list[str]:
    node = Node("host", snapshots=False)
    node.interface("eth0", 2)
    for number in range(2):
        syn = IP(src="10.0.0.1", dst="10.9.0.1", id=number + 1) / TCP(sport=40_000, dport=80, flags="S", seq=7)
        node.see("eth0", Direction.UNKNOWN, number * SECOND_US, syn)
    return [node.write(folder)]
