"""What iptables-legacy did to a packet: its trace names rules and policies, and only their words say the verdict.

It logs each rule that matches before its target runs (net/ipv4/netfilter/ip_tables.c, trace_packet), so that the last
one logged decided, if its target is one that decides.
"""

from typing import Final

import numpy as np

from .evaluations import Chain, Evaluations
from .numbers import (
    FAMILIES,
    NF_ACCEPT,
    NF_DROP,
    NF_QUEUE,
    NF_STOLEN,
    NFT_TRACETYPE_POLICY,
    NFT_TRACETYPE_RETURN,
    NFT_TRACETYPE_RULE,
    QUEUED,
    STOLEN,
    UNDECIDED,
)
from .rulebook import RuleBook, statement_of
from .rules import Ruleset

_CODE: Final = {
    "drop": NF_DROP, "reject": NF_DROP, "accept": NF_ACCEPT, "dnat": NF_ACCEPT, "snat": NF_ACCEPT,
    "masquerade": NF_ACCEPT, "redirect": NF_ACCEPT, "netmap": NF_ACCEPT, "tproxy": NF_ACCEPT,
    "nfqueue": NF_QUEUE, "queue": NF_QUEUE, "synproxy": NF_STOLEN,
}  # fmt: skip
"""The kernel's verdict of each statement; every other lets the packet go on in its chain."""
_NONE: Final = -(2**31)
"""No verdict of the kernel."""
_OF_CHAIN: Final = {NF_DROP: NF_DROP, NF_ACCEPT: NF_ACCEPT, NF_QUEUE: QUEUED, NF_STOLEN: STOLEN}


def name_unconditional_rules(evaluations: Evaluations, rulesets: dict[int, list[Ruleset]]) -> None:
    """A rule of iptables-legacy without conditions, such as `-A FORWARD -j DROP`, is logged as if it were the policy of
    its chain or its end, but with its own number (get_chainname_rulenum): make it a rule (events and evaluations are
    changed in place)."""
    events, names = evaluations.events, evaluations.names
    ends = np.isin(events["type"], (NFT_TRACETYPE_POLICY, NFT_TRACETYPE_RETURN))
    rows = np.flatnonzero((events["legacy"] > 0) & ends)
    if rows.size == 0:
        return
    named = events.take(rows)[["namespace", "family", "table", "chain", "rule_number"]]
    keys, which = np.unique(named, return_inverse=True)
    is_rule = np.zeros(keys.size, np.bool_)
    for at, (namespace, family, table, chain, number) in enumerate(keys.tolist()):
        key = (FAMILIES.get(family, ""), names.get(table, ""), names.get(chain, ""), number)
        is_rule[at] = any(key in ruleset.legacy for ruleset in rulesets.get(namespace, []))
    events["type"][rows[is_rule[which.reshape(-1)]]] = NFT_TRACETYPE_RULE
    evaluations.rows["policy"] &= events["type"][evaluations.rows["last_event"] - 1] == NFT_TRACETYPE_POLICY


def settle_legacy_verdicts(evaluations: Evaluations, book: RuleBook, rulesets: dict[int, list[Ruleset]]) -> None:
    """Fill in the verdicts of iptables-legacy, of events and of evaluations (in place), where words say them.

    `rulesets`: namespace index to its snapshots, earliest first. What no words are known of stays undecided.
    """
    legacy = np.array([chain.legacy for chain in evaluations.chains] or [False], np.bool_)
    rows, events = evaluations.rows, evaluations.events
    of = np.flatnonzero(legacy[rows["chain"]])
    if of.size == 0:
        return
    codes = np.array([_CODE.get(statement_of(rule.text), _NONE) for rule in book.rules] or [0], np.int64)
    by_rule = np.flatnonzero((events["legacy"] > 0) & (book.of_event >= 0))
    known = codes[book.of_event[by_rule]] != _NONE
    events["verdict"][by_rule[known]] = codes[book.of_event[by_rule[known]]]
    last = rows["last_event"][of] - 1
    verdict = np.full(of.size, UNDECIDED, np.int64)
    for code, said in _OF_CHAIN.items():
        verdict[(book.of_event[last] >= 0) & (codes[book.of_event[last]] == code)] = said
    policies = np.array([_policy(chain, rulesets.get(chain.namespace, [])) for chain in evaluations.chains], np.int64)
    by_policy = events["type"][last] == NFT_TRACETYPE_POLICY
    verdict[by_policy] = policies[rows["chain"][of[by_policy]]]
    rows["verdict"][of] = verdict


def _policy(chain: Chain, rulesets: list[Ruleset]) -> int:
    """The policy of a chain, where all snapshots that show it agree."""
    key = (chain.family, chain.table, chain.name)
    said = {ruleset.legacy_policies[key] for ruleset in rulesets if key in ruleset.legacy_policies}
    return {"accept": NF_ACCEPT, "drop": NF_DROP}.get(said.pop(), UNDECIDED) if len(said) == 1 else UNDECIDED
