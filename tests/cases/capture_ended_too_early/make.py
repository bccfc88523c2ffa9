"""The last frame of a capture is a SYN on its way."""

from pathlib import Path

from scapy.layers.inet import IP, TCP, UDP

from ttrace.tests.correlate.scene import IN, OUT, docker_host


def make(folder: Path) -> list[str]:
    host = docker_host()
    host.see("lo", OUT, 0, IP(src="127.0.0.1", dst="127.0.0.1", id=1) / UDP())
    syn = IP(src="172.17.0.2", dst="203.0.113.1", id=1) / TCP(sport=1000, dport=80, flags="S")
    host.see("docker0", IN, 1_000_000, syn)
    return [host.write(folder)]
