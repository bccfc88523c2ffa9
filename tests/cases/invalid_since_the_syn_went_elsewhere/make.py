"""SYN-ACKs without their SYN in FORWARD."""

import copy
from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import (
    DOCKER0,
    DROP,
    DROP_RULE,
    ETH0,
    IN,
    IPTABLES_RULES,
    OUT,
    Node,
    docker_host,
    keep_recording,
)

WEB, CLIENT = "172.17.0.2", "203.0.113.50"
SECOND_US = 1_000_000


def make(folder: Path) -> list[str]:
    rules = copy.deepcopy(IPTABLES_RULES)
    rules["nft"] = rules["nft"].replace("ip daddr 203.0.113.9 counter", "ct state invalid counter")
    rules["iptables"]["ip"] = rules["iptables"]["ip"].replace("-d 203.0.113.9/32", "-m conntrack --ctstate INVALID")
    host = docker_host()
    host.netns(ruleset=rules)
    for number in range(3):
        answer = IP(src=WEB, dst=CLIENT, id=10 + number) / TCP(sport=80, dport=4000, flags="SA", seq=700, ack=101)
        _dropped(host, number * SECOND_US, answer, 10 + number)
    for time_us, flags, back, seq, ack in (
        (0, "S", False, 50, 0), (90, "SA", True, 900, 51), (200, "A", False, 51, 901),
        (300, "FA", False, 51, 901), (400, "FA", True, 901, 52), (500, "A", False, 52, 902),
    ):  # fmt: skip
        _passes(host, 500_000 + time_us, flags, back=back, seq=seq, ack=ack)
    late = IP(src=WEB, dst=CLIENT, id=99) / TCP(sport=80, dport=5000, flags="A", seq=902, ack=52)
    _dropped(host, 4 * SECOND_US, late, 99)
    keep_recording(host)
    return [host.write(folder)]


def _dropped(host: Node, time_us: float, packet: IP, trace_id: int) -> None:
    host.see("docker0", IN, time_us, packet)
    seen = {"iif": DOCKER0, "oif": ETH0, "trace_id": trace_id}
    host.trace(time_us + 5, packet, "FORWARD", rules=[("FORWARD", DROP_RULE, DROP)], policy=None, **seen)


def _passes(host: Node, time_us: float, flags: str, *, back: bool, seq: int, ack: int) -> None:
    ends = (WEB, CLIENT, 80, 5000) if back else (CLIENT, WEB, 5000, 80)
    number = int(time_us) % 60_000
    segment = TCP(sport=ends[2], dport=ends[3], flags=flags, seq=seq, ack=ack)
    packet = IP(src=ends[0], dst=ends[1], id=number) / segment
    came, left = ("docker0", "eth0") if back else ("eth0", "docker0")
    host.see(came, IN, time_us, packet)
    gone = packet.copy()
    gone[IP].ttl = 63
    host.see(left, OUT, time_us + 20, gone)
