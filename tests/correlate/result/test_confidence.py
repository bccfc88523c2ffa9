"""How sure a path is, and what the others are that it could have been."""

import pytest
from scapy.layers.inet import IP, TCP, UDP

from ttrace.correlate.result.select import select
from ttrace.report import render

from ..scene import IN, OUT, Node, correlate, paths

FAR, HOST = "203.0.113.1", "192.0.2.1"


def router() -> Node:
    node = Node("router", snapshots=False)
    node.interface("docker0", 2)
    node.interface("eth0", 3)
    return node


def translated(node: Node, count: int, *, ip_id: int = 7) -> None:
    """Datagrams of one flow before and behind MASQUERADE."""
    for number in range(count):
        datagram = UDP(sport=1000, dport=53) / bytes(20 + number)
        node.see("docker0", IN, number * 100, IP(src="172.17.0.2", dst=FAR, id=ip_id + number) / datagram)
        node.see("eth0", OUT, number * 100 + 9, IP(src=HOST, dst=FAR, id=ip_id + number, ttl=63) / datagram)


@pytest.mark.parametrize(("count", "confidence"), [(1, 0.8), (2, 0.9), (20, 0.99)])
def test_more_packets_make_an_inferred_translation_surer(count, confidence, tmp_path):
    node = router()
    translated(node, count)
    found = paths(correlate(tmp_path, node))
    assert {(len(path.hops), round(path.confidence, 6)) for path in found} == {(2, confidence)}


def test_equal_addresses_leave_no_doubt(tmp_path):
    node = router()
    packet = IP(src="172.17.0.2", dst=FAR, id=7) / TCP(sport=1, dport=2, seq=9, flags="S")
    node.see("docker0", IN, 0, packet)
    node.see("eth0", OUT, 9, packet)
    (path,) = paths(correlate(tmp_path, node))
    assert (path.confidence, path.ambiguous, path.rivals) == (1.0, False, ())


def test_flows_that_fit_two_others_are_named_and_not_joined(tmp_path):
    """Two clients say the same at the same time, and nothing in their packets tells which is which behind NAT."""
    node = router()
    for number in range(4):
        for client, port, own in ((2, 1000, 40001), (3, 2000, 40002)):
            datagram = UDP(sport=port, dport=53) / bytes(20 + number)
            node.see("docker0", IN, number * 100 + client, IP(src=f"172.17.0.{client}", dst=FAR, id=0) / datagram)
            behind = IP(src=HOST, dst=FAR, id=0, ttl=63) / UDP(sport=own, dport=53) / datagram.payload
            node.see("eth0", OUT, number * 100 + 10 + client, behind)
    result = correlate(tmp_path, node)
    connections = {c.client: c for c in result.connection_list()}
    assert not any(path.rewrites for path in paths(result))
    behind = {connections[f"{HOST}:{port}"].id for port in (40001, 40002)}
    for client in ("172.17.0.2:1000", "172.17.0.3:2000"):
        assert set(connections[client].rivals) == behind
    assert all(path.confidence == 0.5 for path in paths(result))
    text = "".join(render(result, select(result), "text"))
    assert "may be [2] or [4] behind a translation" in text or "may be [3] or [4] behind a translation" in text
