"""A datagram on lo, captured and traced."""

from pathlib import Path

from scapy.layers.inet import IP, UDP

from ttrace.tests.correlate.scene import IN, OUT, docker_host


def make(folder: Path) -> list[str]:
    packet = IP(src="127.0.0.1", dst="127.0.0.1", id=6) / UDP(sport=7, dport=8080) / b"hello"
    host = docker_host()
    host.see("lo", OUT, 3, packet)
    host.see("lo", IN, 4, packet)
    for number, (chain, table) in enumerate(
        [("OUTPUT", "filter"), ("POSTROUTING", "nat"), ("PREROUTING", "nat"), ("INPUT", "filter")]
    ):
        host.trace(20 + number, packet, chain, table=table, trace_id=7 + number // 2)
    return [host.write(folder)]
