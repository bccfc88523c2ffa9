"""A SYN from a to b that b never shows."""

from pathlib import Path

from scapy.layers.inet import IP, TCP, UDP

from ttrace.tests.correlate.scene import OUT, docker_host, keep_recording


def make(folder: Path) -> list[str]:
    a, b = docker_host("a", "192.0.2.1"), docker_host("b", "192.0.2.2")
    a.see("eth0", OUT, 1_000_000, IP(src="192.0.2.1", dst="192.0.2.2", id=1) / TCP(sport=1000, dport=80, flags="S"))
    b.see("lo", OUT, 0, IP(src="127.0.0.1", dst="127.0.0.1", id=7) / UDP())
    keep_recording(a, b)
    return [a.write(folder), b.write(folder)]
