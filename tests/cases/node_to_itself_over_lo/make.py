"""A datagram on lo and the answer, captured; the datagram is traced."""

from pathlib import Path

from scapy.layers.inet import IP, UDP

from ttrace.tests.correlate.scene import IN, OUT, docker_host


def make(folder: Path) -> list[str]:
    packet = IP(src="127.0.0.1", dst="127.0.0.1", id=6) / UDP(sport=7, dport=8080) / b"hello"
    answer = IP(src="127.0.0.1", dst="127.0.0.1", id=7) / UDP(sport=8080, dport=7) / b"you too"
    host = docker_host()
    host.see("lo", OUT, 3, packet)
    host.see("lo", IN, 4, packet)
    for number, (chain, table, family) in enumerate(
        [
            ("OUTPUT", "filter", "ip"), ("output_last", "ttrace", "inet"),
            ("POSTROUTING", "nat", "ip"), ("postrouting_last", "ttrace", "inet"),
            ("PREROUTING", "nat", "ip"), ("prerouting_last", "ttrace", "inet"),
            ("INPUT", "filter", "ip"), ("input_last", "ttrace", "inet"),
        ]
    ):  # fmt: skip
        host.trace(20 + number, packet, chain, table=table, family=family, trace_id=7 + number // 4)
    host.see("lo", OUT, 40, answer)
    host.see("lo", IN, 41, answer)
    return [host.write(folder)]
