"""A masqueraded SYN out of a container, on a host with bridge-nf."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import DOCKER0, ETH0, IN, OUT, docker_host

OUTBOUND = IP(src="172.17.0.2", dst="203.0.113.1", id=5) / TCP(sport=1000, dport=80, flags="S", seq=9)
MASQUERADED = IP(src="192.0.2.1", dst="203.0.113.1", id=5, ttl=63) / TCP(sport=1000, dport=80, flags="S", seq=9)
TRANSLATION = (("172.17.0.2", 1000), ("203.0.113.1", 80)), (("203.0.113.1", 80), ("192.0.2.1", 1000))


def make(folder: Path) -> list[str]:
    host = docker_host(inside=True)
    host.see("eth0", OUT, 0, OUTBOUND, netns="web1")
    host.see("veth1", IN, 1, OUTBOUND)
    host.see("docker0", IN, 5, OUTBOUND)
    host.see("eth0", OUT, 9, MASQUERADED)
    # Messages are received late, all after the packet has gone.
    host.conntrack(19, *TRANSLATION, status=0x10)
    host.trace(20, OUTBOUND, "PREROUTING", table="nat", iif=DOCKER0)
    host.trace(21, OUTBOUND, "FORWARD", iif=DOCKER0, oif=ETH0, trace_id=8)
    host.trace(22, OUTBOUND, "POSTROUTING", table="nat", oif=ETH0, trace_id=8)
    return [host.write(folder)]
