"""A traceroute probe whose TTL ends at the server, and the answer."""

from pathlib import Path

from scapy.layers.inet import ICMP, IP, UDP

from ttrace.tests.correlate.scene import Direction, Node

CLIENT, SERVER = "10.0.0.1", "10.9.0.1"
TIME_EXCEEDED = {"type": 11, "code": 0}


def make(folder: Path) -> list[str]:
    return probe_answered_with(folder, **TIME_EXCEEDED)


def probe_answered_with(folder: Path, **error: int) -> list[str]:
    """The captures of client and server; `error`: type and code of the server's answer."""
    client, server = Node("client", snapshots=False), Node("server", snapshots=False)
    for node in (client, server):
        node.interface("eth0", 2)
    probe = IP(src=CLIENT, dst=SERVER, id=3, ttl=2) / UDP(sport=40_000, dport=33_434) / bytes(20)
    last = probe.copy()
    last[IP].ttl = 1
    client.see("eth0", Direction.UNKNOWN, 0, probe)
    server.see("eth0", Direction.UNKNOWN, 100, last)
    answer = IP(src=SERVER, dst=CLIENT, id=4) / ICMP(**error) / bytes(last)
    server.see("eth0", Direction.UNKNOWN, 150, answer)
    client.see("eth0", Direction.UNKNOWN, 250, answer)
    return [client.write(folder), server.write(folder)]
