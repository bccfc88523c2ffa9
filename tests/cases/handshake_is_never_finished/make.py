"""SYN, SYN-ACK, SYN-ACK, and nothing more; beside it a whole handshake."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import Direction, Node

CLIENT, SERVER = "10.0.0.1", "10.9.0.1"
SECOND_US = 1_000_000


def make(folder: Path) -> list[str]:
    node = Node("host", snapshots=False)
    node.interface("eth0", 2)

    def see(time_us: float, number: int, *, port: int, flags: str, seq: int, ack: int = 0, back: bool = False) -> None:
        ends = (SERVER, CLIENT, 80, port) if back else (CLIENT, SERVER, port, 80)
        source, destination, source_port, destination_port = ends
        header = IP(src=source, dst=destination, id=number)
        segment = TCP(sport=source_port, dport=destination_port, flags=flags, seq=seq, ack=ack)
        node.see("eth0", Direction.UNKNOWN, time_us, header / segment)

    see(0, 1, port=40_000, flags="S", seq=7)
    for number in range(2):
        see(100 + number * SECOND_US, 50 + number, port=40_000, flags="SA", seq=9, ack=8, back=True)
    see(2 * SECOND_US, 3, port=40_001, flags="S", seq=7)
    see(2 * SECOND_US + 100, 60, port=40_001, flags="SA", seq=9, ack=8, back=True)
    see(2 * SECOND_US + 200, 4, port=40_001, flags="A", seq=8, ack=10)
    return [node.write(folder)]
