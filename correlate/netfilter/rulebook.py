"""Trace events -> the rules they name, in words, from the ruleset snapshot that held at the time."""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import group_ids
from ..arrays.hashing import mix
from .evaluations import Evaluations
from .numbers import FAMILIES, NFT_TRACETYPE_RULE
from .rules import Rule, Ruleset


class RewriteKind(IntEnum):
    """What kind of translation it is; the names are those of the JSON contract in lower case."""

    UNKNOWN = 0
    SNAT = 1
    MASQUERADE = 2
    DNAT = 3
    REDIRECT = 4


_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
"""A comment, in which iptables-save writes quotes as `\\"`."""
_IPTABLES_TARGET: Final = re.compile(
    r" -j (MASQUERADE|REDIRECT|DNAT|NETMAP|SNAT|REJECT|DROP|ACCEPT|NFQUEUE|QUEUE|SYNPROXY|TPROXY)(?!\S)"
)
_NFT_STATEMENT: Final = re.compile(
    r"(?:^|\s)(masquerade|redirect|dnat|snat|reject|drop|accept|queue|synproxy|tproxy)(?![\w-])"
)
_JUMP: Final = re.compile(r"\b(?:jump|goto)\s+\S+")
_KINDS: Final = {
    "masquerade": RewriteKind.MASQUERADE,
    "redirect": RewriteKind.REDIRECT,
    "dnat": RewriteKind.DNAT,
    "netmap": RewriteKind.DNAT,
    "snat": RewriteKind.SNAT,
}


@dataclass(slots=True, kw_only=True)
class RuleBook:
    """The rule of every trace event, in words."""

    rules: list[Rule]
    of_event: npt.NDArray[np.int32]
    """Index into `rules` per event of the Evaluations, -1 for an event without a rule."""
    kinds: npt.NDArray[np.uint8]
    """RewriteKind of each rule: the translation it makes, UNKNOWN for none."""


def build_rule_book(
    evaluations: Evaluations, rulesets: dict[int, list[Ruleset]], changes: npt.NDArray[np.int64]
) -> RuleBook:
    """Name the rule of every event.

    `rulesets`: per namespace its snapshots, earliest first; `changes`: rows of (time_ns, namespace), one per change of
    a ruleset. Handles are reused, so each event is looked up in the snapshot that held when it happened, then in the
    others. A rule in none keeps its handle and has no text.
    """
    events = evaluations.events
    rows = np.flatnonzero((events["type"] == NFT_TRACETYPE_RULE) & ((events["handle"] > 0) | (events["legacy"] > 0)))
    version = _versions(events, rows, rulesets, changes)
    key = np.empty(rows.size, np.uint64)
    _hash_rules(events, rows, version, key)
    which, example = group_ids(key)
    # Few, so the rest is done in the order of their columns.
    keys = np.zeros(
        example.size, [(n, "u8") for n in ("namespace", "family", "table", "chain", "handle", "number", "version")]
    )
    for column in ("namespace", "family", "table", "chain", "handle"):
        keys[column] = events[column][rows[example]]
    keys["number"] = events["rule_number"][rows[example]]
    keys["version"] = version[example]
    unique, inverse = np.unique(keys, return_inverse=True)
    rules = [_find_rule(row, evaluations.names, rulesets) for row in unique.tolist()]
    of_event = np.full(events.size, -1, np.int32)
    of_event[rows] = inverse.reshape(-1)[which]
    kinds = np.array([int(kind_of(rule.text)) for rule in rules] or [0], np.uint8)
    return RuleBook(rules=rules, of_event=of_event, kinds=kinds)


@njit(cache=True, nogil=True)
def _hash_rules(events, rows, version, key):
    for k in range(rows.size):
        event = events[rows[k]]
        state = mix(event.table, (np.uint64(event.namespace) << np.uint64(8)) | np.uint64(event.family))
        state = mix(mix(state, event.chain), event.handle)
        key[k] = mix(state, (np.uint64(event.rule_number) << np.uint64(32)) | np.uint64(version[k]))


def _versions(
    events: npt.NDArray[np.void],
    rows: npt.NDArray[np.int64],
    rulesets: dict[int, list[Ruleset]],
    changes: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Per row of events: index of the snapshot that held: the last one before it, or the next where the rules changed
    since."""
    version = np.zeros(rows.size, np.int64)
    if all(len(snapshots) < 2 for snapshots in rulesets.values()):
        return version
    of, when = events["namespace"][rows], events["time_ns"][rows]
    for namespace, snapshots in rulesets.items():
        if len(snapshots) < 2:
            continue
        here = np.flatnonzero(of == namespace)
        taken = np.array([s.time_ns for s in snapshots])
        changed = np.sort(changes[changes[:, 1] == namespace, 0])
        times = when[here]
        last = np.maximum(np.searchsorted(taken, times, side="right") - 1, 0)
        since = np.searchsorted(changed, times, side="right") - np.searchsorted(changed, taken[last], side="right")
        version[here] = np.minimum(last + (since > 0), len(snapshots) - 1)
    return version


def _find_rule(row: tuple[int, ...], names: dict[int, str], rulesets: dict[int, list[Ruleset]]) -> Rule:
    namespace, family_number, table_hash, chain_hash, handle, number, version = row
    family = FAMILIES.get(family_number, str(family_number))
    table, chain = names.get(table_hash, "?"), names.get(chain_hash, "?")
    snapshots = rulesets.get(namespace, [])
    for index in sorted(range(len(snapshots)), key=lambda i: (abs(i - version), i < version)):
        ruleset = snapshots[index]
        if number and (family, table, chain, number) in ruleset.legacy:
            return ruleset.legacy[(family, table, chain, number)]
        if not number and (family, table, chain, handle) in ruleset.rules:
            return ruleset.rules[(family, table, chain, handle)]
    return Rule(family=family, table=table, chain=chain, handle=handle, number=number, text="")


def statement_of(text: str) -> str:
    """What a rule does to a packet, from its text: `drop`, `reject`, `accept`, `masquerade`, `dnat`, … in nft's words,
    "" for anything else. Comments and names of chains to jump to say nothing."""
    plain = _QUOTED.sub("", text)
    found = _IPTABLES_TARGET.search(plain) if text.startswith("-A") else _NFT_STATEMENT.search(_JUMP.sub("", plain))
    return found[1].lower() if found else ""


def kind_of(text: str) -> RewriteKind:
    """The translation a rule makes, from its text."""
    return _KINDS.get(statement_of(text), RewriteKind.UNKNOWN)
