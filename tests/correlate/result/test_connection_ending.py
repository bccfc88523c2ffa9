"""What stands behind a connection's outcome: who ended it, what was sent in vain."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from ..scene import Direction, Node, correlate

CLIENT, SERVER = "10.0.0.1", "10.9.0.1"
SECOND_US = 1_000_000


def tcp(flags: str, *, back: bool = False, number: int = 1, payload: bytes = b"") -> IP:
    source, destination, sport, dport = (SERVER, CLIENT, 80, 4000) if back else (CLIENT, SERVER, 4000, 80)
    return (
        IP(src=source, dst=destination, id=number + 100 * back)
        / TCP(sport=sport, dport=dport, flags=flags, seq=7 + 100 * back, ack=108 - 100 * back)
        / payload
    )


def query(number: int = 1) -> IP:
    return IP(src=CLIENT, dst=SERVER, id=number) / UDP(sport=4000, dport=53) / b"query"


SYN, ACCEPTED, ACK = tcp("S"), tcp("SA", back=True), tcp("A")
PROHIBITED = IP(src=SERVER, dst=CLIENT) / ICMP(type=3, code=3) / bytes(query())


@pytest.mark.parametrize(
    ("packets", "state", "ending"),
    [
        ([SYN, tcp("RA", back=True)], "refused", "refused by the server, 10.9.0.1:80 (RST)"),
        ([query(), PROHIBITED], "refused", "refused by 10.9.0.1 (ICMP destination unreachable (port unreachable))"),
        ([SYN, ACCEPTED, ACK, tcp("R", number=2)], "reset", "reset by the client, 10.0.0.1:4000 (RST)"),
        ([SYN, ACCEPTED, ACK, tcp("R", back=True)], "reset", "reset by the server, 10.9.0.1:80 (RST)"),
        ([tcp("S", number=n) for n in range(1, 5)], "unanswered", "unanswered (SYN x4)"),
        ([query(n) for n in range(1, 4)], "unanswered", "unanswered (x3)"),
        ([query()], "unanswered", "unanswered"),
        (
            [SYN, *(tcp("SA", back=True, number=n) for n in range(1, 6))],
            "half-open",
            "half-open (SYN-ACK x5, never acknowledged)",
        ),
        ([SYN, ACCEPTED, ACK], "cut", "cut by the end of the capture"),
        ([ACK, tcp("A", back=True)], "cut", "begun before the capture"),
        ([SYN, ACCEPTED, ACK, tcp("FA", number=2), tcp("FA", back=True, number=2)], "complete", "complete"),
    ],
)
def test_an_ending(tmp_path, packets, state, ending):
    node = Node("host", snapshots=False)
    node.interface("eth0", 2)
    for number, packet in enumerate(packets):
        node.see("eth0", Direction.UNKNOWN, number * 1000, packet)
    (connection,) = correlate(tmp_path, node).connections_at([0])
    assert (connection.state, connection.ending) == (state, ending)


def test_an_open_connection_that_says_nothing_is_idle(tmp_path):
    node = Node("host", snapshots=False)
    node.interface("eth0", 2)
    for number, packet in enumerate((SYN, ACCEPTED, ACK)):
        node.see("eth0", Direction.UNKNOWN, number * 1000, packet)
    node.see("eth0", Direction.UNKNOWN, 62 * SECOND_US, IP(src="10.7.0.1", dst="10.7.0.2") / UDP() / b"other")
    connection = correlate(tmp_path, node).connections_at([0])[0]
    assert connection.ending == "open, and idle for 62 s at the end of the capture"
