"""Fragments that come in by eth0 and go out by eth1, but for one."""

from pathlib import Path

from scapy.layers.inet import ICMP, IP, UDP, fragment

from ttrace.tests.correlate.scene import IN, OUT, Node, keep_recording

CLIENT, SERVER = "10.1.0.9", "10.2.0.8"


def make(folder: Path) -> list[str]:
    node = Node("r")
    node.interface("eth0", 2, addresses=["10.1.0.1"])
    node.interface("eth1", 3, addresses=["10.2.0.1"])
    for number, without in ((7, 1), (8, None)):
        start = 100_000 * (number - 7)
        whole = IP(src=CLIENT, dst=SERVER, id=number) / UDP(sport=993 + number, dport=2000) / bytes(3000)
        for at, piece in enumerate(fragment(whole, fragsize=1480)):
            node.see("eth0", IN, start + 10 * at, piece)
            if at != without:
                gone = piece.copy()
                gone.ttl -= 1
                node.see("eth1", OUT, start + 10 * at + 5, gone)
            if number == 7 and at == 0:
                first = gone
    answer = IP(src=SERVER, dst=CLIENT, id=3) / UDP(sport=2000, dport=1001) / b"thanks"
    error = IP(src=SERVER, dst=CLIENT, id=50) / ICMP(type=11, code=1) / bytes(first)[:28]
    for time_us, packet in ((100_900, answer), (3_000_000, error)):
        passed = packet.copy()
        passed.ttl -= 1
        node.see("eth1", IN, time_us, packet)
        node.see("eth0", OUT, time_us + 5, passed)
    keep_recording(node)
    return [node.write(folder)]
