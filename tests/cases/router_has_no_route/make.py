"""Echo requests that a router gives up."""

from pathlib import Path

from scapy.layers.inet import ICMP, IP

from ttrace.tests.correlate.scene import Direction, Node

CLIENT, SERVER, ROUTER = "10.0.0.1", "10.9.0.1", "10.0.0.254"
NETWORK_UNREACHABLE = {"type": 3, "code": 0}


def make(folder: Path) -> list[str]:
    node = Node("host", snapshots=False)
    node.interface("eth0", 2)
    for number in range(2):
        request = IP(src=CLIENT, dst=SERVER, id=number + 1) / ICMP(id=5, seq=number + 1) / bytes(20)
        node.see("eth0", Direction.UNKNOWN, number * 1000, request)
        error = IP(src=ROUTER, dst=CLIENT, id=number + 9) / ICMP(**NETWORK_UNREACHABLE) / bytes(request)
        node.see("eth0", Direction.UNKNOWN, number * 1000 + 100, error)
    return [node.write(folder)]
