"""Packets that queues dropped, or that were taken before netfilter, by counters and by what is attached."""

from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP

from ttrace.correlate.findings.values import Finding
from ttrace.report.telling import Telling

from ..scene import DOCKER0, ETH0, IN, OUT, SNAT, Node, correlate, docker_host, keep_recording
from .told import findings_of

WEB1, FAR = "172.17.0.2", "203.0.113.5"


def counted(host: Node, *, netns: str = "root", **groups: Any) -> None:
    host.snapshot("counters", {name: {} for name in groups}, netns=netns)
    host.snapshot("counters", groups, netns=netns, moment="stop", time_us=4_000_000)


def findings(tmp_path, host: Node) -> list[Finding]:
    keep_recording(host)
    return [one for one in Telling.chosen(correlate(tmp_path, host)).head[0] if one.kind != "unanswered"]


def leave(host: Node, count: int = 2) -> Node:
    """SYNs of web1 that pass all of postrouting on their way to eth0, and are not seen there."""
    for number in range(count):
        syn = IP(src=WEB1, dst=FAR, id=number + 1) / TCP(sport=1000, dport=80, flags="S", seq=1)
        time_us = 1_000_000 * number
        host.see("veth1", IN, time_us, syn)
        host.see("docker0", IN, time_us + 1, syn)
        host.trace(time_us + 2, syn, "FORWARD", iif=DOCKER0, oif=ETH0, trace_id=number + 1)
        last = {"family": "inet", "table": "ttrace", "oif": ETH0, "trace_id": number + 1}
        host.trace(time_us + 3, syn, "postrouting_last", **last)
    return host


def test_a_queue_that_dropped_on_the_way_out(tmp_path):
    host = leave(docker_host())
    host.change_link("eth0", qdisc="fq_codel")
    counted(host, qdiscs={"eth0": {"dropped": 5}}, links={"eth0": {"rx_packets": 9}})
    (found,) = findings(tmp_path, host)
    assert (found.kind, found.severity) == ("queue_drop", "fault")
    assert found.text == (
        f"host: 2 SYNs of tcp {WEB1}:1000 (web1) -> {FAR}:80 would have to leave by eth0 and died in its queue "
        "(fq_codel) or device; meanwhile grew qdisc.eth0.dropped by 5"
    )
    assert (found.evidence[0].what, bool(found.evidence[0].frame)) == ("counter", True)


def test_a_queue_did_not_drop_more_than_it_counted(tmp_path):
    host = leave(docker_host(), 4)
    counted(host, qdiscs={"eth0": {"dropped": 1}})
    (found,) = findings(tmp_path, host)
    assert "4 SYNs of tcp" in found.text
    assert "would have to leave by eth0 and were not seen to; 1 of them at most died in its queue or dev" in found.text


@pytest.mark.parametrize(
    "groups",
    [
        {"qdiscs": {"docker0": {"dropped": 5}}},  # of another interface
        {"qdiscs": {"eth0": {"overlimits": 5, "requeues": 2}}},  # they waited
        {"links": {"eth0": {"rx_dropped": 5}}},  # on the way in
    ],
)
def test_other_counters_are_not_its_cause(tmp_path, groups):
    host = leave(docker_host())
    counted(host, **groups)
    assert findings(tmp_path, host) == []


def test_what_did_leave_was_not_dropped_there(tmp_path):
    host = leave(docker_host())
    for number in range(2):
        syn = IP(src=WEB1, dst=FAR, id=number + 1) / TCP(sport=1000, dport=80, flags="S", seq=1)
        host.see("eth0", OUT, 1_000_000 * number + 5, syn)
    counted(host, qdiscs={"eth0": {"dropped": 5}})
    assert findings(tmp_path, host) == []


def come(host: Node, count: int = 2) -> Node:
    """SYNs that come in by eth0, and that nothing saw later."""
    for number in range(count):
        syn = IP(src=FAR, dst="192.0.2.1", id=number + 1) / TCP(sport=1000, dport=80, flags="S", seq=1)
        host.see("eth0", IN, 1_000_000 * number, syn)
    return host


def test_a_filter_at_the_ingress_that_dropped(tmp_path):
    host = come(docker_host())
    host.change_link("eth0", filters=[{"kind": "bpf", "name": "from_netdev", "program": 41, "priority": 1}])
    counted(host, qdiscs={"eth0": {"ingress_dropped": 2}})
    (found,) = findings(tmp_path, host)
    assert (found.kind, found.confidence) == ("before_netfilter", 0.7)
    assert found.text == (
        f"host: 2 SYNs of tcp {FAR}:1000 -> 192.0.2.1:80 (host) came in by eth0 and reached no rule; a tc filter at "
        "its ingress (bpf from_netdev (program 41)) dropped 2 packets meanwhile"
    )


def test_a_filter_that_dropped_nothing_took_nothing(tmp_path):
    host = come(docker_host())
    host.change_link("eth0", filters=[{"kind": "bpf", "name": "from_netdev", "program": 41, "priority": 1}])
    counted(host, qdiscs={"eth0": {"overlimits": 2}})
    assert findings(tmp_path, host) == []


def pair() -> Node:
    """veth1 and eth0 of web1, at which nothing was lost."""
    host = docker_host(inside=True)
    host.change_link("veth1", peer_index=2)
    host.lost("veth1", 4_000_000, 0)
    host.lost("eth0", 4_000_000, 0, netns="web1")
    return host


def into_container(xdp: list[int] | None) -> Node:
    host = pair()
    if xdp:
        host.change_link("eth0", netns="web1", xdp=xdp)
    for number in range(2):
        syn = IP(src="172.17.0.1", dst=WEB1, id=number + 1) / TCP(sport=1000, dport=80, flags="S", seq=1)
        host.see("docker0", OUT, 1_000_000 * number, syn)
        host.see("veth1", OUT, 1_000_000 * number + 1, syn)
    return host


def test_an_xdp_program_at_the_other_end(tmp_path):
    found = findings(tmp_path, into_container([12]))
    assert [one.kind for one in found] == ["before_netfilter"]
    assert "left veth1 and did not come in by eth0: its XDP program (12) is before" in found[0].text
    assert found[0].evidence[0].what == "link"


def test_without_one_it_is_not_said(tmp_path):
    assert [one.kind for one in findings(tmp_path, into_container(None))] == []


def test_who_takes_datagrams_and_says_nothing_looks_the_same_where_nothing_is_traced(tmp_path):
    host = docker_host()
    for number in range(5):
        line = IP(src=FAR, dst="192.0.2.1", id=number + 1) / UDP(sport=1000, dport=514) / b"a line of a log"
        host.see("eth0", IN, 500_000 * number, line)
    counted(host, qdiscs={"eth0": {"ingress_dropped": 1}})
    assert findings(tmp_path, host) == []


def test_rules_are_seen_in_a_namespace_whichever_packet_they_saw(tmp_path):
    """So what reached none was taken before, also where the packets that did are in another part."""
    host = docker_host()
    for number in range(5):
        line = IP(src=FAR, dst="192.0.2.1", id=number + 1) / UDP(sport=1000, dport=514) / b"a line of a log"
        host.see("eth0", IN, 500_000 * number, line)
    other = IP(src="203.0.113.77", dst="192.0.2.1", id=9) / UDP(sport=1001, dport=514) / b"another line"
    host.see("eth0", IN, 1000, other)
    host.trace(1005, other, "INPUT", iif=ETH0)
    host.change_link("eth0", filters=[{"kind": "bpf", "name": "from_netdev", "program": 41, "priority": 1}])
    counted(host, qdiscs={"eth0": {"ingress_dropped": 5}})
    keep_recording(host)
    found = [one for one in findings_of(tmp_path, host) if one.kind == "before_netfilter"]
    assert [one.packets for one in found] == [5]


def talk(*, again: bool) -> Node:
    """web1 asks, and the queue of eth0 drops its question once; sent again, it is acknowledged."""
    host = docker_host()
    host.conntrack(4, ((WEB1, 1000), (FAR, 80)), ((FAR, 80), ("192.0.2.1", 1000)), status=SNAT)
    asks = [(0, "S", 1, 0, b""), (200, "A", 2, 8, b""), (300, "PA", 2, 8, b"question")]
    answers = [(100, "SA", 7, 2)]
    if again:
        asks.append((300_000, "PA", 2, 8, b"question"))
        answers.append((300_100, "A", 8, 10))
    for number, (time_us, flags, seq, ack, data) in enumerate(asks, 1):
        inside = IP(src=WEB1, dst=FAR, id=number) / TCP(sport=1000, dport=80, flags=flags, seq=seq, ack=ack) / data
        host.see("veth1", IN, time_us, inside)
        host.see("docker0", IN, time_us + 1, inside)
        host.trace(time_us + 3, inside, "postrouting_last", family="inet", table="ttrace", oif=ETH0, trace_id=number)
        if time_us != 300:
            host.see("eth0", OUT, time_us + 5, IP(src="192.0.2.1", dst=FAR, id=number, ttl=63) / inside[TCP])
    for number, (time_us, flags, seq, ack) in enumerate(answers):
        segment = TCP(sport=80, dport=1000, flags=flags, seq=seq, ack=ack)
        host.see("eth0", IN, time_us, IP(src=FAR, dst="192.0.2.1", id=101 + number) / segment)
        for at, name in enumerate(("docker0", "veth1")):
            host.see(name, OUT, time_us + 5 + at, IP(src=FAR, dst=WEB1, id=101 + number, ttl=63) / segment)
    counted(host, qdiscs={"eth0": {"dropped": 1}})
    return host


@pytest.mark.parametrize(("again", "severity"), [(True, "notice"), (False, "fault")])
def test_what_was_sent_again_and_came_through_keeps_nobody_from_anything(tmp_path, again, severity):
    (found,) = (one for one in findings(tmp_path, talk(again=again)) if one.kind == "queue_drop")
    assert (found.severity, found.packets) == (severity, 1)
