"""DNAT without correction of the checksum, as two tcpdumps see it."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import Direction, Node, keep_recording

CLIENT, ROUTER, SERVER, OTHER = "10.1.0.9", "10.1.0.1", "10.2.0.8", "10.2.0.9"
SECOND_US = 1_000_000
UNKNOWN = Direction.UNKNOWN


def make(folder: Path) -> list[str]:
    inside, outside = Node("in", snapshots=False), Node("out", snapshots=False)
    inside.interface("eth0", 2)
    outside.interface("eth1", 3)
    for number in range(3):
        ports = {"sport": 1000, "flags": "S", "seq": 7}
        asked = IP(bytes(IP(src=CLIENT, dst=ROUTER, id=number + 1) / TCP(dport=8080, **ports)))
        sent = IP(src=CLIENT, dst=SERVER, id=number + 1, ttl=63) / TCP(dport=80, chksum=asked[TCP].chksum, **ports)
        inside.see("eth0", UNKNOWN, number * SECOND_US, asked)
        outside.see("eth1", UNKNOWN, number * SECOND_US + 40, sent)
    ends = {True: {"src": CLIENT, "dst": OTHER}, False: {"src": OTHER, "dst": CLIENT}}
    steps = [("S", True, 5, 0), ("SA", False, 9, 6), ("A", True, 6, 10), ("FA", True, 6, 10), ("FA", False, 10, 7),
             ("A", True, 7, 11)]  # fmt: skip
    for number, (flags, forward, seq, ack) in enumerate(steps):
        ports = {"sport": 2000, "dport": 80} if forward else {"sport": 80, "dport": 2000}
        for hop, (node, point) in enumerate([(inside, "eth0"), (outside, "eth1")]):
            ttl = 64 - hop if forward else 63 + hop
            packet = IP(**ends[forward], id=100 + number, ttl=ttl) / TCP(flags=flags, seq=seq, ack=ack, **ports)
            node.see(point, UNKNOWN, 1000 * number + 500 + 40 * (hop if forward else 1 - hop), packet)
    keep_recording(inside, outside)
    return [inside.write(folder), outside.write(folder)]
