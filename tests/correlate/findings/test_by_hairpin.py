"""Whether a packet had to leave by the bridge port it came in by, and that port does not allow it."""

import pytest
from scapy.layers.inet import IP, TCP

from ttrace.report.telling import Telling

from ..scene import DOCKER0, DROP, DROP_RULE, ETH0, IN, OUT, Node, correlate, docker_host, keep_recording

OFF = {"hairpin": 0, "state": 3}


def host_with(port: dict[str, int] | None, **options) -> Node:
    host = docker_host(**options)
    host.interface("veth2", 6, kind="veth", master=DOCKER0, peer="web2")
    for name in ("veth1", "veth2"):
        if port is not None:
            host.change_link(name, port=port)
    return host


def call(host: Node, target: str, time_us: float = 0) -> tuple[IP, IP]:
    """A SYN of web1 to the host's port 8080, and what it is translated to."""
    before = IP(src="172.17.0.2", dst="192.0.2.1", id=6) / TCP(sport=7, dport=8080, flags="S", seq=1)
    after = IP(src="172.17.0.2", dst=target, id=6) / TCP(sport=7, dport=80, flags="S", seq=1)
    host.see("veth1", IN, time_us, before)
    host.trace(time_us + 5, before, "PREROUTING", table="nat", iif=DOCKER0)
    return before, after


def kinds(tmp_path, host: Node) -> list[str]:
    keep_recording(host)
    return [one.kind for one in Telling.chosen(correlate(tmp_path, host)).head[0]]


@pytest.mark.parametrize(
    ("port", "bridge_nf", "expected"),
    [
        (OFF, True, True),
        ({"hairpin": 1, "state": 3}, True, False),
        (None, True, False),  # a ttrace that did not record it
        (OFF, False, False),  # then it is routed, and comes out of the bridge itself
    ],
)
def test_it_is_said_where_the_port_says_so(tmp_path, port, bridge_nf, expected):
    host = host_with(port, bridge_nf=bridge_nf)
    _, after = call(host, "172.17.0.2")
    host.see("docker0", OUT, 9, after)
    assert ("hairpin_off" in kinds(tmp_path, host)) == expected


def test_where_the_bridge_alone_calls_iptables(tmp_path):
    host = host_with(OFF, bridge_nf=False)
    host.change_link("docker0", bridge={"nf_call_iptables": 1})
    _, after = call(host, "172.17.0.2")
    host.see("docker0", OUT, 9, after)
    assert "hairpin_off" in kinds(tmp_path, host)


def test_where_the_neighbour_is_known_the_bridge_device_does_not_see_it(tmp_path):
    """Then the kernel does not pass it on by the bridge device (br_nf_pre_routing_finish_bridge)."""
    host = host_with(OFF)
    _, after = call(host, "172.17.0.2")
    host.trace(9, after, "prerouting_last", table="ttrace", family="inet", iif=DOCKER0)
    assert "hairpin_off" in kinds(tmp_path, host)


def test_who_leaves_by_another_port_needs_none(tmp_path):
    host = host_with(OFF)
    _, after = call(host, "172.17.0.3")
    host.see("docker0", OUT, 9, after)
    host.see("veth2", OUT, 12, after)
    assert "hairpin_off" not in kinds(tmp_path, host)


def test_who_did_leave_by_its_port_was_not_kept(tmp_path):
    host = host_with(OFF)
    _, after = call(host, "172.17.0.2")
    host.see("docker0", OUT, 9, after)
    host.see("veth1", OUT, 12, after)
    assert "hairpin_off" not in kinds(tmp_path, host)


def test_what_a_rule_dropped_is_the_rules(tmp_path):
    host = host_with(OFF)
    _, after = call(host, "172.17.0.2")
    host.trace(
        9, after, "FORWARD", iif=DOCKER0, oif=DOCKER0, rules=[("FORWARD", DROP_RULE, DROP)], policy=None, trace_id=8
    )
    assert "hairpin_off" not in kinds(tmp_path, host)


def test_what_was_switched_meanwhile_is_not_said(tmp_path):
    host = host_with(OFF)
    links = [dict(link, port={"hairpin": 1}) for link in host._namespaces["root"].links]
    host.snapshot("links", links, netns="root", moment="stop", time_us=4_000_000)
    _, after = call(host, "172.17.0.2")
    host.see("docker0", OUT, 9, after)
    assert "hairpin_off" not in kinds(tmp_path, host)


def test_what_came_from_outside_has_come_by_no_port(tmp_path):
    host = host_with(OFF)
    before = IP(src="198.51.100.9", dst="192.0.2.1", id=6) / TCP(sport=7, dport=8080, flags="S", seq=1)
    host.see("eth0", IN, 0, before)
    host.trace(5, before, "PREROUTING", table="nat", iif=ETH0)
    host.see("docker0", OUT, 9, IP(src="198.51.100.9", dst="172.17.0.2", id=6) / before[TCP])
    assert "hairpin_off" not in kinds(tmp_path, host)
