"""Datagrams without answers, to a server that never answers and to one that does."""

from pathlib import Path

from scapy.layers.inet import IP, UDP

from ttrace.tests.correlate.scene import Direction, Node

SECOND_US = 1_000_000


def make(folder: Path) -> list[str]:
    node = Node("host", snapshots=False)
    node.interface("eth0", 2)

    def see(time_us: float, number: int, source: tuple[str, int], destination: tuple[str, int]) -> None:
        header = IP(src=source[0], dst=destination[0], id=number)
        datagram = UDP(sport=source[1], dport=destination[1]) / f"number {number}".encode()
        node.see("eth0", Direction.UNKNOWN, time_us, header / datagram)

    log, service = ("10.9.0.1", 5140), ("10.9.0.2", 8125)
    for number in range(3):
        see(number * SECOND_US, number + 1, ("10.0.0.1", 40_000), log)
        see(number * SECOND_US + 5, number + 11, ("10.0.0.1", 40_001), service)
    see(3 * SECOND_US, 21, ("10.0.0.2", 40_002), service)
    see(3 * SECOND_US + 90, 22, service, ("10.0.0.2", 40_002))
    return [node.write(folder)]
