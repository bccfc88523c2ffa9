"""A SYN that is accepted and then seen nowhere."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import ACCEPT, ACCEPT_RULE, DOCKER0, ETH0, IN, docker_host, keep_recording


def make(folder: Path) -> list[str]:
    packet = IP(src="172.17.0.2", dst="203.0.113.1", id=1) / TCP(sport=1000, dport=80, flags="S")
    host = docker_host()
    host.see("docker0", IN, 0, packet)
    host.trace(5, packet, "FORWARD", iif=DOCKER0, oif=ETH0, rules=[("FORWARD", ACCEPT_RULE, ACCEPT)], policy=None)
    keep_recording(host)
    return [host.write(folder)]
