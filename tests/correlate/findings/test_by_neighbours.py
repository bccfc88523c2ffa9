from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether

from ttrace.correlate.findings.kinds import Kind, Severity
from ttrace.correlate.findings.values import Finding
from ttrace.pcapng.blocks import Direction, LinkType
from ttrace.tests.correlate.scene import IN, OUT, Node

from .told import findings_of, of_kind

ASKER, ABSENT, CLIENT = "10.1.0.1", "10.1.0.77", "10.2.0.9"
SECOND = 1_000_000
UNKNOWN = Direction.UNKNOWN


def _router() -> Node:
    node = Node("r")
    node.interface("eth0", 2, addresses=["10.2.0.1"], link_type=LinkType.ETHERNET)
    node.interface("eth1", 3, addresses=[ASKER], link_type=LinkType.ETHERNET)
    node.see("eth0", IN, 60 * SECOND, Ether() / IP(src=CLIENT, dst="10.2.0.1") / UDP(sport=9, dport=9))
    return node


def _ask(node: Node, times: int, target: str = ABSENT, *, asker: str = ASKER, direction: Direction = OUT) -> None:
    for number in range(times):
        request = Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, psrc=asker, pdst=target)
        node.see("eth1", direction, number * SECOND, request)


def _said(folder: Path, node: Node) -> list[Finding]:
    return of_kind(findings_of(folder, node), Kind.NEIGHBOUR_UNRESOLVED)


def test_what_waited_for_an_answer_that_never_came(tmp_path: Path) -> None:
    node = _router()
    node.see("eth0", IN, -100, Ether() / IP(src=CLIENT, dst=ABSENT, id=5) / TCP(sport=1000, dport=80, flags="S"))
    _ask(node, 3)
    (finding,) = _said(tmp_path, node)
    assert finding.severity == Severity.FAULT
    assert f"nobody answers ARP for {ABSENT} on r eth1: {ASKER} (r) asked 3 times; 1 packet of tcp" in finding.text


@pytest.mark.parametrize("known", ["nobody", "gateway", "another node"])
def test_where_nothing_is_seen_to_wait_it_depends_on_who_was_asked_for(tmp_path: Path, known: str) -> None:
    """What was asked for may never have been anybody's address."""
    node, nodes = _router(), []
    if known == "gateway":
        row = {"family": 2, "destination": None, "prefix": 0, "gateway": ABSENT, "index": 3, "table": 254}
        node.snapshot("routes", [row | {"type": "unicast"}], netns="root")
    if known == "another node":
        other = Node("b", boot_id="other")
        other.interface("eth0", 2, addresses=[ABSENT], link_type=LinkType.ETHERNET)
        other.see("eth0", IN, 60 * SECOND, Ether() / IP(src=CLIENT, dst="10.9.0.1") / UDP(sport=9, dport=9))
        nodes.append(other)
    _ask(node, 3)
    (finding,) = of_kind(findings_of(tmp_path, node, *nodes), Kind.NEIGHBOUR_UNRESOLVED)
    assert finding.severity == Severity.FAULT
    assert finding.confidence == pytest.approx(0.7 if known == "nobody" else 0.9)


def test_a_late_answer_is_one(tmp_path: Path) -> None:
    node = _router()
    _ask(node, 3)
    node.see("eth1", IN, 2.5 * SECOND, Ether() / ARP(op=2, psrc=ABSENT, pdst=ASKER))
    assert _said(tmp_path, node) == []


def test_what_was_sent_to_it_shows_that_it_was_found(tmp_path: Path) -> None:
    node = _router()
    _ask(node, 3)
    node.see("eth1", OUT, 2.5 * SECOND, Ether() / IP(src=CLIENT, dst=ABSENT) / UDP(sport=7, dport=7))
    assert _said(tmp_path, node) == []


@pytest.mark.parametrize(
    ("target", "asker", "times"), [(ASKER, ASKER, 3), (ABSENT, "0.0.0.0", 3), (ABSENT, ASKER, 1)]
)  # fmt: skip
def test_announcements_probes_and_a_single_question_are_no_fault(
    tmp_path: Path, target: str, asker: str, times: int
) -> None:
    node = _router()
    _ask(node, times, target, asker=asker)
    assert _said(tmp_path, node) == []


def test_questions_of_others_prove_nothing(tmp_path: Path) -> None:
    """A switch shows the broadcasts of everybody, and not the answers."""
    node = _router()
    _ask(node, 3, asker="10.1.0.5", direction=IN)
    assert _said(tmp_path, node) == []


def test_a_scan_is_a_notice(tmp_path: Path) -> None:
    node = _router()
    for host in range(100, 120):
        _ask(node, 2, f"10.1.0.{host}")
    (finding,) = _said(tmp_path, node)
    assert finding.severity == Severity.NOTICE
    assert "asks on r eth1 for 20 addresses that nobody answers for" in finding.text


def _given_up_behind_a_translation(node: Node, direction: Direction) -> None:
    """What is asked for is no address of the packet that was given up meanwhile."""
    packet = IP(src=CLIENT, dst="10.2.0.1", id=5) / UDP(sport=1000, dport=8125) / b"metric"
    node.see("eth0", IN, -100, Ether() / packet)
    _ask(node, 3, direction=direction)
    error = IP(src="10.2.0.1", dst=CLIENT, id=50) / ICMP(type=3, code=1) / bytes(packet)
    node.see("eth0", OUT, 3.1 * SECOND, Ether() / error)


def test_what_was_given_up_meanwhile_may_have_been_translated(tmp_path: Path) -> None:
    node = _router()
    _given_up_behind_a_translation(node, OUT)
    (finding,) = _said(tmp_path, node)
    assert "meanwhile 1 packet of udp 10.2.0.9:1000" in finding.text
    assert finding.confidence < 0.8


def test_questions_of_others_explain_nothing_that_was_given_up(tmp_path: Path) -> None:
    node = _router()
    _given_up_behind_a_translation(node, IN)
    assert _said(tmp_path, node) == []


def test_neighbour_discovery(tmp_path: Path) -> None:
    node = _router()
    absent, asker = "fd00::77", "fd00::1"
    syn = IPv6(src="fd00:2::9", dst=absent) / TCP(sport=1000, dport=80, flags="S")
    node.see("eth0", IN, -100, Ether() / syn)
    for number in range(3):
        solicitation = IPv6(src=asker, dst="ff02::1:ff00:77", hlim=255) / ICMPv6ND_NS(tgt=absent)
        node.see("eth1", OUT, number * SECOND, Ether() / solicitation)
    (finding,) = _said(tmp_path, node)
    assert f"nobody answers neighbour discovery for {absent} on r eth1: {asker} asked 3 times" in finding.text
    assert "1 packet of tcp [fd00:2::9]:1000 -> [fd00::77]:80 waited for it" in finding.text


def test_an_advertisement_is_an_answer(tmp_path: Path) -> None:
    """It is between other addresses than the question, so it lies in another part."""
    node = _router()
    for number in range(3):
        solicitation = IPv6(src="fd00::1", dst="ff02::1:ff00:77", hlim=255) / ICMPv6ND_NS(tgt="fd00::77")
        node.see("eth1", OUT, number * SECOND, Ether() / solicitation)
    answer = IPv6(src="fd00::77", dst="fd00::1", hlim=255) / ICMPv6ND_NA(tgt="fd00::77", S=1)
    node.see("eth1", IN, 2.5 * SECOND, Ether() / answer)
    assert _said(tmp_path, node) == []
