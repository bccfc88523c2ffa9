"""What a conversation shows of the fate of its packets, segment by segment."""

import pytest

from ttrace.bench.truth.views.example import CLIENT, SERVER, records, tcp, udp
from ttrace.bench.truth.views.layout import find
from ttrace.bench.truth.views.signs import Sign, signs
from ttrace.bench.truth.views.ways import ways

SYN, ACK, PUSH, FIN, RST = 2, 16, 24, 17, 4
THERE, BACK = (CLIENT, SERVER, (40000, 80)), (SERVER, CLIENT, (80, 40000))


def of(*frames):
    found = signs(ways([find(record.data, 1) for record in records(list(frames))]))
    return [found[n].name for n in range(len(frames))]


def test_a_handshake_and_its_data():
    assert of(
        tcp(*THERE, 100, 0, SYN),
        tcp(*BACK, 500, 101, SYN | ACK),
        tcp(*THERE, 101, 501, ACK),
        tcp(*THERE, 101, 501, PUSH, b"question"),
        tcp(*BACK, 501, 109, ACK),
        tcp(*BACK, 501, 109, PUSH, b"answer"),
        tcp(*THERE, 109, 507, ACK),
    ) == ["TAKEN", "TAKEN", "COVERED", "TAKEN", "COVERED", "TAKEN", "NONE"]


def test_what_is_sent_again_is_not_known_to_have_arrived():
    request = tcp(*THERE, 101, 501, PUSH, b"question")
    ack = tcp(*BACK, 501, 109, ACK)
    assert of(request, request, ack)[:2] == ["AGAIN", "NONE"]
    assert of(request, ack, request)[0] == "NONE"


def test_what_is_sent_again_in_other_segments_neither():
    assert of(
        tcp(*THERE, 101, 501, PUSH, b"12345678"),
        tcp(*THERE, 109, 501, PUSH, b"12345678"),
        tcp(*THERE, 105, 501, PUSH, b"56781234"),
        tcp(*BACK, 501, 117, ACK),
    )[:3] == ["NONE", "NONE", "NONE"]


def test_acknowledgments_of_the_next_connection_of_the_same_ports_say_nothing():
    old = [tcp(*THERE, 100, 0, SYN), tcp(*BACK, 500, 101, SYN | ACK), tcp(*THERE, 101, 501, PUSH, b"lost")]
    new = [tcp(*THERE, 70_000, 0, SYN), tcp(*BACK, 9_000, 70_001, SYN | ACK), tcp(*THERE, 70_001, 9_001, ACK)]
    assert of(*old, *new) == ["TAKEN", "TAKEN", "NONE", "TAKEN", "TAKEN", "NONE"]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([udp(*THERE, b"log"), udp(*THERE, b"log 2")], ["SILENT", "SILENT"]),
        ([udp(*THERE, b"question"), udp(*BACK, b"answer")], ["TAKEN", "NONE"]),
        ([udp(*THERE, b"question"), udp(*THERE, b"question"), udp(*BACK, b"answer")], ["NONE", "NONE", "NONE"]),
    ],
)
def test_datagrams(frames, expected):
    assert of(*frames) == expected
    assert Sign[expected[0]]
