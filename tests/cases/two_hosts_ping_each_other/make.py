"""A ping each way, with the same identifier and sequence number."""

from pathlib import Path

from scapy.layers.inet import ICMP, IP

from ttrace.tests.correlate.scene import IN, OUT, docker_host

HOST, FAR = "192.0.2.1", "203.0.113.1"


def make(folder: Path) -> list[str]:
    host = docker_host()
    for time, source, destination, kind in (
        (0, FAR, HOST, 8), (10, HOST, FAR, 0), (1000, HOST, FAR, 8), (1010, FAR, HOST, 0),
    ):  # fmt: skip
        way = OUT if source == HOST else IN
        host.see("eth0", way, time, IP(src=source, dst=destination, id=time) / ICMP(type=kind, id=7, seq=1))
    return [host.write(folder)]
