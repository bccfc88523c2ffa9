"""What the reports are tested on: a request between two Docker hosts, and one that is dropped."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import (
    ACCEPT,
    ACCEPT_RULE,
    DNAT,
    DNAT_RULE,
    DOCKER0,
    DROP,
    DROP_RULE,
    ETH0,
    IN,
    JUMP_RULE,
    MASQUERADE_RULE,
    OUT,
    SNAT,
    Node,
    docker_host,
)

CLIENT, A, B, SERVER = "172.17.0.2", "192.0.2.1", "192.0.2.2", "172.17.0.2"
B_AHEAD_US = 1_000_000
"""The clock of host b is a second ahead."""


def _segment(source: str, sport: int, destination: str, dport: int, flags: str, ip_id: int, ttl: int = 64) -> IP:
    return IP(src=source, dst=destination, id=ip_id, ttl=ttl) / TCP(
        sport=sport, dport=dport, flags=flags, seq=ip_id, ack=0
    )


def request_and_answer(folder: Path) -> list[str]:
    """The files of hosts a and b."""
    a, b = docker_host("a", A), docker_host("b", B)
    _out(a, 0, "S", 1, first=True)
    _in(b, B_AHEAD_US + 100, "S", 1, first=True)
    _answer(b, B_AHEAD_US + 200, a, 250)
    _out(a, 400, "A", 2, first=False)
    _in(b, B_AHEAD_US + 500, "A", 2, first=False)
    _dropped(a, 900)
    for node, time in ((a, 3_000_000), (b, B_AHEAD_US + 3_000_000)):
        node.lost("docker0", time, 2 if node is b else 0)
    return [a.write(folder), b.write(folder)]


def _out(a: Node, time: float, flags: str, ip_id: int, *, first: bool) -> None:
    inside = _segment(CLIENT, 1000, B, 8080, flags, ip_id)
    a.see("veth1", IN, time, inside)
    a.see("docker0", IN, time + 5, inside)
    a.see("eth0", OUT, time + 30, _segment(A, 1000, B, 8080, flags, ip_id, ttl=63))
    ct = (71, 0, SNAT)
    if first:
        a.trace(time + 40, inside, "PREROUTING", table="nat", iif=DOCKER0)
    a.trace(
        time + 41,
        inside,
        "FORWARD",
        iif=DOCKER0,
        oif=ETH0,
        rules=[("FORWARD", ACCEPT_RULE, ACCEPT)],
        policy=None,
        ct=ct,
    )
    if first:
        rules = [("POSTROUTING", MASQUERADE_RULE, ACCEPT)]
        a.trace(time + 42, inside, "POSTROUTING", table="nat", oif=ETH0, rules=rules, policy=None, ct=ct)
        a.conntrack(time + 43, ((CLIENT, 1000), (B, 8080)), ((B, 8080), (A, 1000)), status=SNAT, ct_id=71)


def _in(b: Node, time: float, flags: str, ip_id: int, *, first: bool) -> None:
    before, after = _segment(A, 1000, B, 8080, flags, ip_id, 63), _segment(A, 1000, SERVER, 80, flags, ip_id, 62)
    b.see("eth0", IN, time, before)
    b.see("docker0", OUT, time + 30, after)
    b.see("veth1", OUT, time + 31, after)
    ct = (72, 0, DNAT)
    if first:
        rules = [("PREROUTING", JUMP_RULE, "DOCKER"), ("DOCKER", DNAT_RULE, ACCEPT)]
        b.trace(time + 40, before, "PREROUTING", table="nat", iif=ETH0, rules=rules, policy=None, ct=ct)
        b.conntrack(time + 43, ((A, 1000), (B, 8080)), ((SERVER, 80), (A, 1000)), status=DNAT, ct_id=72)
    b.trace(
        time + 41, after, "FORWARD", iif=ETH0, oif=DOCKER0, rules=[("FORWARD", ACCEPT_RULE, ACCEPT)], policy=None, ct=ct
    )


def _answer(b: Node, time_b: float, a: Node, time_a: float) -> None:
    inside = _segment(SERVER, 80, A, 1000, "SA", 0)
    b.see("veth1", IN, time_b, inside)
    b.see("docker0", IN, time_b + 5, inside)
    b.see("eth0", OUT, time_b + 30, _segment(B, 8080, A, 1000, "SA", 0, ttl=63))
    a.see("eth0", IN, time_a, _segment(B, 8080, A, 1000, "SA", 0, ttl=63))
    back = _segment(B, 8080, CLIENT, 1000, "SA", 0, ttl=62)
    a.see("docker0", OUT, time_a + 30, back)
    a.see("veth1", OUT, time_a + 31, back)
    a.trace(
        time_a + 40,
        back,
        "FORWARD",
        iif=ETH0,
        oif=DOCKER0,
        rules=[("FORWARD", ACCEPT_RULE, ACCEPT)],
        policy=None,
        ct=(71, 1, SNAT),
    )


def _dropped(a: Node, time: float) -> None:
    packet = _segment(CLIENT, 1001, "203.0.113.9", 443, "S", 7)
    a.see("veth1", IN, time, packet)
    a.see("docker0", IN, time + 5, packet)
    a.trace(time + 40, packet, "FORWARD", iif=DOCKER0, oif=ETH0, rules=[("FORWARD", DROP_RULE, DROP)], policy=None)
