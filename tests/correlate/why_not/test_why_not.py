"""Recorded packets against recorded rules: the sentences that somebody reads (recordings/README.md)."""

import re
from functools import cache

import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.in_parts.rounds import correlate_in_parts
from ttrace.correlate.why_not.why_not import why_not
from ttrace.errors import TtraceError

from .draft import CHANGED, LEGACY, NODE, RULES, expected, said

DNAT = "DNAT by nat DOCKER rule 2 had changed it from"


@cache
def recorded(path):
    return correlate_captures([path])


def sentences(path, rule, **asked):
    return [answer.text for one in why_not(recorded(path), [rule], **asked) for answer in one.answers]


def first(path, rule, **asked):
    return sentences(path, rule, **asked)[0]


@pytest.mark.parametrize("path", [NODE, LEGACY, CHANGED], ids=["node", "legacy", "changed"])
def test_the_sections_of_all_rules_read_as_they_did_when_somebody_judged_them(path):
    assert said(recorded(path), RULES[path]) == expected(path).read_text()


def test_a_port_that_dnat_changed_is_told_with_the_rule_that_did_it():
    sentence = f"5 packets: wants --dport 8080; the destination port was 80 there: {DNAT} 8080"
    assert first(NODE, "DOCKER-USER 1") == sentence
    [one] = why_not(recorded(NODE), ["node: DOCKER-USER 1"])
    assert one.text == f"node: filter DOCKER-USER rule 1 did not match {sentence}"


def path_of(text):
    result = recorded(NODE)
    found = [result.path(number) for number in range(1, result.packets.count + 1)]
    return next(p.id for p in found if text in f"{p.protocol} {p.info} {p.hops[0].source} -> {p.hops[0].destination}")


@pytest.mark.parametrize(
    ("rule", "path", "sentence"),
    [
        ("DOCKER-USER 1", "-> 192.168.77.1:8088", "it was for the node itself, and went to INPUT"),
        ("DOCKER-USER 1", "-> 192.168.77.1:8090",
         "raw PREROUTING rule 1 had dropped it before: -A PREROUTING -p tcp -m tcp --dport 8090 -j DROP"),
        ("inet fw forw 11", "icmp echo request", "the policy of filter FORWARD had dropped it before"),
        ("inet fw late 1", "172.17.0.3:40003", "filter DOCKER-USER rule 2 had dropped it before"),
        ("nat DOCKER 2", "tcp ACK 192.168.77.2:40001", "only the first packet of a connection passes nat chains"),
        ("DOCKER 1", "tcp ACK 192.168.77.2:40001",
         "filter FORWARD rule 3 jumps there, and rule 2 had accepted it before: -A FORWARD -o docker0"),
        ("nat DOCKER 2", "icmp echo request",
         "nat PREROUTING rule 1 jumps there, and wants --dst-type LOCAL; the type of the destination was UNICAST"),
    ],
)  # fmt: skip
def test_a_packet_that_never_came_to_the_chain_parted_somewhere(rule, path, sentence):
    answer = first(NODE, rule, paths=[path_of(path)])
    assert answer.startswith("1 packet: never came to ")
    assert sentence in answer


def test_each_condition_is_evidence_with_what_became_of_it():
    [one] = why_not(recorded(NODE), ["DOCKER-USER 2"])
    lines = [line.text for line in one.answers[0].evidence]
    assert lines[1:] == [
        "! -i eth0: fails (eth0)", "-p tcp: holds (tcp)", "--dports 22,80:90: holds (80)", "--ctstate NEW: holds (new)",
    ]  # fmt: skip
    frame = one.answers[0].evidence[0]
    assert frame.file == NODE
    assert 1 <= frame.frame <= recorded(NODE).files[0].records
    [one] = why_not(recorded(NODE), ["DOCKER-USER 1"])
    assert one.answers[0].evidence[-1].text == (
        "nat DOCKER rule 2: -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
    )
    assert one.rule.text == "-A DOCKER-USER -p tcp -m tcp --dport 8080 -j DROP"
    assert one.connections == tuple({recorded(NODE).path(path).connection for path in one.paths})


def test_a_rule_without_conditions_of_iptables_legacy_matches_though_it_is_logged_as_the_end_of_its_chain():
    assert "1 packet: matched it" in sentences(LEGACY, "FORWARD 5")
    result = recorded(LEGACY)
    dropped = [p for p in map(result.path, range(1, result.packets.count + 1)) if p.outcome == "dropped"]
    assert ["ip filter FORWARD rule 5 dropped it: -A FORWARD -j DROP" in p.reason.text for p in dropped] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("rule", "what", "hint"),
    [
        ("DOCKER-USER 12", "no rule `DOCKER-USER 12`", r"`ip filter DOCKER-USER` \(rules 1 to 11\)"),
        ("DOCKER_USER 1", "no rule `DOCKER_USER 1`", r"`ip filter DOCKER-USER`"),
        ("master: DOCKER-USER 1", "no node or namespace `master`", "`node`"),
        ("inet fw forw handle 999", "no rule", "`inet fw forw` "),
        ("inet ttrace pre 1", "no rule", "near it"),
    ],
)
def test_a_rule_that_is_nowhere_names_what_is_near(rule, what, hint):
    with pytest.raises(TtraceError, match=what) as error:
        why_not(recorded(NODE), [rule])
    assert re.search(hint, error.value.hint)


def test_a_handle_is_enough_where_one_rule_has_it():
    [one] = why_not(recorded(NODE), ["inet fw forw 2"])
    [again] = why_not(recorded(NODE), [f"node: inet fw forw handle {one.rule.handle}"])
    assert again.answers == one.answers
    rules = recorded(NODE).histories[0].snapshots[0].ruleset.rules
    handles = [key[3] for key in rules if key[1] != "ttrace"]
    shared = next(handle for handle in handles if handles.count(handle) > 1)
    with pytest.raises(TtraceError, match="several rules fit") as error:
        why_not(recorded(NODE), [f"handle {shared}"])
    assert f"handle {shared}" in error.value.hint


def test_both_tables_with_a_chain_of_this_name_are_told_of_where_one_is_not_asked_for():
    assert [one.rule.table for one in why_not(recorded(NODE), ["DOCKER 1", "nat DOCKER 1"])] == ["filter", "nat"]


def test_in_parts_it_is_the_same():
    rules = ["DOCKER-USER 1", "DOCKER-USER 6", "inet fw forw 9", "nat DOCKER 2", "FORWARD 3"]
    parted = correlate_in_parts([NODE], lambda _stage, _done: None, most=10, workers=1)
    try:
        assert parted.count > 1
        assert why_not(parted, rules) == why_not(recorded(NODE), rules)
    finally:
        parted.close()
