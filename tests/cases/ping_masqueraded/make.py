"""Echo requests before and behind MASQUERADE."""

from pathlib import Path

from scapy.layers.inet import ICMP, IP

from ttrace.tests.cases.masquerade_traced.make import CT, FAR, HOST, WEB1
from ttrace.tests.correlate.scene import IN, OUT, SNAT, docker_host


def make(folder: Path) -> list[str]:
    host = docker_host()
    for number in (1, 2):
        host.see("docker0", IN, number * 100, IP(src=WEB1, dst=FAR, id=number) / ICMP(type=8, id=5, seq=number))
        host.see(
            "eth0", OUT, number * 100 + 9, IP(src=HOST, dst=FAR, id=number, ttl=63) / ICMP(type=8, id=6, seq=number)
        )
    host.conntrack(120, ((WEB1, 5), (FAR, 8)), ((FAR, 6), (HOST, 0)), protocol=1, status=SNAT, ct_id=CT)
    return [host.write(folder)]
