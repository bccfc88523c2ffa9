from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.correlate.findings.kinds import Kind, Severity
from ttrace.tests.correlate.scene import IN, OUT, Node, keep_recording

from .told import findings_of, of_kind

CLIENT, SERVER = "198.51.100.9", "10.2.0.1"


def _two_uplinks(*, master: int | None = None) -> Node:
    node = Node("h")
    node.interface("eth0", 2, addresses=["10.1.0.1"], master=master)
    node.interface("eth1", 3, addresses=[SERVER], master=master)
    if master:
        node.interface("bond0", master, kind="bond", captured=False)
    return node


def _handshake(node: Node, answers_by: str, *, finished: bool) -> None:
    for repeated in range(1 if finished else 3):
        syn = IP(src=CLIENT, dst=SERVER, id=1 + repeated) / TCP(sport=1000, dport=80, flags="S", seq=10)
        node.see("eth1", IN, 1_000_000 * repeated, syn)
        syn_ack = TCP(sport=80, dport=1000, flags="SA", seq=70, ack=11)
        node.see(answers_by, OUT, 100 + 1_000_000 * repeated, IP(src=SERVER, dst=CLIENT, id=5 + repeated) / syn_ack)
    if finished:
        ack = IP(src=CLIENT, dst=SERVER, id=4) / TCP(sport=1000, dport=80, flags="A", seq=11, ack=71)
        node.see("eth1", IN, 200, ack)
    keep_recording(node)


def test_answers_that_leave_by_the_other_uplink_and_never_arrive(tmp_path: Path) -> None:
    node = _two_uplinks()
    _handshake(node, "eth0", finished=False)
    found = findings_of(tmp_path, node)
    (finding,) = of_kind(found, Kind.ASYMMETRIC_RETURN)
    assert finding.severity == Severity.FAULT
    assert f"{SERVER}:80 (h) came in by eth1, but 3 SYN-ACKs of {SERVER}:80 (h) leave by eth0" in finding.text
    assert of_kind(found, Kind.HALF_OPEN) == [], "it follows from that"


def test_it_is_a_notice_where_the_connection_opened_all_the_same(tmp_path: Path) -> None:
    node = _two_uplinks()
    _handshake(node, "eth0", finished=True)
    (finding,) = of_kind(findings_of(tmp_path, node), Kind.ASYMMETRIC_RETURN)
    assert finding.severity == Severity.NOTICE


def test_answers_by_the_same_uplink_are_none(tmp_path: Path) -> None:
    node = _two_uplinks()
    _handshake(node, "eth1", finished=False)
    assert of_kind(findings_of(tmp_path, node), Kind.ASYMMETRIC_RETURN) == []


def test_the_links_of_a_bond_are_one_way(tmp_path: Path) -> None:
    node = _two_uplinks(master=9)
    _handshake(node, "eth0", finished=True)
    assert of_kind(findings_of(tmp_path, node), Kind.ASYMMETRIC_RETURN) == []


def test_who_does_not_ask_again_may_not_have_waited(tmp_path: Path) -> None:
    """A scan leaves handshakes as they are."""
    node = _two_uplinks()
    node.see("eth1", IN, 0, IP(src=CLIENT, dst=SERVER, id=1) / TCP(sport=1000, dport=80, flags="S", seq=10))
    for number in range(3):
        answer = TCP(sport=80, dport=1000, flags="SA", seq=70, ack=11)
        node.see("eth0", OUT, 90 + 1_000_000 * number, IP(src=SERVER, dst=CLIENT, id=5 + number) / answer)
    keep_recording(node)
    (finding,) = of_kind(findings_of(tmp_path, node), Kind.ASYMMETRIC_RETURN)
    assert finding.severity == Severity.NOTICE


def test_several_servers_are_told_together(tmp_path: Path) -> None:
    node, servers = _two_uplinks(), (SERVER, "10.2.0.2", "10.2.0.3")
    for number, server in enumerate(servers):
        for repeated in range(3):
            time_us, header = 1_000_000 * repeated + 10_000 * number, {"id": 1 + 10 * number + repeated}
            syn = TCP(sport=1000 + number, dport=80, flags="S", seq=10)
            node.see("eth1", IN, time_us, IP(src=CLIENT, dst=server, **header) / syn)
            syn_ack = TCP(sport=80, dport=1000 + number, flags="SA", seq=70, ack=11)
            node.see("eth0", OUT, time_us + 100, IP(src=server, dst=CLIENT, **header) / syn_ack)
    keep_recording(node)
    (finding,) = of_kind(findings_of(tmp_path, node), Kind.ASYMMETRIC_RETURN)
    assert f"but 9 SYN-ACKs of {SERVER} (h), 10.2.0.2, 10.2.0.3 port 80 leave by eth0" in finding.text
