"""Why a packet was not delivered: the sentence, from its arguments."""

import pytest

from ttrace.correlate.netfilter.rules import Rule
from ttrace.correlate.outcomes.kinds import REASON_KIND, Reason
from ttrace.correlate.result.reasons import IcmpError, LastPlace, ReasonNote

AT_ETH0 = LastPlace(node="master", netns="root", interface="eth0", direction="in")
IN_FORWARD = LastPlace(node="master", netns="web1", hook="forward", family="ip", table="filter", chain="FORWARD")


BEGINNINGS = ("master: ", "web1 on master: ", "last seen at ", "it arrived at ", "it came to ", "not seen behind ")


def text(code: Reason, last: LastPlace, text: str | None = None, *, number: int = 3, error: IcmpError | None = None):
    rule = None
    if text is not None:
        rule = Rule(family="ip", table="filter", chain="DOCKER", handle=9, number=number, text=text)
    return ReasonNote(code=code, last=last, rule=rule, error=error).text


@pytest.mark.parametrize("code", [code for code in Reason if code != Reason.NONE], ids=lambda code: code.name)
def test_every_reason_has_its_words(code):
    assert REASON_KIND[code]
    for last in (AT_ETH0, IN_FORWARD):
        assert text(code, last, "drop").startswith(BEGINNINGS)


@pytest.mark.parametrize(
    ("rule", "number", "said"),
    [
        ("-A DOCKER -j DROP", 3, "ip filter DOCKER rule 3 dropped it: -A DOCKER -j DROP"),
        ("-A DOCKER -j REJECT --reject-with tcp-reset", 3, "ip filter DOCKER rule 3 rejected it: -A DOCKER -j REJECT"),
        ("tcp dport 22 reject with tcp reset", 3, "ip filter DOCKER rule 3 rejected it: tcp dport 22 reject"),
        ('-A DOCKER -m comment --comment "do not reject" -j DROP', 3, "ip filter DOCKER rule 3 dropped it: -A DOCKER"),
        ('tcp dport 22 drop comment "no reject here"', 3, "ip filter DOCKER rule 3 dropped it: tcp dport 22"),
        ("", 0, "ip filter DOCKER rule with handle 9 dropped it: a rule that is in no snapshot"),
        (None, 0, "filter FORWARD dropped it: a rule that is in no snapshot"),
    ],
)
def test_a_rule_is_named_with_its_place_and_what_it_did(rule, number, said):
    assert text(Reason.RULE, IN_FORWARD, rule, number=number).startswith(f"web1 on master: {said}")


def test_what_died_inside_a_hook_is_told_with_the_last_that_it_passed():
    """A rule where one matched, else the chain, by iptables' names or nft's."""
    assert text(Reason.HOOK, IN_FORWARD) == (
        "web1 on master: it died inside forward, behind filter FORWARD: no later chain of that hook saw it"
    )
    rule = Rule(family="inet", table="fw", chain="forw", handle=4, number=1, text="accept")
    place = LastPlace(
        node="master", netns="root", hook="forward", family="inet", table="fw", chain="forw", matched=rule
    )
    assert text(Reason.HOOK, place) == (
        "master: it died inside forward, behind inet fw forw rule 1: no later chain of that hook saw it"
    )
    place = LastPlace(node="master", netns="root", hook="input", family="inet", table="fw", chain="inp")
    assert text(Reason.UNPROVEN, place) == (
        "last seen at master: input, behind inet fw inp; what became of it then is not known"
    )


def test_an_icmp_error_is_told_behind_it():
    error = IcmpError(path=7, says="time exceeded")
    assert text(Reason.ICMP, AT_ETH0, error=error) == (
        "master: eth0 in was the last of it; it was answered with ICMP time exceeded (path 7)"
    )


def test_braces_of_a_rule_stay():
    assert text(Reason.RULE, IN_FORWARD, "ip saddr { 10.0.0.1 } drop").endswith("ip saddr { 10.0.0.1 } drop")
