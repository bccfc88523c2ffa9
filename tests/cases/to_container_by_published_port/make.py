"""A SYN to a published port, on its way into the container, and the answer."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import DOCKER0, ETH0, IN, OUT, docker_host


def make(folder: Path) -> list[str]:
    before = IP(src="203.0.113.1", dst="192.0.2.1", id=6) / TCP(sport=7, dport=8080, flags="S")
    after = IP(src="203.0.113.1", dst="172.17.0.2", id=6, ttl=63) / TCP(sport=7, dport=80, flags="S")
    host = docker_host(inside=True)
    host.see("eth0", IN, 0, before)
    host.see("docker0", OUT, 5, after)
    host.see("veth1", OUT, 6, after)
    host.see("eth0", IN, 7, after, netns="web1")
    host.conntrack(8, (("203.0.113.1", 7), ("192.0.2.1", 8080)), (("172.17.0.2", 80), ("203.0.113.1", 7)), status=0x20)
    host.trace(20, before, "PREROUTING", table="nat", iif=ETH0)
    host.trace(21, after, "FORWARD", iif=ETH0, oif=DOCKER0)
    host.trace(22, after, "POSTROUTING", table="nat", oif=DOCKER0)
    answer = IP(src="172.17.0.2", dst="203.0.113.1", id=0) / TCP(sport=80, dport=7, flags="SA", ack=1)
    for number, (netns, point, way) in enumerate(
        [("web1", "eth0", OUT), ("root", "veth1", IN), ("root", "docker0", IN)]
    ):
        host.see(point, way, 50 + number, answer, netns=netns)
    return [host.write(folder)]
