"""A SYN that comes in and goes out again, and again; and probes of a traceroute."""

from pathlib import Path

from scapy.layers.inet import ICMP, IP, TCP, UDP

from ttrace.tests.correlate.scene import IN, OUT, Node, keep_recording

CLIENT, LOST, TRACED = "10.9.0.9", "10.8.0.8", "10.7.0.7"
SECOND_US = 1_000_000


def make(folder: Path) -> list[str]:
    node = Node("r")
    node.interface("eth0", 2, addresses=["10.1.0.1"])
    for again in range(2):
        for number, ttl in enumerate(range(63, 0, -2)):
            time_us = again * SECOND_US + 200 * number
            syn = IP(src=CLIENT, dst=LOST, id=77 + again, ttl=ttl) / TCP(sport=1000, dport=80, flags="S", seq=5)
            gone = syn.copy()
            gone[IP].ttl = ttl - 1
            node.see("eth0", IN, time_us, syn)
            if ttl > 1:
                node.see("eth0", OUT, time_us + 20, gone)
        error = IP(src="10.1.0.1", dst=CLIENT, id=300 + again) / ICMP(type=11, code=0) / bytes(syn)[:28]
        node.see("eth0", OUT, again * SECOND_US + 9_000, error)
    for hops in range(1, 20):
        probe = IP(src=CLIENT, dst=TRACED, id=0, ttl=hops) / UDP(sport=4000, dport=33434 + hops) / bytes(24)
        node.see("eth0", IN, 3 * SECOND_US + 5_000 * hops, probe)
    keep_recording(node)
    return [node.write(folder)]
