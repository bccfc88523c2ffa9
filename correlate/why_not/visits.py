"""Which evaluations came to a rule, matched it, or left its chain before it: by what the trace says, without looking at
any condition."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ..netfilter.numbers import (
    NF_ACCEPT,
    NF_DROP,
    NFT_GOTO,
    NFT_JUMP,
    NFT_RETURN,
    NFT_TRACETYPE_RULE,
    NO_VERDICT,
)
from ..netfilter.rulebook import statement_of
from .looks import Looks, Rows, Scene
from .targets import Target, Then, moments_of

_ENDS: Final = frozenset({NF_ACCEPT, NF_DROP, NFT_RETURN, NFT_GOTO})


class Way(IntEnum):
    """How far a packet came in a chain."""

    PASSED = 0
    """The rule was looked at, and did not match."""
    MATCHED = 1
    LEFT_BEFORE = 2
    """A rule before it ended the chain for the packet."""
    UNCLEAR = 3
    """The trace of the chain is not whole, or its rules are not known as they were."""
    NO_RULE = 4
    """There was no such rule then."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Visits:
    """The evaluations that came into the chain of a rule; arrays of as many."""

    target: Target
    looks: Looks
    way: npt.NDArray[np.int8]
    then: list[Then]
    """The chain at different moments;"""
    when: Rows
    """which of them."""
    by: Rows
    """Where it left before: the event of the chain that was the last there; else -1."""
    last: Rows
    """The last event of the evaluation."""

    def of(self, which: Rows) -> "Visits":
        """Some of them."""
        return Visits(
            target=self.target, looks=self.looks.of(which), way=self.way[which], then=self.then,
            when=self.when[which], by=self.by[which],
            last=self.last[which],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _InChain:
    """Events of one chain."""

    of: Rows
    """Index of the evaluation, ascending."""
    event: Rows
    position: Rows
    """Number of the rule, 0 where there is none or it is not known."""


def evaluations_of_table(scene: Scene, family: str, table: str, *, legacy: bool) -> Rows:
    """The evaluations of all base chains of a table that are in paths."""
    chains = scene.part.evaluations.chains
    here = [
        chain.namespace == scene.namespace and (chain.family, chain.table, chain.legacy) == (family, table, legacy)
        for chain in chains
    ]
    rows = np.flatnonzero(np.array(here or [False])[scene.part.evaluations.rows["chain"]])
    found: Rows = rows[scene.hop_of_evaluation[rows] >= 0]
    return found


def find_visits(scene: Scene, target: Target, rows: Rows) -> Visits:
    """Of these evaluations, all of the target's table, those that came into its chain."""
    table = scene.part.evaluations
    events = table.events
    of, event = _events_of(scene, rows)
    hashes = np.array([key for key, name in table.names.items() if name == target.chain], np.uint64)
    inside = np.isin(events["chain"][event], hashes)
    jumps = np.isin(events["jump"][event], hashes) & np.isin(events["verdict"][event], (NFT_JUMP, NFT_GOTO))
    base = np.array([chain.name == target.chain for chain in table.chains] or [False])
    came = base[table.rows["chain"][rows]]
    came[of[inside | jumps]] = True
    kept = np.flatnonzero(came)
    number = np.full(rows.size, -1, np.int64)
    number[kept] = np.arange(kept.size)
    inside &= came[of]
    rows = rows[kept]
    thens, when = moments_of(target, events["time_ns"][table.rows["first_event"][rows]])
    own = number[of[inside]]
    chain = _InChain(own, event[inside], _positions(scene, event[inside], thens, when[own], legacy=target.legacy))
    return _judge(scene, target, rows, chain, thens, when)


def _events_of(scene: Scene, rows: Rows) -> tuple[Rows, Rows]:
    """(index of the evaluation, event) of all events of these evaluations."""
    table = scene.part.evaluations.rows
    first, count = table["first_event"][rows], table["last_event"][rows] - table["first_event"][rows]
    of = np.repeat(np.arange(rows.size), count)
    begin = np.cumsum(count) - count
    return of, np.repeat(first - begin, count) + np.arange(of.size)


def _positions(scene: Scene, event: Rows, thens: list[Then], when: Rows, *, legacy: bool) -> Rows:
    """Number of the rule of each event, in the chain as it was."""
    events = scene.part.evaluations.events
    if legacy:
        rule = events["type"][event] == NFT_TRACETYPE_RULE
        return np.where(rule, events["rule_number"][event].astype(np.int64), 0)
    found = np.zeros(event.size, np.int64)
    for number, then in enumerate(thens):
        here = np.flatnonzero(when == number)
        handles, which = np.unique(events["handle"][event[here]], return_inverse=True)
        known = np.array([then.positions.get(handle, 0) for handle in handles.tolist()] or [0], np.int64)
        found[here] = known[which.reshape(-1)] if here.size else 0
    return found


def _judge(scene: Scene, target: Target, rows: Rows, chain: _InChain, thens: list[Then], when: Rows) -> Visits:
    table, events = scene.part.evaluations.rows, scene.part.evaluations.events
    wanted = np.array([then.rule.number if then.rule else 0 for then in thens] or [0], np.int64)[when]
    size = rows.size
    matched = np.zeros(size, np.bool_)
    matched[chain.of[(chain.position > 0) & (chain.position == wanted[chain.of])]] = True
    last_in = np.full(size, -1, np.int64)
    last_position = np.zeros(size, np.int64)
    last_in[chain.of] = chain.event  # in order, so the last stays
    last_position[chain.of] = chain.position
    before, after = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    earlier = (chain.position > 0) & (chain.position < wanted[chain.of])
    before[chain.of[earlier]] = chain.event[earlier]
    later = np.flatnonzero(~earlier)[::-1]
    after[chain.of[later]] = chain.event[later]
    last = table["last_event"][rows] - 1
    _seen_outside(before, table["first_event"][rows], after, last)
    rule_at_end = (events["type"][last_in] == NFT_TRACETYPE_RULE) & (
        (events["handle"][last_in] > 0) | (events["legacy"][last_in] > 0)
    )
    verdict = _verdicts(scene, last_in)
    ended = np.isin(verdict, list(_ENDS)) | (verdict > NF_ACCEPT)
    # What jumped and did not come back was decided in the chain below.
    below = np.isin(verdict, (NFT_JUMP, NO_VERDICT)) & (last != last_in) & (_verdicts(scene, last) >= 0)
    stopped = rule_at_end & (last_position > 0) & (last_position < wanted)
    way = np.full(size, Way.PASSED, np.int8)
    way[stopped & (ended | below)] = Way.LEFT_BEFORE
    way[stopped & ~(ended | below)] = Way.UNCLEAR
    way[(last_in < 0) | (rule_at_end & (last_position == 0))] = Way.UNCLEAR
    way[matched] = Way.MATCHED
    way[wanted == 0] = Way.NO_RULE
    return Visits(
        target=target, looks=Looks(scene, rows, before, after), way=way, then=thens, when=when,
        by=np.where(way == Way.LEFT_BEFORE, last_in, -1), last=last,
    )  # fmt: skip


def _seen_outside(before: Rows, first: Rows, after: Rows, last: Rows) -> None:
    """Where the chain itself shows no event before the rule, one of a chain that jumped to it may (in place)."""
    lacks = (before < 0) & (after > first)
    before[lacks] = after[lacks] - 1
    lacks = (after < 0) & (before >= 0) & (before < last)
    after[lacks] = before[lacks] + 1


def _verdicts(scene: Scene, event: Rows) -> Rows:
    """The verdict of each event; of iptables-legacy, which names rules alone, by their words."""
    events, book = scene.part.evaluations.events, scene.part.book
    verdict = events["verdict"][event].astype(np.int64)
    words = np.array([_by_words(rule.text) for rule in book.rules] or [NO_VERDICT], np.int64)
    of = book.of_event[event]
    silent = (events["legacy"][event] > 0) & (verdict == NO_VERDICT) & (of >= 0)
    verdict[silent] = words[of[silent]]
    policy = events["policy"][event]
    verdict[(verdict == NO_VERDICT) & (policy <= NF_ACCEPT)] = 1
    return verdict


def _by_words(text: str) -> int:
    """What a rule of iptables-legacy lets become of a packet, where its target says; what jumps does not."""
    if statement_of(text):
        return NF_ACCEPT
    return NFT_RETURN if text.endswith(" -j RETURN") else NFT_GOTO if " -g " in text else NO_VERDICT
