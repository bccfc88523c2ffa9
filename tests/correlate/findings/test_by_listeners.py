"""What listeners and the kernel's counters say of connections that were refused or not taken."""

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from ttrace.correlate.findings.values import Finding
from ttrace.report.telling import Telling

from ..scene import IN, OUT, Node, correlate, docker_host, keep_recording
from .told import findings_of

WEB1, CLIENT = "172.17.0.2", "172.17.0.1"
OVERFLOWS = {"netstat": {"TcpExtListenOverflows": 3, "TcpExtListenDrops": 4}}


def listener(address: str = "0.0.0.0", port: int = 80, protocol: str = "tcp", **more: object) -> dict[str, Any]:
    return {"protocol": protocol, "address": address, "port": port, "inode": 9} | more


def host_with(*listeners: dict[str, Any], at_stop: list[dict[str, Any]] | None = None, grown: object = None) -> Node:
    host = docker_host(inside=True)
    host.snapshot("listeners", list(listeners), netns="web1")
    host.snapshot(
        "listeners", list(listeners) if at_stop is None else at_stop, netns="web1", moment="stop", time_us=4_000_000
    )
    host.snapshot("counters", {"netstat": {}}, netns="web1")
    host.snapshot("counters", grown or {"netstat": {}}, netns="web1", moment="stop", time_us=4_000_000)
    return host


def segment(flags: str, *, back: bool = False, sport: int = 1000, **more: int) -> IP:
    ends = (WEB1, CLIENT, 80, sport) if back else (CLIENT, WEB1, sport, 80)
    header = IP(src=ends[0], dst=ends[1], id=more.pop("id", 1))
    return header / TCP(sport=ends[2], dport=ends[3], flags=flags, **more)


def pass_in(host: Node, time_us: float, packet: IP) -> None:
    host.see("docker0", OUT, time_us, packet)
    host.see("veth1", OUT, time_us + 1, packet)
    host.see("eth0", IN, time_us + 2, packet, netns="web1")


def pass_out(host: Node, time_us: float, packet: IP) -> None:
    host.see("eth0", OUT, time_us, packet, netns="web1")
    host.see("veth1", IN, time_us + 1, packet)
    host.see("docker0", IN, time_us + 2, packet)


def findings(tmp_path, host: Node) -> list[Finding]:
    keep_recording(host)
    return list(Telling.chosen(correlate(tmp_path, host)).head[0])


def refuse(host: Node) -> Node:
    pass_in(host, 0, segment("S"))
    pass_out(host, 50, segment("RA", back=True, ack=1))
    return host


@pytest.mark.parametrize(
    ("listeners", "at_stop", "why"),
    [
        ([], None, "; nobody listens on tcp port 80 there"),
        (
            [listener("127.0.0.1", pid=77, process="nginx")], None,
            "; on tcp port 80 only 127.0.0.1:80 (nginx, pid 77) listens there",
        ),
        ([listener(protocol="udp")], None, "; nobody listens on tcp port 80 there"),
        ([listener(port=8080)], None, "; nobody listens on tcp port 80 there"),
        (
            [], [listener(pid=77, process="nginx", container="web1")],
            "; nobody listened there then: 0.0.0.0:80 (nginx, pid 77, in container web1) does when the capture ends",
        ),
        ([listener("::")], None, "; although [::]:80 listens there: by itself, or a filter does it"),
    ],
)  # fmt: skip
def test_who_refuses_and_who_listens(tmp_path, listeners, at_stop, why):
    (found,) = findings(tmp_path, refuse(host_with(*listeners, at_stop=at_stop)))
    assert found.kind == "refused"
    assert why in found.text
    assert ("kernel" in [one.what for one in found.evidence]) == ("nobody listens" not in why)


def test_a_datagram_to_a_port_of_another_address(tmp_path):
    host = host_with(listener("127.0.0.53", 53, "udp", pid=5, process="resolver"))
    query = IP(src=CLIENT, dst=WEB1, id=1) / UDP(sport=1000, dport=53) / b"query"
    pass_in(host, 0, query)
    pass_out(host, 50, IP(src=WEB1, dst=CLIENT, id=2) / ICMP(type=3, code=3) / query)
    (found,) = findings(tmp_path, host)
    assert "on udp port 53 only 127.0.0.53:53 (resolver, pid 5) listens there" in found.text


def test_two_ways_to_refuse_are_two_findings(tmp_path):
    """In whichever parts they are: a filter's ICMP error is not told as an RST, nor the other way round."""
    host = host_with()
    syns = [segment("S", sport=1000 + number, id=50 + number, seq=5) for number in range(2)]
    error = IP(src=WEB1, dst=CLIENT, id=70) / ICMP(type=3, code=3) / bytes(syns[0])[:28]
    for number, answer in enumerate((error, segment("RA", back=True, sport=1001, ack=6, id=71))):
        pass_in(host, 1000 * number, syns[number])
        pass_out(host, 1000 * number + 50, answer)
    keep_recording(host)
    found = findings_of(tmp_path, host)
    assert ["answered with ICMP" in one.text for one in found] == [True, False]
    assert ["answered with RST" in one.text for one in found] == [False, True]


def ask(host: Node, ports: range = range(1000, 1003)) -> Node:
    """SYNs that nobody answers."""
    for number, port in enumerate(ports):
        pass_in(host, 1000 * number, segment("S", sport=port, id=number + 1))
        pass_in(host, 1_000_000 + 1000 * number, segment("S", sport=port, id=number + 100))
    return host


def test_syns_to_a_full_queue(tmp_path):
    full = [listener(backlog=2, most=1, pid=77, process="nginx"), listener(port=81)]
    (found,) = findings(tmp_path, ask(host_with(*full, grown=OVERFLOWS)))
    assert (found.kind, found.severity, found.confidence) == ("backlog_full", "fault", 1)
    assert found.text == (
        "web1 on host: the queue of 0.0.0.0:80 (nginx, pid 77) was full (2 waited when the capture ended, 1 may): it "
        "did not take 6 SYNs of tcp 172.17.0.1 (host) -> 172.17.0.2:80 (web1); meanwhile grew TcpExtListenOverflows "
        "by 3 and TcpExtListenDrops by 4"
    )
    assert [one.what for one in found.evidence][:3] == ["counter", "counter", "kernel"]
    assert all(one.frame for one in found.evidence)


def test_where_it_may_have_been_another_queue_it_is_probable(tmp_path):
    several = [listener(backlog=0, most=128), listener(port=81, backlog=0, most=128)]
    (found,) = findings(tmp_path, ask(host_with(*several, grown=OVERFLOWS)))
    assert (found.kind, found.confidence) == ("backlog_full", 0.7)


@pytest.mark.parametrize(
    ("listeners", "grown"),
    [
        ([listener(backlog=2, most=1)], {"netstat": {"TcpExtListenDrops": 4}}),  # for want of something else
        ([listener(backlog=2, most=1)], None),
        ([listener("127.0.0.1", backlog=2, most=1)], OVERFLOWS),
        ([listener(port=81, backlog=2, most=1)], OVERFLOWS),
    ],
)
def test_other_silence_is_unanswered(tmp_path, listeners, grown):
    found = findings(tmp_path, ask(host_with(*listeners, grown=grown)))
    assert [one.kind for one in found] == ["unanswered"]
    here = listeners[0]["address"] == "0.0.0.0" and listeners[0]["port"] == 80
    assert ("; 0.0.0.0:80 listens there" in found[0].text) == here


def test_an_ack_that_was_not_taken(tmp_path):
    """The server sends its SYN-ACK again, though the ACK came in."""
    host = host_with(listener(backlog=2, most=1), grown=OVERFLOWS)
    pass_in(host, 0, segment("S", seq=1))
    for number in range(2):
        pass_out(host, 1_000_000 * number + 50, segment("SA", back=True, seq=7, ack=2, id=number + 10))
        pass_in(host, 1_000_000 * number + 90, segment("A", seq=2, ack=8, id=number + 20))
    (found,) = findings(tmp_path, host)
    assert found.kind == "backlog_full"
    assert "did not take 2 packets of tcp" in found.text


def test_a_connection_that_was_taken_is_not_said_to_be(tmp_path):
    host = host_with(listener(backlog=2, most=1), grown=OVERFLOWS)
    pass_in(host, 0, segment("S", seq=1))
    pass_out(host, 50, segment("SA", back=True, seq=7, ack=2, id=10))
    pass_in(host, 90, segment("A", seq=2, ack=8, id=20))
    pass_out(host, 500, segment("PA", back=True, seq=8, ack=2, id=11) / b"welcome")
    assert findings(tmp_path, host) == []


def test_a_syn_that_is_not_repeated_may_have_its_answer_later(tmp_path):
    """At the end of the capture, or behind a filter that shows one way only: others were not taken."""
    host = host_with(listener(backlog=0, most=128), grown=OVERFLOWS)
    pass_in(host, 0, segment("S", seq=1))
    pass_out(host, 50, segment("SA", back=True, seq=7, ack=2, id=10))
    pass_in(host, 90, segment("A", seq=2, ack=8, id=20))
    pass_in(host, 4_999_990, segment("S", sport=1001, seq=1, id=50))
    assert findings(tmp_path, host) == []
