"""Datagrams of which a fragment is missing."""

from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.packet import Packet

from ttrace.correlate.findings.kinds import Kind
from ttrace.correlate.findings.values import Finding
from ttrace.tests.correlate.scene import IN, OUT, Direction, Node, keep_recording

from .told import findings_of, of_kind

CLIENT, SERVER = "10.1.0.9", "10.2.0.8"


def _pieces(number: int, *, back: bool = False) -> list[Packet]:
    """A datagram of 3,008 bytes with its header, in three pieces of up to 1,480."""
    ends = {"src": SERVER, "dst": CLIENT} if back else {"src": CLIENT, "dst": SERVER}
    ports = {"sport": 2000, "dport": 1000} if back else {"sport": 1000, "dport": 2000}
    return fragment(IP(id=number, **ends) / UDP(**ports) / bytes(3000), fragsize=1480)


def _router() -> Node:
    node = Node("r")
    node.interface("eth0", 2, addresses=["10.1.0.1"])
    node.interface("eth1", 3, addresses=["10.2.0.1"])
    return node


def _pass(node: Node, number: int, *, without: int | None, time_us: float = 0) -> None:
    """Through the router, which does not pass one of the pieces on."""
    for at, piece in enumerate(_pieces(number)):
        node.see("eth0", IN, time_us + 10 * at, piece)
        if at != without:
            gone = piece.copy()
            gone.ttl -= 1
            node.see("eth1", OUT, time_us + 10 * at + 5, gone)


def _found(folder: Path, node: Node) -> list[Finding]:
    keep_recording(node)
    return of_kind(findings_of(folder, node), Kind.FRAGMENT_MISSING)


@pytest.mark.parametrize(
    ("without", "words"),
    [(1, "bytes 1,480 to 2,959"), (2, "what comes behind byte 2,960")],
)
def test_a_piece_that_comes_in_and_does_not_go_on(tmp_path: Path, without: int, words: str) -> None:
    node = _router()
    _pass(node, 7, without=without)
    (finding,) = _found(tmp_path, node)
    assert f"never came whole to r eth1: a fragment is missing ({words}), last seen at r eth0" in finding.text
    assert finding.confidence > 0.9


def test_the_end_says_that_it_gave_up(tmp_path: Path) -> None:
    node = _router()
    _pass(node, 7, without=1)
    error = IP(src=SERVER, dst=CLIENT, id=50) / ICMP(type=11, code=1) / bytes(_pieces(7)[0])[:28]
    node.see("eth1", IN, 3_000_000, error)
    (finding,) = _found(tmp_path, node)
    assert finding.text.endswith("the end gave up waiting for it, with an ICMP error")


def test_only_of_one_of_two_datagrams_the_end_says_so(tmp_path: Path) -> None:
    """They are two findings, in whichever parts they are."""
    node, sent = _router(), []
    for number, port in enumerate((1000, 1001)):
        header = IP(src=CLIENT, dst=SERVER, id=7 + number) / UDP(sport=port, dport=2000)
        sent.append(fragment(header / bytes(3000), fragsize=1480))
        for at, piece in enumerate(sent[-1]):
            node.see("eth0", IN, 1000 * number + 10 * at, piece)
            if at != 1:
                gone = piece.copy()
                gone.ttl -= 1
                node.see("eth1", OUT, 1000 * number + 10 * at + 5, gone)
    error = IP(src=SERVER, dst=CLIENT, id=50) / ICMP(type=11, code=1) / bytes(sent[1][0])[:28]
    node.see("eth1", IN, 3_000_000, error)
    found = _found(tmp_path, node)
    assert [("gave up" in one.text, one.packets) for one in found] == [(False, 1), (True, 1)]


def test_all_pieces_are_there(tmp_path: Path) -> None:
    node = _router()
    _pass(node, 7, without=None)
    assert _found(tmp_path, node) == []


def _plain(*, first_alone: bool, answered: bool) -> Node:
    """One point: a datagram of which a piece is not seen, behind one that is (or not)."""
    node = Node("r", snapshots=False)
    node.interface("eth0", 2)
    for number in range(2):
        for at, piece in enumerate(_pieces(7 + number)):
            if at == 0 or not (first_alone or (at == 1 and number == 1)):
                node.see("eth0", Direction.UNKNOWN, 1_000_000 * number + 10 * at, piece)
    if answered:
        reply = IP(src=SERVER, dst=CLIENT, id=3) / UDP(sport=2000, dport=1000) / b"thanks"
        node.see("eth0", Direction.UNKNOWN, 1_200_000, reply)
    return node


def test_a_piece_that_is_seen_nowhere(tmp_path: Path) -> None:
    (finding,) = _found(tmp_path, _plain(first_alone=False, answered=False))
    assert "1 datagram of udp" in finding.text
    assert "seen nowhere" in finding.text
    assert finding.confidence < 0.8


def test_a_filter_by_ports_shows_first_pieces_alone(tmp_path: Path) -> None:
    assert _found(tmp_path, _plain(first_alone=True, answered=False)) == []


def test_who_answers_has_had_it(tmp_path: Path) -> None:
    assert _found(tmp_path, _plain(first_alone=False, answered=True)) == []
