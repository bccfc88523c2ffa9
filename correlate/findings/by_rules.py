"""Packets that a rule or a policy dropped, rejected or handed to a program."""

from collections.abc import Iterator

import numpy as np

from ..netfilter.rulebook import statement_of
from ..netfilter.rules import Rule
from ..outcomes.kinds import Outcome, Reason
from ..result.reasons import rule_place
from ..result.show import reason_of
from ..result.values import ChainHop
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen
from .values import Evidence
from .words import counted, flow, frames_of, node_of, packets_noun, where


def killed_by_rules(facts: Facts) -> Iterator[Seen]:
    """`rule_drop`, `policy_drop`, `rejected`."""
    result, outcomes = facts.result, facts.result.outcomes
    dropped = (outcomes.outcome == Outcome.DROPPED) & np.isin(outcomes.reason, (Reason.RULE, Reason.POLICY))
    paths = np.flatnonzero(dropped)
    namespace = result.sightings["namespace"][facts.last[paths]]
    chain = _chains(facts, paths)
    harmless = _harmless(facts, paths)
    for one in groups(facts, paths, namespace, chain, outcomes.rule[paths], facts.own[paths], harmless):
        yield _killed(facts, one)


def handed_to_programs(facts: Facts) -> Iterator[Seen]:
    """`handed_to_program`: a queue, SYNPROXY or TPROXY took it, and nothing says what became of it."""
    outcomes = facts.result.outcomes
    paths = np.flatnonzero(outcomes.reason == Reason.HANDED_OVER)
    for one in groups(facts, paths, outcomes.rule[paths], facts.result.sightings["namespace"][facts.last[paths]]):
        reason = reason_of(facts.result, int(one[0]))
        rule = reason.rule if reason else None
        at, by, subject = _where(facts, one), _by(rule), flow(facts, one)
        noun, unanswered = packets_noun(facts, one), not facts.replies[facts.result.connection_of_path[one]].any()

        def say(extent: Extent, at: str = at, by: str = by, subject: str = subject, noun: str = noun) -> str:
            return (
                f"{at} hands {subject} to a program, {by}: {counted(extent, noun)}; what it does with them is not seen"
            )

        yield Seen(
            kind=Kind.HANDED_TO_PROGRAM, key=(at, rule, subject if rule is None else ""), say=say, paths=one,
            time_ns=int(facts.begin_ns[one[0]]), node=node_of(facts, int(one[0])), rule=rule, fatal=unanswered,
            evidence=frames_of(facts, int(one[0])) + _rule_evidence(rule),
        )  # fmt: skip


def _chains(facts: Facts, paths: Rows) -> Rows:
    """The chain in which each path ended; -1 where none is its last."""
    rows, found = facts.result.evaluations.rows, facts.result.sightings["kind"].size
    evaluation = facts.last[paths] - (found - facts.result.said.size)
    inside = (evaluation >= 0) & (evaluation < rows.size)
    chain = np.full(paths.size, -1, np.int64)
    chain[inside] = rows["chain"][evaluation[inside]]
    return chain


def _harmless(facts: Facts, paths: Rows) -> Mask:
    """Nobody waits for it: it goes to a group or by broadcast, or its connection came to its end all the same."""
    connection = facts.result.connection_of_path[paths]
    return facts.on_link[paths] | (facts.complete[connection] & facts.own[paths])


def _killed(facts: Facts, paths: Rows) -> Seen:
    result, first = facts.result, int(paths[0])
    by_policy = result.outcomes.reason[first] == Reason.POLICY
    reason = reason_of(result, first)
    rule = reason.rule if reason and not by_policy else None
    rejects = rule is not None and statement_of(rule.text) == "reject"
    kind = Kind.POLICY_DROP if by_policy else Kind.REJECTED if rejects else Kind.RULE_DROP
    at, subject, noun = _where(facts, paths), flow(facts, paths), packets_noun(facts, paths)
    cause = f"the policy of {_chain_words(facts, first)} is drop, and no rule accepted it" if by_policy else _by(rule)
    verb = "rejects" if rejects else "drops"
    answer = f"; it answers with ICMP {reason.error.says}" if rejects and reason and reason.error else ""

    def say(extent: Extent) -> str:
        many = f"{extent.connections:,} connections, " if extent.connections > 1 else ""
        return f"{at} {verb} {subject}, {cause}: {many}{counted(extent, noun)}{answer}"

    return Seen(
        kind=kind, key=(at, cause), say=say, paths=paths, time_ns=int(facts.begin_ns[first]),
        node=node_of(facts, first), rule=rule, harmless=bool(_harmless(facts, paths).all()),
        evidence=frames_of(facts, first) + _rule_evidence(rule),
    )  # fmt: skip


def _where(facts: Facts, paths: Rows) -> str:
    namespace = facts.result.topology.namespaces[int(facts.result.sightings["namespace"][facts.last[paths[0]]])]
    return where(namespace.node, namespace.label)


def _by(rule: Rule | None) -> str:
    if rule is None:
        return "by a rule that is in no snapshot"
    return f"by {rule_place(rule)}: {rule.text}" if rule.text else f"by {rule_place(rule)}"


def _chain_words(facts: Facts, path: int) -> str:
    hop = facts.result.hop_of(int(facts.last[path]))
    return f"{hop.family} {hop.table} {hop.chain}" if isinstance(hop, ChainHop) else "a chain"


def _rule_evidence(rule: Rule | None) -> tuple[Evidence, ...]:
    return (Evidence(what="rule", text=f"{rule_place(rule)}: {rule.text}"),) if rule is not None else ()
