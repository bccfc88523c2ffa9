"""A SYN with its last hop left."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import IN, docker_host, keep_recording


def make(folder: Path) -> list[str]:
    host = docker_host()
    syn = IP(src="172.17.0.2", dst="203.0.113.1", id=1, ttl=1) / TCP(sport=1000, dport=80, flags="S")
    host.see("docker0", IN, 0, syn)
    keep_recording(host)
    return [host.write(folder)]
