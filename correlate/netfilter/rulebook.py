"""Trace events -> the rules they name, in words, as it read at the time."""

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
from .rule_history import Moment, RuleHistory
from .rules import Rule


class RewriteKind(IntEnum):
    """What kind of translation it is; the names are those of the JSON contract in lower case."""

    UNKNOWN = 0
    SNAT = 1
    MASQUERADE = 2
    DNAT = 3
    REDIRECT = 4


_COLUMNS: Final = ("namespace", "family", "table", "chain", "handle", "rule_number", "legacy")
"""Of the events: what they say of a rule."""
QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
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


def build_rule_book(evaluations: Evaluations, histories: dict[int, RuleHistory]) -> RuleBook:
    """Name the rule of every event, with the words that it had when it happened.

    `histories`: namespace index to how its rules changed. A rule whose words are not known keeps its handle.
    """
    events = evaluations.events
    rows = np.flatnonzero((events["type"] == NFT_TRACETYPE_RULE) & ((events["handle"] > 0) | (events["legacy"] > 0)))
    moments = _moments(events, rows, histories)
    key = np.empty(rows.size, np.uint64)
    _hash_rules(events, rows, moments, key)
    which, example = group_ids(key)
    # Few, so the rest is done in the order of their columns.
    keys = np.zeros(example.size, [*((column, "u8") for column in _COLUMNS), *((n, "i8") for n in Moment._fields)])
    for column in _COLUMNS:
        keys[column] = events[column][rows[example]]
    for number, name in enumerate(Moment._fields):
        keys[name] = moments[example, number]
    unique, inverse = np.unique(keys, return_inverse=True)
    rules: dict[Rule, int] = {}
    found = [_find_rule(row, evaluations.names, histories) for row in unique.tolist()]
    of_unique = np.array([rules.setdefault(rule, len(rules)) for rule in found], np.int32)
    of_event = np.full(events.size, -1, np.int32)
    of_event[rows] = of_unique[inverse.reshape(-1)[which]]
    kinds = np.array([int(kind_of(rule.text)) for rule in rules] or [0], np.uint8)
    return RuleBook(rules=list(rules), of_event=of_event, kinds=kinds)


@njit(cache=True, nogil=True)
def _hash_rules(events, rows, moments, key):
    for k in range(rows.size):
        event = events[rows[k]]
        state = mix(event.table, (np.uint64(event.namespace) << np.uint64(8)) | np.uint64(event.family))
        state = mix(mix(state, event.chain), event.handle)
        when = (np.uint64(moments[k, 0]) << np.uint64(24)) | (np.uint64(moments[k, 1]) << np.uint64(2))
        state = mix(state, when | np.uint64(moments[k, 2] + 1))
        key[k] = mix(state, (np.uint64(event.rule_number) << np.uint64(1)) | np.uint64(event.legacy > 0))


def _moments(
    events: npt.NDArray[np.void], rows: npt.NDArray[np.int64], histories: dict[int, RuleHistory]
) -> npt.NDArray[np.int64]:
    """Per row of events the columns of Moment; all 0 where there is one moment only."""
    moments = np.zeros((rows.size, len(Moment._fields)), np.int64)
    for namespace, history in histories.items():
        if history.taken_ns.size + history.commits_ns.size > 1:
            here = np.flatnonzero(events["namespace"][rows] == namespace)
            moments[here] = history.moments(events["time_ns"][rows[here]])
    return moments


def _find_rule(row: tuple[int, ...], names: dict[int, str], histories: dict[int, RuleHistory]) -> Rule:
    namespace, family_number, table_hash, chain_hash, handle, number, legacy, *when = row
    family = FAMILIES.get(family_number, str(family_number))
    table, chain = names.get(table_hash, "?"), names.get(chain_hash, "?")
    history = histories.get(namespace)
    if history is None:
        return Rule(family=family, table=table, chain=chain, handle=handle, number=number, text="")
    if legacy:
        return history.legacy_rule((family, table, chain, number), Moment(*when))
    return history.rule((family, table, chain, handle), Moment(*when))


def statement_of(text: str) -> str:
    """What a rule does to a packet, from its text: `drop`, `reject`, `accept`, `masquerade`, `dnat`, … in nft's words,
    "" for anything else. Comments and names of chains to jump to say nothing."""
    plain = QUOTED.sub("", text)
    found = _IPTABLES_TARGET.search(plain) if text.startswith("-A") else _NFT_STATEMENT.search(_JUMP.sub("", plain))
    return found[1].lower() if found else ""


def kind_of(text: str) -> RewriteKind:
    """The translation a rule makes, from its text."""
    return _KINDS.get(statement_of(text), RewriteKind.UNKNOWN)
