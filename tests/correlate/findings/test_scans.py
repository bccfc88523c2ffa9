"""A client that tries many ports of one host: one notice, whatever became of the tries."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from ttrace.report.telling import Telling

from ..same_in_parts import assert_same_in_parts
from ..scene import DOCKER0, DROP, DROP_RULE, ETH0, IN, Direction, Node, correlate, docker_host

CLIENT, SERVER = "10.0.0.1", "10.9.0.1"
SEEN = " (the first last seen at host eth0)"
SECOND_US = 1_000_000


def plain() -> Node:
    node = Node("host", snapshots=False)
    node.interface("eth0", 2)
    return node


def told(tmp_path, node):
    result = correlate(tmp_path, node)
    assert_same_in_parts([tmp_path / f"{node.name}.pcapng"], result)
    return [(one.kind, str(one.severity), one.text) for one in Telling.chosen(result).head[0]]


def syn(port: int, source: str = CLIENT) -> IP:
    return IP(src=source, dst=SERVER, id=port % 65535 + 1) / TCP(sport=40_000, dport=port, flags="S", seq=port)


def refused(node: Node, ports: range, source: str = CLIENT) -> None:
    for number, port in enumerate(ports):
        node.see("eth0", Direction.UNKNOWN, 1000 * number, syn(port, source))
        answer = IP(src=SERVER, dst=source) / TCP(sport=port, dport=40_000, flags="RA", seq=0, ack=port + 1)
        node.see("eth0", Direction.UNKNOWN, 1000 * number + 100, answer)


def test_ports_that_are_all_refused(tmp_path):
    node = plain()
    refused(node, range(100, 400))
    assert told(tmp_path, node) == [
        (
            "refused", "notice",
            "10.0.0.1:40000 tries 300 ports of 10.9.0.1, as a scan does: 300 SYNs, all refused" + SEEN,
        )
    ]  # fmt: skip


def test_a_few_ports_are_faults_of_their_own(tmp_path):
    node = plain()
    refused(node, range(100, 119))
    found = told(tmp_path, node)
    assert [(kind, severity) for kind, severity, _ in found] == [("refused", "fault")] * 19


def test_a_client_beside_the_scan_is_told_as_well(tmp_path):
    node = plain()
    refused(node, range(100, 400))
    refused(node, range(150, 151), source="10.0.0.7")
    found = told(tmp_path, node)
    assert [(kind, severity) for kind, severity, _ in found] == [("refused", "fault"), ("refused", "notice")]
    assert "10.0.0.7" in found[0][2]


@pytest.mark.parametrize("count", [19, 20])
def test_ports_that_nobody_answers(tmp_path, count):
    node = plain()
    query = IP(src="10.0.0.8", dst="10.9.0.2") / UDP(sport=999, dport=53) / b"query"
    node.see("eth0", Direction.UNKNOWN, 0, query)
    node.see("eth0", Direction.UNKNOWN, 90, IP(src="10.9.0.2", dst="10.0.0.8") / UDP(sport=53, dport=999) / b"answer")
    for port in range(100, 100 + count):
        for again in range(2):
            node.see("eth0", Direction.UNKNOWN, (port + 1000 * again) * 1000, syn(port))
    node.see("eth0", Direction.UNKNOWN, 9 * SECOND_US, query)
    found = [one for one in told(tmp_path, node) if CLIENT in one[2]]
    if count < 20:
        assert [one[:2] for one in found] == [("unanswered", "fault")] * 19
    else:
        assert found == [
            (
                "unanswered", "notice",
                "10.0.0.1:40000 tries 20 ports of 10.9.0.1, as a scan does: 40 SYNs, and no answer is seen" + SEEN,
            )
        ]  # fmt: skip


@pytest.mark.parametrize(("ports", "severity"), [(19, "fault"), (20, "notice")])
def test_a_rule_that_drops_a_scan_keeps_nobody_from_anything(tmp_path, ports, severity):
    host = docker_host()
    for port in range(100, 100 + ports):
        host.see("docker0", IN, port * 1000, syn(port, "172.17.0.2"))
        host.trace(
            port * 1000 + 5, syn(port, "172.17.0.2"), "FORWARD", iif=DOCKER0, oif=ETH0, trace_id=port,
            rules=[("FORWARD", DROP_RULE, DROP)], policy=None,
        )  # fmt: skip
    ((kind, of, text),) = told(tmp_path, host)
    assert (kind, of) == ("rule_drop", severity)
    assert ("20 ports, as a scan tries them" in text) == (severity == "notice")


def test_what_a_scan_died_of_beside_is_a_fault(tmp_path):
    """A rule that takes a scan, and an echo request as well, which somebody waits for."""
    host = docker_host()
    packets = [syn(port, "172.17.0.2") for port in range(100, 130)]
    packets.append(IP(src="172.17.0.2", dst=SERVER, id=9) / ICMP(id=5, seq=1))
    for number, packet in enumerate(packets):
        host.see("docker0", IN, number * 1000, packet)
        host.trace(
            number * 1000 + 5, packet, "FORWARD", iif=DOCKER0, oif=ETH0, trace_id=number + 1,
            rules=[("FORWARD", DROP_RULE, DROP)], policy=None,
        )  # fmt: skip
    assert [one[:2] for one in told(tmp_path, host)] == [("rule_drop", "fault")]
