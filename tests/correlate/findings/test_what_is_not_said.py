"""Captures that look like faults and are none: a filter, one direction, a broadcast."""

from scapy.layers.inet import IP, TCP, UDP

from ttrace.correlate.findings.kinds import MOST_OF_A_KIND
from ttrace.report import render_telling
from ttrace.report.telling import Telling

from ..scene import DOCKER0, DROP, DROP_RULE, ETH0, IN, Direction, Node, correlate, docker_host, keep_recording

CLIENT, SERVER = "10.0.0.1", "10.9.0.1"
SECOND_US = 1_000_000


def findings(tmp_path, node: Node):
    return Telling.chosen(correlate(tmp_path, node)).head[0]


def plain() -> Node:
    node = Node("host", snapshots=False)
    node.interface("eth0", 2)
    return node


def segment(number: int, flags: str, *, back: bool = False) -> IP:
    ends = (SERVER, CLIENT, 80, 40_000 + number) if back else (CLIENT, SERVER, 40_000 + number, 80)
    header = IP(src=ends[0], dst=ends[1], id=number + 1 + 100 * back)
    return header / TCP(sport=ends[2], dport=ends[3], flags=flags, seq=7, ack=8 if back else 0)


def test_a_filter_that_took_syns_and_syn_acks_alone(tmp_path):
    node = plain()
    for number in range(5):
        node.see("eth0", Direction.UNKNOWN, number * SECOND_US, segment(number, "S"))
        node.see("eth0", Direction.UNKNOWN, number * SECOND_US + 90, segment(number, "SA", back=True))
    assert not findings(tmp_path, node)


def test_a_filter_that_took_syns_alone(tmp_path):
    node = plain()
    for number in range(5):
        node.see("eth0", Direction.UNKNOWN, number * SECOND_US, segment(number, "S"))
    assert not findings(tmp_path, node)


def test_questions_of_which_one_direction_was_captured(tmp_path):
    node = plain()
    for number in range(5):
        query = IP(src=CLIENT, dst=SERVER, id=number + 1) / UDP(sport=40_000 + number, dport=53) / b"query"
        node.see("eth0", Direction.UNKNOWN, number * SECOND_US, query)
    assert not findings(tmp_path, node)


def test_a_broadcast_that_a_rule_drops_keeps_nobody_from_anything(tmp_path):
    host = docker_host()
    packet = IP(src="172.17.0.2", dst="172.17.0.255", id=1) / UDP(sport=138, dport=138) / b"who is there"
    host.see("docker0", IN, 0, packet)
    host.trace(5, packet, "FORWARD", iif=DOCKER0, oif=ETH0, rules=[("FORWARD", DROP_RULE, DROP)], policy=None)
    (found,) = findings(tmp_path, host)
    assert (found.kind, found.severity) == ("rule_drop", "notice")


def test_more_of_a_kind_than_are_told_are_not_passed_over_in_silence(tmp_path):
    node = plain()
    for number in range(201):
        server = f"10.9.1.{number}"
        node.see("eth0", Direction.UNKNOWN, 1000 * number, IP(src=CLIENT, dst=server) / TCP(dport=80, flags="S"))
        refusal = IP(src=server, dst=CLIENT) / TCP(sport=80, dport=20, flags="RA", ack=1)
        node.see("eth0", Direction.UNKNOWN, 1000 * number + 100, refusal)
    result = correlate(tmp_path, node)
    text = "".join(render_telling(Telling.chosen(result), "text"))
    assert len(Telling.chosen(result).head[0]) == MOST_OF_A_KIND
    assert "200 of kind refused are told, the most of one kind: there may be more" in text


def test_a_handshake_whose_ack_was_not_captured_and_not_missed_by_anybody(tmp_path):
    """A server that has no ACK sends its SYN-ACK again."""
    node = plain()
    for number in range(3):
        node.see("eth0", Direction.UNKNOWN, number * SECOND_US, segment(number, "S"))
        node.see("eth0", Direction.UNKNOWN, number * SECOND_US + 90, segment(number, "SA", back=True))
    node.see("eth0", Direction.UNKNOWN, 2 * SECOND_US + 200, segment(2, "A"))
    node.see("eth0", Direction.UNKNOWN, 9 * SECOND_US, segment(9, "A"))
    assert not findings(tmp_path, node)


def test_who_accepts_and_breaks_off_in_the_end_does_not_refuse(tmp_path):
    node = plain()
    node.see("eth0", Direction.UNKNOWN, 0, segment(1, "S"))
    for number in range(3):
        node.see("eth0", Direction.UNKNOWN, number * SECOND_US + 90, segment(1, "SA", back=True))
    node.see("eth0", Direction.UNKNOWN, 4 * SECOND_US, segment(1, "RA", back=True))
    (found,) = findings(tmp_path, node)
    assert found.kind == "half_open"


def test_a_server_that_answers_others_is_not_said_to_answer_nobody(tmp_path):
    node = plain()
    node.see("eth0", Direction.UNKNOWN, 0, segment(1, "S"))
    node.see("eth0", Direction.UNKNOWN, SECOND_US, segment(1, "S"))
    for number, flags, back in ((2, "S", False), (2, "SA", True), (2, "A", False)):
        node.see("eth0", Direction.UNKNOWN, 2 * SECOND_US, segment(number, flags, back=back))
    (found,) = findings(tmp_path, node)
    assert found.text == (
        "tcp 10.0.0.1:40001 -> 10.9.0.1:80 had no answer: 2 SYNs, last seen at host eth0; others had one there"
    )


def test_what_is_lost_and_not_explained_is_not_told_as_health(tmp_path):
    """One datagram of two never leaves the router, with every way out captured."""
    node = Node("router")
    node.interface("eth0", 2, addresses=["10.0.0.254"])
    node.interface("eth1", 3, addresses=["10.9.0.254"])
    for number in range(2):
        datagram = IP(src=CLIENT, dst=SERVER, id=number + 1, ttl=64 - number) / UDP(sport=9, dport=514) / b"a line"
        node.see("eth0", IN, number * SECOND_US, datagram)
        if number:
            datagram.ttl -= 1
            node.see("eth1", Direction.OUT, number * SECOND_US + 20, datagram)
    node.listen()
    node.lost("eth0", 5 * SECOND_US, 0)
    node.lost("eth1", 5 * SECOND_US, 0)
    keep_recording(node)
    first = "".join(render_telling(Telling.chosen(correlate(tmp_path, node)), "text")).splitlines()[0]
    assert first.startswith("Findings: no fault that says why 1 path is lost: 2 connections with 3 paths (")
