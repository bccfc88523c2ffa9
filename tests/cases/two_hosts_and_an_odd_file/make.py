"""Two hosts that talk to each other, and another."""

from pathlib import Path

from scapy.layers.inet import ICMP, IP

from ttrace.tests.correlate.scene import IN, Node
from ttrace.tests.report.scenes import request_and_answer


def make(folder: Path) -> list[str]:
    odd = Node("another-host", snapshots=False)
    odd.interface("eth0", 2)
    odd.see("eth0", IN, 500, IP(src="198.51.100.1", dst="198.51.100.2") / ICMP())
    odd.lost("eth0", 900, 1)
    return [*request_and_answer(folder), odd.write(folder)]
