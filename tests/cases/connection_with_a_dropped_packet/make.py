"""Two SYNs of one connection, the second dropped."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import DROP, ETH0, IN, docker_host


def make(folder: Path) -> list[str]:
    syn = TCP(sport=1000, dport=80, flags="S")
    first, second = (IP(src="203.0.113.1", dst="192.0.2.1", id=number) / syn for number in (1, 2))
    host = docker_host()
    host.see("eth0", IN, 0, first)
    host.see("eth0", IN, 100, second)
    host.trace(105, second, "INPUT", iif=ETH0, policy=DROP)
    return [host.write(folder)]
