"""A SYN that a hook accepts and that is then seen nowhere."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import ACCEPT, ACCEPT_RULE, DOCKER0, ETH0, IN, docker_host, keep_recording


def make(folder: Path) -> list[str]:
    return accepted_by_forward(folder, "prerouting_last", "forward_last")


def accepted_by_forward(folder: Path, *seen_by: str) -> list[str]:
    """The capture; `seen_by`: the last chains of ttrace's that saw the packet."""
    packet = IP(src="172.17.0.2", dst="203.0.113.1", id=1) / TCP(sport=1000, dport=80, flags="S")
    host = docker_host()
    host.see("docker0", IN, 0, packet)
    if "prerouting_last" in seen_by:
        host.trace(4, packet, "prerouting_last", family="inet", table="ttrace", iif=DOCKER0)
    host.trace(5, packet, "FORWARD", iif=DOCKER0, oif=ETH0, rules=[("FORWARD", ACCEPT_RULE, ACCEPT)], policy=None)
    if "forward_last" in seen_by:
        host.trace(6, packet, "forward_last", family="inet", table="ttrace", iif=DOCKER0, oif=ETH0)
    keep_recording(host)
    return [host.write(folder)]
