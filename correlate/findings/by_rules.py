"""Packets that a rule or a policy dropped, rejected or handed to a program."""

from collections.abc import Iterator

import numpy as np

from ..netfilter.rulebook import statement_of
from ..netfilter.rules import Rule
from ..outcomes.kinds import Outcome, Reason
from ..result.reasons import rule_place
from ..result.show import reason_of
from ..result.values import ChainHop
from ..sightings import EVALUATION, of_kind
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .scans import tries
from .seen import Extent, Seen, many
from .values import Evidence
from .words import frames_of, node_of, rule_evidence, subject_of, where


def killed_by_rules(facts: Facts) -> Iterator[Seen]:
    """`rule_drop`, `policy_drop`, `rejected`."""
    result, outcomes = facts.result, facts.result.outcomes
    dropped = (outcomes.outcome == Outcome.DROPPED) & np.isin(outcomes.reason, (Reason.RULE, Reason.POLICY))
    paths = np.flatnonzero(dropped)
    namespace, chain = result.sightings["namespace"][facts.last[paths]], _chains(facts, paths)
    harmless = _harmless(facts)
    for one in groups(facts, paths, namespace, chain, outcomes.rule[paths], facts.own[paths], harmless[paths]):
        yield _killed(facts, one, harmless=bool(harmless[one[0]]))


def _chains(facts: Facts, paths: Rows) -> Rows:
    """The chain in which each path ended; -1 where none is its last."""
    rows = facts.result.evaluations.rows
    evaluation = facts.last[paths] - of_kind(facts.result.sightings, EVALUATION).start
    inside = (evaluation >= 0) & (evaluation < rows.size)
    chain = np.full(paths.size, -1, np.int64)
    chain[inside] = rows["chain"][evaluation[inside]]
    return chain


def _harmless(facts: Facts) -> Mask:
    """Per path: nobody waits for it. It goes to a group or by broadcast, or its connection came to its end without
    it."""
    return facts.on_link | (facts.complete[facts.result.connection_of_path] & facts.own)


def _killed(facts: Facts, paths: Rows, *, harmless: bool) -> Seen:
    result, first = facts.result, int(paths[0])
    by_policy = result.outcomes.reason[first] == Reason.POLICY
    reason = reason_of(result, first)
    rule = reason.rule if reason and not by_policy else None
    rejects = rule is not None and statement_of(rule.text) == "reject"
    kind = Kind.POLICY_DROP if by_policy else Kind.REJECTED if rejects else Kind.RULE_DROP
    at, verb = place_of_end(facts, first), "rejects" if rejects else "drops"
    cause = f"the policy of {_chain_words(facts, first)} is drop, and no rule accepted it" if by_policy else _by(rule)
    said = _policy_evidence(facts, first) if by_policy else rule_evidence(facts, first, rule)
    answer = f"; it answers with ICMP {reason.error.says}" if rejects and reason and reason.error else ""

    def say(extent: Extent) -> str:
        several = f"{extent.connections:,} connections, " if extent.connections > 1 else ""
        scan = f", {many(extent.tried, 'port')}, as a scan tries them" if extent.is_scan else ""
        return f"{at} {verb} {extent.flow}, {cause}: {several}{extent.counted}{scan}{answer}"

    return Seen(
        kind=kind, key=(at, cause, bool(facts.own[first])), say=say, paths=paths, subject=subject_of(facts, paths),
        time_ns=int(facts.begin_ns[first]), node=node_of(facts, first), rule=rule,
        harmless=harmless, tried=tries(facts, paths), evidence=(*frames_of(facts, first), *said),
    )  # fmt: skip


def handed_to_programs(facts: Facts) -> Iterator[Seen]:
    """`handed_to_program`: a queue, SYNPROXY or TPROXY took it, and nothing says what became of it."""
    outcomes, connection = facts.result.outcomes, facts.result.connection_of_path
    paths = np.flatnonzero(outcomes.reason == Reason.HANDED_OVER)
    unanswered = (facts.replies == 0)[connection[paths]]
    namespace = facts.result.sightings["namespace"][facts.last[paths]]
    for one in groups(facts, paths, outcomes.rule[paths], namespace, unanswered):
        yield _handed(facts, one)


def _handed(facts: Facts, paths: Rows) -> Seen:
    first = int(paths[0])
    reason = reason_of(facts.result, first)
    rule = reason.rule if reason else None
    at, by = place_of_end(facts, first), _by(rule)

    def say(extent: Extent) -> str:
        return f"{at} hands {extent.flow} to a program, {by}: {extent.counted}; what that does with it is not seen"

    return Seen(
        kind=Kind.HANDED_TO_PROGRAM, key=(at, by), say=say, paths=paths, subject=subject_of(facts, paths),
        time_ns=int(facts.begin_ns[first]), node=node_of(facts, first), rule=rule,
        fatal=not facts.replies[facts.result.connection_of_path[first]],
        evidence=frames_of(facts, first) + rule_evidence(facts, first, rule),
    )  # fmt: skip


def place_of_end(facts: Facts, path: int) -> str:
    """Node and namespace where a path ended."""
    namespace = facts.result.topology.namespaces[int(facts.result.sightings["namespace"][facts.last[path]])]
    return where(namespace.node, namespace.label)


def _by(rule: Rule | None) -> str:
    if rule is None:
        return "by a rule that is in no snapshot"
    return f"by {rule_place(rule)}: {rule.text}" if rule.text else f"by {rule_place(rule)}"


def _chain_words(facts: Facts, path: int) -> str:
    hop = facts.result.hop_of(int(facts.last[path]))
    return f"{hop.family} {hop.table} {hop.chain}" if isinstance(hop, ChainHop) else "a chain"


def _policy_evidence(facts: Facts, path: int) -> tuple[Evidence, ...]:
    """The first snapshot that shows the chain with this policy."""
    namespace = int(facts.result.sightings["namespace"][facts.last[path]])
    hop, history = facts.result.hop_of(int(facts.last[path])), facts.result.histories.get(namespace)
    if not isinstance(hop, ChainHop) or history is None:
        return ()
    at = history.policy_at((hop.family, hop.table, hop.chain), "drop")
    if at is None:
        return ()
    file = facts.result.files[at.file].path
    text = f"{_chain_words(facts, path)}: policy drop"
    return (Evidence(what="rule", text=text, file=file, frame=at.frame),)
