"""A SYN that is accepted towards an interface without a capture."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import DOCKER0, IN, docker_host, keep_recording


def make(folder: Path) -> list[str]:
    packet = IP(src="172.17.0.2", dst="203.0.113.1", id=1) / TCP(sport=1000, dport=80, flags="S")
    host = docker_host()
    host.interface("eth1", 9, captured=False)
    host.see("docker0", IN, 0, packet)
    host.trace(5, packet, "FORWARD", iif=DOCKER0, oif=9)
    keep_recording(host)
    return [host.write(folder)]
