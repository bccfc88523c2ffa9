"""Packets that something on the way made others of: handshakes that a proxy led, payloads that a helper changed."""

import numpy as np

from .kinds import Outcome, Outcomes, Reason, Verdicts
from .tables import Tables


def answered_by_a_proxy(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Packets of such a handshake were neither lost nor delivered to the other end, whatever acknowledges them. Where a
    rule dropped or took one, that says more."""
    if tables.shifts.answered.size == 0:
        return Verdicts.none()
    taken = np.zeros(tables.first.size, np.bool_)
    taken[tables.hops["packet"][np.isin(tables.hops["sighting"], tables.shifts.answered)]] = True
    shift = tables.shifts.of(tables.hops["sighting"])
    begin, end = tables.bounds
    through = (shift[begin] != shift[end]).any(axis=1)
    named = (so_far.outcome == Outcome.DROPPED) | (so_far.reason == Reason.HANDED_OVER)
    return Verdicts(paths=np.flatnonzero(taken & ~through & ~named), outcome=Outcome.UNKNOWN, reason=Reason.PROXIED)


def rewritten_by_a_helper(tables: Tables, so_far: Outcomes) -> Verdicts:
    """A segment that seems lost, where another with its IP id and its place in the stream goes on instead: it may be
    it, with another payload."""
    rewritten = tables.shifts.rewritten
    if rewritten.size == 0:
        return Verdicts.none()
    paths = np.flatnonzero((so_far.outcome == Outcome.LOST) & np.isin(tables.first, rewritten))
    return Verdicts(paths=paths, outcome=Outcome.UNKNOWN, reason=Reason.EQUAL_ELSEWHERE)
