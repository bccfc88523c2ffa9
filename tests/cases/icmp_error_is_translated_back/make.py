"""A masqueraded datagram and the ICMP error about it."""

from pathlib import Path

from scapy.layers.inet import ICMP, IP, UDP, IPerror, UDPerror

from ttrace.tests.cases.masquerade_traced.make import CT, FAR, HOST, WEB1
from ttrace.tests.correlate.scene import IN, OUT, SNAT, docker_host


def make(folder: Path) -> list[str]:
    host = docker_host()
    host.see("docker0", IN, 0, IP(src=WEB1, dst=FAR, id=1) / UDP(sport=5, dport=6))
    host.see("eth0", OUT, 9, IP(src=HOST, dst=FAR, id=1, ttl=63) / UDP(sport=5, dport=6))
    host.conntrack(10, ((WEB1, 5), (FAR, 6)), ((FAR, 6), (HOST, 5)), protocol=17, status=SNAT, ct_id=CT)
    for point, way, address in (("eth0", IN, HOST), ("docker0", OUT, WEB1)):
        about = IPerror(src=address, dst=FAR, id=1) / UDPerror(sport=5, dport=6)
        host.see(point, way, 100, IP(src="198.51.100.1", dst=address, id=2) / ICMP(type=11) / about)
    return [host.write(folder)]
