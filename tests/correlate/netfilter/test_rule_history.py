"""Rules that change while a capture runs: each packet's rule reads as it did when the packet met it."""

import json
from copy import deepcopy

import pytest

from ttrace.report.json.contract import hop_object
from ttrace.report.text.path import path_text
from ttrace.tests.cases.masquerade_traced.make import FAR, HOST, tcp

from ..frames import NFLOG, attribute, message
from ..scene import (
    ACCEPT,
    DNAT,
    DNAT_RULE,
    DOCKER0,
    ETH0,
    IN,
    IPTABLES_RULES,
    JUMP_RULE,
    OUT,
    correlate,
    docker_host,
    paths,
)
from . import rule_messages as made

TWO, THREE, FOUR = "172.17.0.2", "172.17.0.3", "172.17.0.4"
BEFORE, MEANWHILE, AFTER, LAST = 100_000, 1_100_000, 2_100_000, 3_100_000
"""Requests, microseconds since the start; the rules change at each full second."""
KEY = ("nat", "DOCKER", DNAT_RULE)


def words(address: str) -> str:
    return f"-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination {address}:80"


def snapshot(address: str | None, generation: int) -> dict:
    """The host's rules with this target; None: without the rule."""
    rules = deepcopy(IPTABLES_RULES)
    saved = rules["iptables"]["ip"].splitlines(keepends=True)
    at = next(i for i, line in enumerate(saved) if "--dport 8080" in line)
    listed = rules["nft"].splitlines(keepends=True)
    row = next(i for i, line in enumerate(listed) if f"# handle {DNAT_RULE}\n" in line)
    if address is None:
        del saved[at], listed[row]
    else:
        saved[at] = f"[0:0] {words(address)}\n"
    rules["iptables"]["ip"], rules["nft"] = "".join(saved), "".join(listed)
    return rules | {"generation": generation}


class Changing:
    """A Docker host whose rule for port 8080 is replaced again and again."""

    def __init__(self, address: str | None, generation: int = 4) -> None:
        self.host = docker_host()
        self.host._namespaces["root"].ruleset = None
        self.snapshot(0, address, generation)
        self._port = 40_000

    def snapshot(self, time_us: float, address: str | None, generation: int, *, consistent: bool = True) -> None:
        data = snapshot(address, generation) | {"consistent": consistent}
        self.host.snapshot("ruleset", data, netns="root", time_us=time_us)

    def commit(self, time_us: float, generation: int, *messages: bytes) -> None:
        for one in (*messages, made.generation(generation)):
            self.host.message(time_us, one)

    def replace(self, time_us: float, generation: int, old: str, new: str) -> None:
        """As `iptables -R` does it: the handle stays."""
        gone, come = (
            made.rule(kind, *KEY, made.tcp_to(8080) + made.dnat(address, 80))
            for kind, address in ((made.DELETED_RULE, old), (made.NEW_RULE, new))
        )
        self.commit(time_us, generation, gone, come)

    def request(self, time_us: float, to: str, handle: int = DNAT_RULE) -> None:
        """A connection that is translated to `to`."""
        self._port += 1
        before, after = tcp(FAR, HOST, self._port, 8080), tcp(FAR, to, self._port, 80, ttl=63)
        self.host.see("eth0", IN, time_us, before)
        self.host.see("docker0", OUT, time_us + 9, after)
        rules = [("PREROUTING", JUMP_RULE, "DOCKER"), ("DOCKER", handle, ACCEPT)]
        ct = (self._port, 0, DNAT)
        self.host.trace(time_us + 2, before, "PREROUTING", table="nat", iif=ETH0, rules=rules, policy=None, ct=ct)
        self.host.trace(time_us + 3, after, "FORWARD", iif=ETH0, oif=DOCKER0, ct=ct)
        original, reply = ((FAR, self._port), (HOST, 8080)), ((to, 80), (FAR, self._port))
        self.host.conntrack(time_us + 4, original, reply, status=DNAT, ct_id=self._port)

    def rewrites(self, tmp_path) -> list:
        """Of each request in order: the text of its rule, or whether it was changed. In memory and in parts."""
        result = correlate(tmp_path, self.host)
        found = [path.rewrites[0] for path in paths(result)]
        assert all(rewrite.rule is None or rewrite.rule.text for rewrite in found)
        return [rewrite.rule.text if rewrite.rule else rewrite.rule_changed for rewrite in found]


def test_a_rule_that_is_replaced_under_its_handle_has_its_own_words_each_time(tmp_path):
    scene = Changing(TWO)
    scene.request(BEFORE, TWO)
    scene.replace(1_000_000, 5, TWO, THREE)
    scene.request(MEANWHILE, THREE)
    scene.replace(2_000_000, 6, THREE, FOUR)
    scene.request(AFTER, FOUR)
    scene.snapshot(2_200_000, FOUR, 6)
    assert scene.rewrites(tmp_path) == [words(TWO), words(THREE), words(FOUR)]


def test_a_rule_of_no_snapshot_has_the_words_of_its_messages(tmp_path):
    scene = Changing(None)
    scene.commit(1_000_000, 5, made.rule(made.NEW_RULE, *KEY[:2], 99, made.tcp_to(8080) + made.dnat(THREE, 80)))
    scene.request(MEANWHILE, THREE, handle=99)
    scene.commit(2_000_000, 6, made.rule(made.DELETED_RULE, *KEY[:2], 99, made.tcp_to(8080) + made.dnat(THREE, 80)))
    scene.snapshot(2_200_000, None, 6)
    assert scene.rewrites(tmp_path) == [words(THREE)]


def test_what_was_taken_away_says_what_it_was(tmp_path):
    """The capture took its snapshot too late, but the kernel shows the rule that it removes."""
    scene = Changing(None, generation=5)
    scene.request(BEFORE, THREE)
    scene.commit(1_000_000, 5, made.rule(made.DELETED_RULE, *KEY, made.tcp_to(8080) + made.dnat(THREE, 80)))
    scene.snapshot(1_100_000, None, 5)
    assert scene.rewrites(tmp_path) == [words(THREE)]


@pytest.mark.parametrize("gone", [made.deleted_table("nat"), made.deleted_chain("nat", "DOCKER")])
def test_a_handle_that_counts_anew_behind_a_flush_is_another_rule(tmp_path, gone):
    scene = Changing(TWO)
    scene.request(BEFORE, TWO)
    scene.commit(1_000_000, 5, gone, made.rule(made.NEW_RULE, *KEY, made.tcp_to(8080) + made.dnat(THREE, 80)))
    scene.request(MEANWHILE, THREE)
    assert scene.rewrites(tmp_path) == [words(TWO), words(THREE)]


def test_changes_of_other_rules_leave_it_as_it_is(tmp_path):
    scene = Changing(TWO)
    other = made.rule(made.NEW_RULE, "filter", "FORWARD", 77, made.verdict(1))
    for second, number in ((1, 5), (2, 6)):
        scene.commit(second * 1_000_000, number, other)
    scene.request(AFTER, TWO)
    assert scene.rewrites(tmp_path) == [words(TWO)]


def test_where_messages_were_lost_the_snapshots_before_and_after_must_agree(tmp_path):
    scene = Changing(TWO)
    scene.commit(3_000_000, 9)
    scene.request(MEANWHILE, FOUR)
    scene.snapshot(3_200_000, THREE, 9)
    assert scene.rewrites(tmp_path) == [True]


def test_where_messages_were_lost_and_both_agree_it_is_quoted(tmp_path):
    scene = Changing(TWO)
    scene.commit(3_000_000, 9)
    scene.request(MEANWHILE, TWO)
    scene.request(LAST, TWO)
    scene.snapshot(3_200_000, TWO, 9)
    assert scene.rewrites(tmp_path) == [words(TWO), words(TWO)]


def test_two_generations_without_any_message_are_a_change(tmp_path):
    scene = Changing(TWO)
    scene.request(MEANWHILE, THREE)
    scene.snapshot(3_200_000, THREE, 5)
    assert scene.rewrites(tmp_path) == [True]


def test_a_packet_beside_a_change_may_have_met_either(tmp_path):
    """The kernel sends its messages behind the change, and other processors trace meanwhile."""
    scene = Changing(TWO)
    scene.request(999_900, THREE)
    scene.replace(1_000_000, 5, TWO, THREE)
    scene.request(1_000_100, TWO)
    assert scene.rewrites(tmp_path) == [True, True]


def test_words_that_contradict_the_translation_are_not_quoted(tmp_path):
    """Nothing says that the rule changed, but it cannot have been this one."""
    scene = Changing(TWO)
    scene.request(BEFORE, THREE)
    scene.request(MEANWHILE, TWO)
    assert scene.rewrites(tmp_path) == [True, words(TWO)]


def test_a_changed_rule_says_so_in_text_and_json(tmp_path):
    scene = Changing(TWO)
    scene.request(MEANWHILE, THREE)
    scene.snapshot(3_200_000, THREE, 5)
    (path,) = paths(correlate(tmp_path, scene.host))
    assert (path.rewrites[0].kind, path.rewrites[0].evidence) == ("dnat", "trace")
    text = path_text(path)
    assert "=> 172.17.0.3:80   DNAT" in text
    assert "rule changed meanwhile" in text
    assert TWO not in text
    rules = [rule for hop in path.hops for rule in hop_object(hop).get("rules", [])]
    assert json.dumps(rules[-1], sort_keys=True) == json.dumps(
        {"chain": "DOCKER", "changed": True, "handle": DNAT_RULE, "number": None, "text": "", "verdict": "accept"}
    )


# --- iptables-legacy ------------------------------------------------------------------------------------------------


def legacy_rules(port: int) -> dict:
    saved = f"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport {port} -j DROP\nCOMMIT\n"
    return {"generation": 1, "nft": "", "legacy": {"ip": saved, "ip6": None}}


@pytest.mark.parametrize(("last", "text"), [(22, "-A INPUT -p tcp -m tcp --dport 22 -j DROP"), (80, "")])
def test_a_rule_of_iptables_legacy_is_quoted_where_both_snapshots_have_it(tmp_path, last, text):
    host = docker_host()
    host._namespaces["root"].ruleset = None
    host.snapshot("ruleset", legacy_rules(22), netns="root", time_us=0)
    packet = tcp(FAR, HOST, 7, 22)
    host.see("eth0", IN, 100, packet)
    prefix = attribute(1, b"\x08\x00\x01\x00") + attribute(10, b"TRACE: filter:INPUT:rule:1 \0")
    host.message(101, message(NFLOG, prefix + attribute(9, bytes(packet))))
    host.snapshot("ruleset", legacy_rules(last), netns="root", time_us=2_000_000)
    (path,) = paths(correlate(tmp_path, host))
    (match,) = path.hops[-1].rules
    assert (match.text, match.changed) == (text, not text)
