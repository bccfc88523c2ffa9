from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet

from ttrace.correlate.findings.kinds import Kind, Severity
from ttrace.tests.correlate.scene import IN, OUT, Node, keep_recording

from .told import findings_of, of_kind

CLIENT, ASKED, OTHER = "10.0.0.5", "10.0.0.10", "10.0.0.11"


def _node(question: Packet, answer: Packet, source: str) -> Node:
    node = Node("h")
    node.interface("eth0", 2, addresses=[CLIENT])
    node.see("eth0", OUT, 0, IP(src=CLIENT, dst=ASKED, id=7) / question)
    node.see("eth0", IN, 900, IP(src=source, dst=CLIENT, id=9) / answer)
    node.see("eth0", OUT, 1_000_000, IP(src=CLIENT, dst=ASKED, id=8) / question)
    keep_recording(node)
    return node


SYN = TCP(sport=1000, dport=80, flags="S", seq=4711)
TALKS = {
    "tcp": (SYN, TCP(sport=80, dport=1000, flags="SA", seq=9, ack=4712)),
    "icmp": (ICMP(type=8, id=77, seq=3) / b"12345678", ICMP(type=0, id=77, seq=3) / b"12345678"),
    "udp": (UDP(sport=40000, dport=53) / b"question", UDP(sport=53, dport=40000) / b"answer"),
}


@pytest.mark.parametrize("protocol", TALKS)
def test_an_answer_from_another_address(tmp_path: Path, protocol: str) -> None:
    (finding,) = of_kind(findings_of(tmp_path, _node(*TALKS[protocol], OTHER)), Kind.WRONG_REPLY_SOURCE)
    assert finding.severity == Severity.FAULT
    assert f"the answer to {protocol} {CLIENT}" in finding.text
    assert f"comes from {OTHER}" in finding.text


@pytest.mark.parametrize("protocol", TALKS)
def test_an_answer_from_where_it_was_sent_to(tmp_path: Path, protocol: str) -> None:
    assert of_kind(findings_of(tmp_path, _node(*TALKS[protocol], ASKED)), Kind.WRONG_REPLY_SOURCE) == []


def test_a_syn_ack_that_acknowledges_something_else_is_no_answer(tmp_path: Path) -> None:
    other = TCP(sport=80, dport=1000, flags="SA", seq=9, ack=99)
    assert of_kind(findings_of(tmp_path, _node(SYN, other, OTHER)), Kind.WRONG_REPLY_SOURCE) == []


def test_which_of_two_that_were_asked_should_have_answered_is_not_known(tmp_path: Path) -> None:
    node = _node(*TALKS["udp"], OTHER)
    node.see("eth0", OUT, 10, IP(src=CLIENT, dst="10.0.0.12", id=18) / TALKS["udp"][0])
    assert of_kind(findings_of(tmp_path, node), Kind.WRONG_REPLY_SOURCE) == []


def test_a_single_datagram_may_be_a_stray_one(tmp_path: Path) -> None:
    node = Node("h")
    node.interface("eth0", 2, addresses=[CLIENT])
    question, answer = TALKS["udp"]
    node.see("eth0", OUT, 0, IP(src=CLIENT, dst=ASKED, id=7) / question)
    node.see("eth0", IN, 900, IP(src=OTHER, dst=CLIENT, id=9) / answer)
    keep_recording(node)
    assert of_kind(findings_of(tmp_path, node), Kind.WRONG_REPLY_SOURCE) == []


def test_answers_from_two_ports_are_two_findings(tmp_path: Path) -> None:
    """In whichever parts they are."""
    node = Node("h")
    node.interface("eth0", 2, addresses=[CLIENT])
    for number, source_port in enumerate((80, 8080)):
        syn = TCP(sport=1000 + number, dport=80, flags="S", seq=4711 + number)
        node.see("eth0", OUT, 1000 * number, IP(src=CLIENT, dst=ASKED, id=7 + number) / syn)
        answer = TCP(sport=source_port, dport=1000 + number, flags="SA", seq=9, ack=4712 + number)
        node.see("eth0", IN, 1000 * number + 500, IP(src=OTHER, dst=CLIENT, id=20 + number) / answer)
    keep_recording(node)
    found = of_kind(findings_of(tmp_path, node), Kind.WRONG_REPLY_SOURCE)
    assert f"comes from {OTHER}:80," in found[0].text
    assert f"comes from {OTHER}:8080," in found[1].text
