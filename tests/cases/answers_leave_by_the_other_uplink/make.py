"""SYNs by eth1, SYN-ACKs by eth0; of one client the handshake finishes."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import IN, OUT, Direction, Node, keep_recording

SERVER, STUCK, WELL = "10.2.0.1", "198.51.100.9", "198.51.100.10"
SECOND_US = 1_000_000


def make(folder: Path) -> list[str]:
    node = Node("h")
    node.interface("eth0", 2, addresses=["10.1.0.1"])
    node.interface("eth1", 3, addresses=[SERVER])

    def see(name: str, direction: Direction, time_us: float, client: str, number: int, flags: str) -> None:
        back = "S" in flags and "A" in flags
        ends = (SERVER, client, 80, 1000) if back else (client, SERVER, 1000, 80)
        sequence, acknowledged = (70, 11) if back else (10 + ("A" in flags), 71 if "A" in flags else 0)
        segment = TCP(sport=ends[2], dport=ends[3], flags=flags, seq=sequence, ack=acknowledged)
        node.see(name, direction, time_us, IP(src=ends[0], dst=ends[1], id=number) / segment)

    for number in range(3):
        see("eth1", IN, number * SECOND_US, STUCK, 1 + number, "S")
        see("eth0", OUT, number * SECOND_US + 90, STUCK, 50 + number, "SA")
    see("eth1", IN, 500_000, WELL, 20, "S")
    see("eth0", OUT, 500_090, WELL, 70, "SA")
    see("eth1", IN, 500_900, WELL, 21, "A")
    keep_recording(node)
    return [node.write(folder)]
