"""What conntrack calls INVALID, and answers that leave as they are."""

import copy
from pathlib import Path
from socket import inet_aton

import pytest
from scapy.layers.inet import IP, TCP
from scapy.utils import RawPcapNgReader

from ttrace.correlate.findings.kinds import Kind
from ttrace.correlate.findings.values import Finding
from ttrace.tests.correlate.scene import (
    DESTROYED,
    DNAT,
    DOCKER0,
    DROP,
    DROP_RULE,
    ETH0,
    IN,
    IPTABLES_RULES,
    NEW,
    OUT,
    docker_host,
    keep_recording,
)

from .told import assert_opens, findings_of, of_kind

WEB, CLIENT, HOST = "172.17.0.2", "203.0.113.50", "192.0.2.1"
ESTABLISHED = 2
"""NF_CT_STATE_BIT(IP_CT_ESTABLISHED) of linux/netfilter/nf_conntrack_common.h."""
ENTRY = ((CLIENT, 4000), (WEB, 80)), ((WEB, 80), (CLIENT, 4000))


def _dropped(
    folder: Path, condition: str, *, flags: str = "SA", began: str | None = None,
    entries: tuple[tuple[float, str], ...] = (),
) -> list[Finding]:  # fmt: skip
    """An answer in FORWARD that a rule with this condition drops; `began`: where its SYN was seen."""
    rules = copy.deepcopy(IPTABLES_RULES)
    rules["iptables"]["ip"] = rules["iptables"]["ip"].replace("-d 203.0.113.9/32", condition)
    host = docker_host()
    host.netns(ruleset=rules)
    if began:
        syn = IP(src=CLIENT, dst=WEB, id=5) / TCP(sport=4000, dport=80, flags="S", seq=100)
        host.see("eth0", IN, -500, syn)
        if began == "chain":
            host.trace(-495, syn, "forward_last", family="inet", table="ttrace", iif=ETH0, oif=DOCKER0, trace_id=3)
    for time_us, event in entries:
        host.conntrack(time_us, *ENTRY, event=event)
    answer = IP(src=WEB, dst=CLIENT, id=10) / TCP(sport=80, dport=4000, flags=flags, seq=700, ack=101)
    host.see("docker0", IN, 0, answer)
    host.trace(5, answer, "FORWARD", rules=[("FORWARD", DROP_RULE, DROP)], policy=None, iif=DOCKER0, oif=ETH0)
    keep_recording(host)
    return of_kind(findings_of(folder, host), Kind.CONNTRACK_INVALID)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({}, "no SYN of the connection came by here"),
        ({"began": "frame"}, "its SYN was bridged and never came to conntrack"),
        ({"began": "chain"}, "no entry is known"),
        ({"flags": "PA"}, "no entry is known"),
        ({"entries": ((-400, NEW),)}, "do not fit what conntrack saw of the connection"),
        ({"entries": ((-400, NEW), (-100, DESTROYED))}, "its entry had ended before"),
    ],
)
def test_why_it_is_invalid(tmp_path: Path, seen: dict, why: str) -> None:
    (finding,) = _dropped(tmp_path, "-m conntrack --ctstate INVALID", **seen)
    assert why in finding.text
    assert_opens(finding)


def test_answers_of_several_servers_whose_requests_nobody_saw(tmp_path: Path) -> None:
    """They have nothing to do with each other."""
    rules = copy.deepcopy(IPTABLES_RULES)
    condition = "-m conntrack --ctstate INVALID"
    rules["iptables"]["ip"] = rules["iptables"]["ip"].replace("-d 203.0.113.9/32", condition)
    host = docker_host()
    host.netns(ruleset=rules)
    for number, web in enumerate((WEB, "172.17.0.3", WEB)):
        answer = IP(src=web, dst=CLIENT, id=10 + number) / TCP(sport=80, dport=4000 + number, flags="SA", seq=7, ack=8)
        host.see("docker0", IN, 1000 * number, answer)
        chain = [("FORWARD", DROP_RULE, DROP)]
        host.trace(
            1000 * number + 5, answer, "FORWARD", rules=chain, policy=None, iif=DOCKER0, oif=ETH0, trace_id=number + 1
        )
    keep_recording(host)
    found = of_kind(findings_of(tmp_path, host), Kind.CONNTRACK_INVALID)
    assert [(one.packets, WEB in one.text) for one in found] == [(2, True), (1, False)]


@pytest.mark.parametrize(
    "condition",
    ["-d 203.0.113.0/24", "-m conntrack ! --ctstate ESTABLISHED,INVALID", "-m conntrack --ctstate NEW,INVALID"],
)
def test_a_rule_that_drops_others_as_well_does_not_say_what_it_was(tmp_path: Path, condition: str) -> None:
    assert _dropped(tmp_path, condition) == []


def test_a_reset_that_nobody_knows_any_more_keeps_nobody_from_anything(tmp_path: Path) -> None:
    assert _dropped(tmp_path, "-m conntrack --ctstate INVALID", flags="R") == []


def test_each_server_is_told_by_itself(tmp_path: Path) -> None:
    """In whichever parts they are, and not all of them by the name of the first."""
    rules = copy.deepcopy(IPTABLES_RULES)
    rules["iptables"]["ip"] = rules["iptables"]["ip"].replace("-d 203.0.113.9/32", "-m conntrack --ctstate INVALID")
    host = docker_host()
    host.netns(ruleset=rules)
    for number in range(3):
        ends = {"src": f"172.17.0.{2 + number}", "dst": f"203.0.113.{50 + number}"}
        syn = IP(src=ends["dst"], dst=ends["src"], id=5) / TCP(sport=4000, dport=80, flags="S", seq=100)
        host.see("eth0", IN, 1000 * number - 500, syn)
        answer = IP(**ends, id=10 + number) / TCP(sport=80, dport=4000, flags="SA", seq=700 + number, ack=101)
        host.see("docker0", IN, 1000 * number, answer)
        dropped = {"rules": [("FORWARD", DROP_RULE, DROP)], "policy": None, "trace_id": 3 + number}
        host.trace(1000 * number + 5, answer, "FORWARD", iif=DOCKER0, oif=ETH0, **dropped)
    keep_recording(host)
    found = of_kind(findings_of(tmp_path, host), Kind.CONNTRACK_INVALID)
    assert [one.packets for one in found] == [1, 1, 1]


def _answered(folder: Path, *, restored: bool, invalid: bool = False) -> list[Finding]:
    """A published port; the answer leaves by eth0, translated back or not."""
    host = docker_host()
    host.conntrack(5, ((CLIENT, 4000), (HOST, 8080)), ((WEB, 80), (CLIENT, 4000)), status=DNAT)
    syn = IP(src=CLIENT, dst=HOST, id=1) / TCP(sport=4000, dport=8080, flags="S", seq=100)
    inside = IP(src=CLIENT, dst=WEB, id=1, ttl=63) / TCP(sport=4000, dport=80, flags="S", seq=100)
    host.see("eth0", IN, 0, syn)
    host.see("docker0", OUT, 20, inside)
    answer = IP(src=WEB, dst=CLIENT, id=2) / TCP(sport=80, dport=4000, flags="SA", seq=7, ack=101)
    host.see("docker0", IN, 60, answer)
    gone = IP(src=HOST, dst=CLIENT, id=2, ttl=63) / TCP(sport=8080, dport=4000, flags="SA", seq=7, ack=101)
    seen = gone if restored else answer
    if not restored:
        seen[IP].ttl = 63
    # The kernel tells no state of what is INVALID.
    ct = {} if invalid else {"ct": (77, 1, 0, ESTABLISHED)}
    asked = {"iif": ETH0, "oif": DOCKER0, "trace_id": 3, "ct": (77, 0, 0, ESTABLISHED)}
    host.trace(15, inside, "forward_last", family="inet", table="ttrace", **asked)
    host.trace(65, seen, "forward_last", family="inet", table="ttrace", iif=DOCKER0, oif=ETH0, **ct)
    host.see("eth0", OUT, 70, seen)
    keep_recording(host)
    return of_kind(findings_of(folder, host), Kind.REPLY_NOT_TRANSLATED)


def test_an_answer_that_leaves_as_it_is(tmp_path: Path) -> None:
    (finding,) = _answered(tmp_path, restored=False)
    assert finding.text == (
        f"host sends 1 SYN-ACK of tcp {WEB}:80 (web1) -> {CLIENT}:4000 on by eth0 as it is, though {HOST}:8080 was "
        "asked: the answer is not translated back"
    )
    assert finding.evidence[0].what == "conntrack"


def test_the_entry_that_proves_it_can_be_opened(tmp_path: Path) -> None:
    (finding,) = _answered(tmp_path, restored=False)
    entry = finding.evidence[0]
    assert entry.file
    assert entry.frame
    with RawPcapNgReader(entry.file) as frames:
        message = list(frames)[entry.frame - 1][0]
    assert all(inet_aton(address) in message for address in (CLIENT, HOST, WEB))


def test_an_answer_that_conntrack_calls_invalid(tmp_path: Path) -> None:
    (finding,) = _answered(tmp_path, restored=False, invalid=True)
    assert finding.text.endswith("not translated back; conntrack calls it INVALID, and of that nothing is translated")


def test_an_answer_that_is_translated_back(tmp_path: Path) -> None:
    assert _answered(tmp_path, restored=True) == []


def test_ports_that_were_translated_before_and_are_not_now(tmp_path: Path) -> None:
    """A client with one source port asks by the published port first, then the container itself."""
    host = docker_host()
    published = ((CLIENT, 4000), (HOST, 8080)), ((WEB, 80), (CLIENT, 4000))
    host.conntrack(-50_000, *published, status=DNAT)
    host.conntrack(-40_000, *published, status=DNAT, event=DESTROYED)
    host.conntrack(5, *ENTRY, ct_id=78)
    ends = {"src": CLIENT, "dst": WEB}, {"src": WEB, "dst": CLIENT}
    for number, (flags, ways) in enumerate([("S", ("eth0", "docker0")), ("SA", ("docker0", "eth0"))]):
        ports = {"sport": 80, "dport": 4000} if number else {"sport": 4000, "dport": 80}
        segment = TCP(flags=flags, seq=7 if number else 100, ack=101 * number, **ports)
        for at, (name, direction) in enumerate(zip(ways, (IN, OUT), strict=True)):
            host.see(name, direction, 60 * number + 20 * at, IP(**ends[number], id=1 + number, ttl=64 - at) / segment)
    keep_recording(host)
    assert of_kind(findings_of(tmp_path, host), Kind.REPLY_NOT_TRANSLATED) == []
