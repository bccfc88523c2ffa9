"""ICMP errors and the packets that they quote: tied by what is quoted, told with why."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from ..scene import IN, OUT, SNAT, Direction, Node, correlate, docker_host, keep_recording, paths

WEB1, HOST, FAR, ROUTER = "172.17.0.2", "192.0.2.1", "203.0.113.1", "198.51.100.1"
CODE = {"host": {"type": 3, "code": 1}, "port": {"type": 3, "code": 3}, "redirect": {"type": 5, "code": 1}}


def client() -> Node:
    node = Node("client", snapshots=False)
    node.interface("eth0", 2)
    return node


def test_an_error_seconds_later_is_tied_to_the_segment_that_it_quotes_though_ids_are_all_zero(tmp_path):
    """Nobody answered for the next hop: the kernel says so after three seconds, of one of several segments."""
    node = client()
    sent = [
        IP(src=HOST, dst=FAR, id=0, flags="DF") / TCP(sport=1000, dport=80, flags="A", seq=100 * n, ack=1) / bytes(100)
        for n in range(1, 6)
    ]
    for number, packet in enumerate(sent):
        node.see("eth0", Direction.UNKNOWN, number * 1000, packet)
    error = IP(src=ROUTER, dst=HOST, id=9) / ICMP(**CODE["host"]) / bytes(sent[2])[:28]
    node.see("eth0", Direction.UNKNOWN, 3_000_000, error)
    found = paths(correlate(tmp_path, node))
    assert [path.outcome for path in found] == ["unknown", "unknown", "dropped", "unknown", "unknown", "unknown"]
    assert found[2].reason.text.endswith(
        "it was answered with ICMP destination unreachable (host unreachable) (path 6)"
    )


def test_an_error_is_tied_through_a_translation_at_any_distance_in_time(tmp_path):
    """The error quotes what left eth0, and what docker0 shows of it is translated back."""
    host = docker_host()
    for number in range(3):
        for point, way, source, ttl in (("docker0", IN, WEB1, 64), ("eth0", OUT, HOST, 63)):
            packet = IP(src=source, dst=FAR, id=0, ttl=ttl) / TCP(
                sport=1000, dport=80, flags="A", seq=1 + 700 * number, ack=1
            )
            host.see(point, way, number * 1000 + (way == OUT), packet / bytes(700))
    host.conntrack(10, ((WEB1, 1000), (FAR, 80)), ((FAR, 80), (HOST, 1000)), status=SNAT)
    for point, way, address in (("eth0", IN, HOST), ("docker0", OUT, WEB1)):
        quoted = IP(src=address, dst=FAR, id=0, ttl=60) / TCP(sport=1000, dport=80, flags="A", seq=701, ack=1)
        error = (
            IP(src=ROUTER, dst=address, id=2) / ICMP(type=3, code=4, nexthopmtu=576) / bytes(quoted / bytes(700))[:28]
        )
        host.see(point, way, 3_000_000 + (way == OUT), error)
    keep_recording(host)
    found = [path for path in paths(correlate(tmp_path, host)) if path.protocol == "tcp"]
    assert [(path.outcome, path.reason.kind) for path in found] == [
        ("unknown", "not-captured"), ("dropped", "icmp"), ("unknown", "not-captured"),
    ]  # fmt: skip
    assert "destination unreachable (fragmentation needed, MTU 576)" in found[1].reason.text


def test_a_redirect_drops_nothing(tmp_path):
    """It says that there is a better way, and the packet went on."""
    node = client()
    packet = IP(src=HOST, dst=FAR, id=5) / UDP(sport=1000, dport=2000) / b"hello"
    node.see("eth0", Direction.UNKNOWN, 0, packet)
    node.see(
        "eth0", Direction.UNKNOWN, 50, IP(src=ROUTER, dst=HOST, id=9) / ICMP(**CODE["redirect"]) / bytes(packet)[:28]
    )
    sent, error = paths(correlate(tmp_path, node))
    assert sent.outcome == "unknown"
    assert error.info == "redirect (for the host)"


@pytest.mark.parametrize(("sender", "expected"), [(FAR, ("delivered", "refused")), (ROUTER, ("dropped", "icmp"))])
def test_port_unreachable_of_the_end_says_that_it_arrived_and_of_another_that_it_did_not(sender, expected, tmp_path):
    node = client()
    packet = IP(src=HOST, dst=FAR, id=5) / UDP(sport=1000, dport=2000) / b"hello"
    node.see("eth0", Direction.UNKNOWN, 0, packet)
    node.see("eth0", Direction.UNKNOWN, 50, IP(src=sender, dst=HOST, id=9) / ICMP(**CODE["port"]) / bytes(packet)[:28])
    result = correlate(tmp_path, node)
    sent = paths(result)[0]
    assert (sent.outcome, sent.reason.kind) == expected
