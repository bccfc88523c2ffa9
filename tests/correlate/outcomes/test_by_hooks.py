"""Packets that a chain saw last: what its verdict proves, of nftables and, by its rules' words, of iptables-legacy."""

import copy

import pytest
from scapy.layers.inet import IP, TCP

from ..frames import NFLOG, attribute, message, word
from ..scene import (
    DOCKER0,
    ETH0,
    IN,
    IPTABLES_RULES,
    OUT,
    Node,
    correlate,
    docker_host,
    keep_recording,
    paths,
)

HOST, FAR = "192.0.2.1", "203.0.113.1"
HOOKS = {"PREROUTING": 0, "INPUT": 1, "FORWARD": 2, "OUTPUT": 3, "POSTROUTING": 4}
SAVED = """*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
-A INPUT -s 198.51.100.0/24 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j REJECT --reject-with tcp-reset
-A INPUT -p tcp -m tcp --dport 23 -j DROP
-A INPUT -p tcp -m tcp --dport 24 -j NFQUEUE --queue-num 5
-A INPUT -p tcp -m tcp --dport 25 -j SYNPROXY --sack-perm
-A INPUT -p tcp -m tcp --dport 26 -j MARK --set-xmark 0x1/0xffffffff
COMMIT
"""


def syn(dport: int = 80) -> IP:
    return IP(src=FAR, dst=HOST, id=1) / TCP(sport=1000, dport=dport, flags="S")


def legacy(host: Node, time_us: float, packet: IP, says: str) -> None:
    """The message of iptables-legacy about a rule or a policy: `INPUT:rule:3`."""
    hook = attribute(1, bytes([8, 0, HOOKS[says.partition(":")[0]], 0]))
    prefix = attribute(10, f"TRACE: filter:{says} \0".encode())
    host.message(time_us, message(NFLOG, hook + word(4, ETH0) + prefix + attribute(9, bytes(packet))))


def legacy_host() -> Node:
    host = docker_host()
    rules = copy.deepcopy(IPTABLES_RULES)
    rules["legacy"]["ip"] = SAVED
    host.netns(ruleset=rules)
    host.interface("eth0", ETH0, addresses=[HOST])
    return host


@pytest.mark.parametrize(
    ("dport", "says", "expected", "text", "verdict"),
    [
        (22, "rule:2", ("dropped", "rule"), "host: ip filter INPUT rule 2 rejected it: -A INPUT", "drop"),
        (23, "rule:3", ("dropped", "rule"), "host: ip filter INPUT rule 3 dropped it: -A INPUT", "drop"),
        (24, "rule:4", ("unknown", "handed-to-program"), "host: ip filter INPUT rule 4 handed it over: -A", "queue"),
        (25, "rule:5", ("unknown", "handed-to-program"), "host: ip filter INPUT rule 5 handed it over: -A", "stolen"),
        (80, "policy:7", ("dropped", "policy"), "host: the policy of filter INPUT is drop", "drop"),
    ],
)
def test_the_words_of_a_rule_of_iptables_legacy_say_its_verdict(dport, says, expected, text, verdict, tmp_path):
    """Its trace names the rule and no verdict."""
    host = legacy_host()
    host.see("eth0", IN, 0, syn(dport))
    legacy(host, 5, syn(dport), f"INPUT:{says}")
    keep_recording(host)
    path = paths(correlate(tmp_path, host))[0]
    assert (path.outcome, path.reason.kind) == expected
    assert path.reason.text.startswith(text)
    assert path.hops[-1].verdict == verdict


def test_a_rule_of_iptables_legacy_that_decides_nothing_leaves_it_open(tmp_path):
    host = legacy_host()
    host.see("eth0", IN, 0, syn(26))
    legacy(host, 5, syn(26), "INPUT:rule:6")
    keep_recording(host)
    path = paths(correlate(tmp_path, host))[0]
    assert path.outcome == "unknown"
    assert path.hops[-1].verdict == "unknown"


@pytest.mark.parametrize("queue", [0, 5])
def test_what_a_rule_queues_is_with_a_program_and_neither_lost_nor_accepted(queue, tmp_path):
    host = docker_host()
    packet = IP(src="172.17.0.2", dst=FAR, id=1) / TCP(sport=1000, dport=80, flags="S")
    host.see("docker0", IN, 0, packet)
    host.trace(4, packet, "prerouting_last", family="inet", table="ttrace", iif=DOCKER0)
    host.trace(5, packet, "FORWARD", iif=DOCKER0, oif=ETH0, rules=[("FORWARD", 21, 3 | queue << 16)], policy=None)
    keep_recording(host)
    path = paths(correlate(tmp_path, host))[0]
    assert (path.outcome, path.reason.kind, path.hops[-1].verdict) == ("unknown", "handed-to-program", "queue")
    assert "ip filter FORWARD rule 2 handed it over" in path.reason.text


def test_what_a_program_gave_back_goes_on(tmp_path):
    host = docker_host()
    packet = IP(src="172.17.0.2", dst=FAR, id=1) / TCP(sport=1000, dport=80, flags="S")
    host.see("docker0", IN, 0, packet)
    host.trace(5, packet, "FORWARD", iif=DOCKER0, oif=ETH0, rules=[("FORWARD", 21, 3)], policy=None)
    routed = packet.copy()
    routed.ttl = 63
    host.see("eth0", OUT, 3000, routed)
    keep_recording(host)
    path = paths(correlate(tmp_path, host))[0]
    assert (path.outcome, path.reason.kind) == ("unknown", "not-captured")


@pytest.mark.parametrize("last", [True, False], ids=["behind all chains", "behind a chain"])
def test_behind_postrouting_nothing_is_proven(last, tmp_path):
    """conntrack confirms there, and the neighbour may not answer."""
    host = docker_host()
    packet = IP(src="172.17.0.2", dst=FAR, id=1) / TCP(sport=1000, dport=80, flags="S")
    host.see("docker0", IN, 0, packet)
    host.trace(5, packet, "POSTROUTING", table="nat", oif=ETH0)
    if last:
        host.trace(6, packet, "postrouting_last", family="inet", table="ttrace", oif=ETH0)
    keep_recording(host)
    path = paths(correlate(tmp_path, host))[0]
    assert (path.outcome, path.reason.kind) == ("unknown", "unproven")


def test_a_message_lost_meanwhile_makes_it_unknown_whether_it_died_there(tmp_path):
    host = docker_host()
    packet = IP(src="172.17.0.2", dst=FAR, id=1) / TCP(sport=1000, dport=80, flags="S")
    host.see("docker0", IN, 1_000_000, packet)
    host.trace(1_000_004, packet, "prerouting_last", family="inet", table="ttrace", iif=DOCKER0)
    host.trace(1_000_005, packet, "FORWARD", iif=DOCKER0, oif=ETH0, rules=[("FORWARD", 21, 1)], policy=None)
    keep_recording(host)
    host.lost("netfilter", 500_000, 0)
    host.lost("netfilter", 1_500_000, 3)
    path = paths(correlate(tmp_path, host))[0]
    assert (path.outcome, path.reason.kind) == ("unknown", "capture-lost")


@pytest.mark.parametrize("known", [True, False])
def test_a_ttl_of_one_ends_it_only_where_the_addresses_of_the_node_are_known(known, tmp_path):
    """Where no snapshot tells them, it may have been sent to this very node, as BGP does."""
    host = docker_host()
    host.snapshots = known
    host.see("eth0", IN, 0, IP(src="198.51.100.7", dst=FAR, id=1, ttl=1) / TCP(sport=1000, dport=179, flags="S"))
    keep_recording(host)
    path = paths(correlate(tmp_path, host))[0]
    assert (path.outcome, path.reason.kind) == (("dropped", "ttl") if known else ("unknown", "not-captured"))
