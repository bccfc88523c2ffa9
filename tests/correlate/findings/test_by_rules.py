"""Evidence of rules and policies: it can be opened, where the file has their words."""

import copy
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP

from ttrace.correlate.findings.kinds import Kind
from ttrace.correlate.findings.values import Evidence, Finding
from ttrace.pcapng.read import read_capture
from ttrace.tests.correlate.netfilter import rule_messages as made
from ttrace.tests.correlate.scene import (
    DOCKER0,
    DROP,
    DROP_RULE,
    ETH0,
    IN,
    IPTABLES_RULES,
    Node,
    docker_host,
    keep_recording,
)

from .told import assert_opens, findings_of, of_kind

SYN = IP(src="172.17.0.2", dst="203.0.113.9", id=7) / TCP(sport=1000, dport=443, flags="S", seq=5)
SAVED = "-A FORWARD -d 203.0.113.9/32 -j DROP"


def _host(rules: dict | None) -> Node:
    host = docker_host()
    host.netns(ruleset=rules)
    host.see("docker0", IN, 0, SYN)
    return host


def _rule(finding: Finding) -> Evidence:
    (found,) = (one for one in finding.evidence if one.what == "rule")
    return found


def _dropped(folder: Path, host: Node, handle: int = DROP_RULE) -> Finding:
    host.trace(5, SYN, "FORWARD", rules=[("FORWARD", handle, DROP)], policy=None, iif=DOCKER0, oif=ETH0)
    keep_recording(host)
    (finding,) = of_kind(findings_of(folder, host), Kind.RULE_DROP)
    return finding


def test_a_rule_of_iptables(tmp_path: Path) -> None:
    finding = _dropped(tmp_path, _host(IPTABLES_RULES))
    assert_opens(finding)
    assert _rule(finding).text == f"ip filter FORWARD rule 1: {SAVED}"
    assert _rule(finding).line == IPTABLES_RULES["iptables"]["ip"].splitlines().index(f"[0:0] {SAVED}") + 1


def test_a_rule_of_nft(tmp_path: Path) -> None:
    finding = _dropped(tmp_path, _host(IPTABLES_RULES | {"iptables": {"ip": None, "ip6": None}}))
    assert _rule(finding).text == "ip filter FORWARD rule 1: ip daddr 203.0.113.9 drop"
    listed = IPTABLES_RULES["nft"].splitlines()
    assert listed[(_rule(finding).line or 0) - 1].endswith(f"drop # handle {DROP_RULE}")


def test_a_rule_that_a_message_told_of(tmp_path: Path) -> None:
    """No snapshot has it."""
    without = copy.deepcopy(IPTABLES_RULES)
    host = _host(without)
    host.message(-2_000_000, made.rule(made.NEW_RULE, "filter", "FORWARD", 99, made.tcp_to(443) + made.verdict(0)))
    host.message(-2_000_000, made.generation(2))
    finding = _dropped(tmp_path, host, handle=99)
    rule = _rule(finding)
    assert "443" in rule.text
    assert (rule.file, rule.line) == (str(tmp_path / "host.pcapng"), None)
    capture = read_capture(tmp_path / "host.pcapng")
    record = capture.records[(rule.frame or 0) - 1]
    assert capture.interfaces[record["interface"]].name == "netfilter"


def test_a_rule_that_nobody_knows(tmp_path: Path) -> None:
    finding = _dropped(tmp_path, _host(None))
    assert (_rule(finding).file, _rule(finding).frame, _rule(finding).line) == (None, None, None)
    assert not _rule(finding).text.endswith(": ")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_policy(tmp_path: Path, legacy: bool) -> None:
    rules = copy.deepcopy(IPTABLES_RULES)
    if legacy:
        rules["nft"], rules["json"] = None, None
        rules["legacy"]["ip"], rules["iptables"]["ip"] = rules["iptables"]["ip"], None
    else:
        rules["json"]["nftables"][2]["chain"]["policy"] = "drop"
    host = _host(rules)
    host.trace(5, SYN, "FORWARD", policy=0, iif=DOCKER0, oif=ETH0)
    keep_recording(host)
    (finding,) = of_kind(findings_of(tmp_path, host), Kind.POLICY_DROP)
    assert_opens(finding)
    assert _rule(finding).text == "ip filter FORWARD: policy drop"
