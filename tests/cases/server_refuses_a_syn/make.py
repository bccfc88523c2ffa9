"""SYN and RST, of two clients."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import Direction, Node


def make(folder: Path) -> list[str]:
    node = Node("host", snapshots=False)
    node.interface("eth0", 2)
    for number in range(2):
        client, port = f"10.0.0.{number + 1}", 40_000 + number
        syn = IP(src=client, dst="10.9.0.1", id=number + 1) / TCP(sport=port, dport=81, flags="S", seq=7)
        node.see("eth0", Direction.UNKNOWN, number * 1000, syn)
        refusal = IP(src="10.9.0.1", dst=client, id=number + 9) / TCP(sport=81, dport=port, flags="RA", ack=8)
        node.see("eth0", Direction.UNKNOWN, number * 1000 + 100, refusal)
    return [node.write(folder)]
