"""Paths -> routes: what many paths share. A million paths are a handful of routes."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.hashing import mix, spread
from ..netfilter.rules import Rule
from ..outcomes.kinds import Outcome
from ..result.correlation import Correlation
from ..sightings import EVALUATION, FRAME, of_kind, told


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The same hops, chains, rules, kinds of rewrite and outcome."""

    key: int
    """The same for equal routes, also in other parts of a correlation."""
    example: int
    """Index of the first path that took it, from 0."""
    paths: int
    """Number of paths that took it."""
    urgency: int
    """What became of its packets: the less, the worse."""
    untranslated: bool
    """No address was rewritten."""


def find_routes(result: Correlation, chosen: npt.NDArray[np.bool_]) -> list[Route]:
    """The routes of the chosen paths (per path: bool): what did not arrive first, then what was translated, each in
    order of time.
    """
    key = route_keys(result)
    wanted = np.flatnonzero(chosen)
    _, first, count = np.unique(key[wanted], return_index=True, return_counts=True)
    example = wanted[first]
    order = {Outcome.DROPPED: 0, Outcome.LOST: 1, Outcome.UNKNOWN: 2, Outcome.DELIVERED: 3}
    urgency = np.array([order[o] for o in Outcome])[result.outcomes.outcome[example]]
    untranslated = np.diff(result.first_rewrite)[example] == 0
    ranked = np.lexsort((example, untranslated, urgency))
    return [
        Route(
            key=int(key[example[i]]), example=int(example[i]), paths=int(count[i]), urgency=int(urgency[i]),
            untranslated=bool(untranslated[i]),
        )
        for i in ranked
    ]  # fmt: skip


def route_keys(result: Correlation) -> npt.NDArray[np.uint64]:
    """One number per path, equal for paths of the same route."""
    rules = _rule_keys(result.book.rules)
    behind = told(result.sightings)
    signatures = np.zeros(result.sightings.size, np.uint64)
    signatures[behind] = result.said["verdict"]
    evaluations = signatures[of_kind(result.sightings, EVALUATION)]
    _evaluation_signatures(result.evaluations.rows, result.book.of_event, rules, evaluations)
    key = np.zeros(result.packets.count, np.uint64)
    _hop_keys(result.hops, result.visible, result.sightings, signatures, key)
    _rewrite_keys(result.rewrites, rules, key)
    outcome = (result.outcomes.outcome.astype(np.uint64) << np.uint64(8)) | result.outcomes.reason
    return key ^ spread(outcome)


def _rule_keys(rules: list[Rule]) -> npt.NDArray[np.uint64]:
    """One number per rule by what it says, and a last one for none, which index -1 finds."""
    digests = [blake2b(repr(rule).encode(), digest_size=8).digest() for rule in rules]
    return np.append(np.frombuffer(b"".join(digests), np.uint64), np.uint64(0))


@njit(cache=True)
def _evaluation_signatures(rows, rule_of_event, rules, out):
    for i in range(rows.size):
        state = np.uint64(rows[i].verdict) | (np.uint64(rows[i].policy) << np.uint64(8))
        for e in range(rows[i].first_event, rows[i].last_event):
            state = mix(state, rules[rule_of_event[e]])
        out[i] = state


@njit(cache=True)
def _hop_keys(hops, visible, sightings, signatures, key):
    for i in range(hops.size):
        if not visible[i]:
            continue
        row = sightings[hops[i].sighting]
        packet = hops[i].packet
        state = mix(key[packet], (np.uint64(row.place) << np.uint64(16)) | np.uint64(row.direction))
        state = mix(state, np.uint64(row.protocol) | (np.uint64(row.ethertype) << np.uint64(8)))
        if row.kind != FRAME:
            state = mix(state, signatures[hops[i].sighting] | (np.uint64(row.kind - EVALUATION) << np.uint64(32)))
        key[packet] = state


@njit(cache=True)
def _rewrite_keys(rewrites, rules, key):
    for i in range(rewrites.size):
        row = rewrites[i]
        word = np.uint64(row.field) | (np.uint64(row.kind) << np.uint64(4)) | (np.uint64(row.undo) << np.uint64(8))
        key[row.packet] = mix(mix(key[row.packet], word), rules[row.rule])
