"""Flows on two sides of a translation, found from packet content alone: for captures without conntrack and trace.

A packet keeps its content hash through NAT, so two sessions that show the same contents are one flow under two address
pairs. One shared content of TCP (sequence, acknowledgment, IP id) is hardly chance; datagrams without an IP id may be
equal by nature. So every shared content is a vote, votes are compared with what could have been shared, and a session
that has two partners at the same place has none: then both are named as rivals.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import Runs
from ..decode.link_scope import row_stays_on_link
from ..protocols import FRAGMENT_OFFSET, TCP
from ..schema import NOTE_CUT, NOTE_ERROR, NOTE_NO_FLOW
from .repeated_sequences import are_repeated
from .tally import FALLS, RISES
from .views import UNDECIDED
from .votes import Voters, cast_votes

_LEAST_OF_TCP: Final = 0.05
"""Of the contents of the session that has fewer, so many must be votes."""
_LEAST: Final = 0.5
_LEAST_OF_WEAK: Final = 0.75
_FEWEST_FAINT: Final = 3
_UNREADABLE: Final = NOTE_ERROR | NOTE_NO_FLOW | NOTE_CUT


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentTies:
    """Which sessions are one flow, by their packets."""

    ties: npt.NDArray[np.int64]
    """(n, 2) session ends, as in ties_by_conntrack.py."""
    votes: npt.NDArray[np.int64]
    """Per tie: contents that both sessions show."""
    rivals: npt.NDArray[np.int64]
    """(n, 2) session ends that could be one flow, but one of them has another candidate that fits as well."""
    rival_votes: npt.NDArray[np.int64]
    """Per pair of rivals: contents that both sessions show."""


def content_ties(
    sightings: npt.NDArray[np.void],
    ends: npt.NDArray[np.int64],
    times_ns: npt.NDArray[np.int64],
    clock: npt.NDArray[np.int64],
    uninformed: npt.NDArray[np.bool_],
    repeated: npt.NDArray[np.int64],
    crowded: npt.NDArray[np.uint64],
    contents: Runs,
) -> ContentTies:
    """Find the translations that no conntrack message tells of.

    `sightings`: SIGHTING rows of the observations; `ends`: theirs (sessions.py); `times_ns`: on the reference clock;
    `clock`: per namespace, the same number where times can be compared; `uninformed`: per namespace, the capture holds
    no conntrack of it; `repeated`: see repeated_sequences.py; `crowded`: see Voters; `contents`: sightings with
    equal content, maybe with others behind the observations.
    """
    if not uninformed.any():
        return _nothing()
    votes_at_all = np.zeros(contents.rows.size, np.bool_)
    views = np.empty(sightings.size, np.int64)
    sessions = _Facts.room_for((int(ends.max(initial=-1)) >> 1) + 1)
    _look_at(sightings, ends, votes_at_all, views, sessions)
    runs = contents.only(votes_at_all).sorted_by(times_ns, views)
    if runs.rows.size == 0:
        return _nothing()
    voters = Voters(
        rows=runs.rows, start=runs.start, sightings=sightings, ends=ends, views=views, times_ns=times_ns,
        repeated=are_repeated(sightings, repeated), clock=clock, uninformed=uninformed, crowded=crowded,
    )  # fmt: skip
    numbers, counts, total = cast_votes(voters, sessions.protocol.size)
    if numbers.size == 0:
        return _nothing()
    order = np.argsort(numbers)
    pairs = _pairs(numbers[order], total.size)
    ballots, undecided = _count(pairs, counts.take(order, axis=0))
    found = _choose(ballots, total, sessions)
    return _with_undecided(found, pairs, undecided, total) if undecided.any() else found


def _nothing() -> ContentTies:
    nobody, nothing = np.empty((0, 2), np.int64), np.empty(0, np.int64)
    return ContentTies(ties=nobody, votes=nothing, rivals=nobody, rival_votes=nothing)


class _Facts(NamedTuple):
    """What is known of each session."""

    protocol: npt.NDArray[np.uint8]
    namespace: npt.NDArray[np.int64]

    @classmethod
    def room_for(cls, sessions: int) -> "_Facts":
        """For so many."""
        return cls(np.zeros(sessions, np.uint8), np.zeros(sessions, np.int64))


class _Ballots(NamedTuple):
    """The votes for each pair of sessions that has enough to be one flow."""

    keys: npt.NDArray[np.int64]
    """(n, 3) sessions and difference of orientation."""
    votes: npt.NDArray[np.int64]
    certain: npt.NDArray[np.bool_]
    """Some of the votes are more than weak."""
    one_way: npt.NDArray[np.bool_]
    """Where the TTL says which of the two places a packet came to first, it says the same of all, and of the answers
    the opposite."""


def _count(pairs: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> tuple[_Ballots, npt.NDArray[np.int64]]:
    """The ballots of the `pairs` that have enough votes, and per pair how many of its votes leave it undecided.
    `counts`: see Tally."""
    plain, weak, turned, faint, undecided = counts[:, : UNDECIDED + 1].T
    certain = (plain > 0) | (turned > 1)
    enough = certain | (weak > 0) | (faint >= _FEWEST_FAINT)
    one_way = (counts[:, FALLS] == 0) | (counts[:, RISES] == 0)
    votes = plain + weak + turned + faint
    ballots = _Ballots(pairs[enough], votes[enough], certain[enough], one_way[enough])
    return ballots, np.where(enough, undecided, undecided + faint)


def can_vote(sightings: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Per SIGHTING row: its content says something of its flow, and somebody may translate it."""
    found = np.empty(sightings.size, np.bool_)
    _mark_voters(sightings, found)
    return found


@njit(cache=True, nogil=True)
def _mark_voters(sightings, found):
    for i in range(sightings.size):
        found[i] = _may_vote(sightings[i])


@njit(cache=True, nogil=True, inline="always")
def _may_vote(row):
    readable = (row.notes & np.uint8(_UNREADABLE)) == 0 and (row.fragment & np.uint16(FRAGMENT_OFFSET)) == 0
    return readable and row.ip_version > 0 and not row_stays_on_link(row)


@njit(cache=True, nogil=True)
def _look_at(sightings, ends, found, views, sessions):
    """All that is asked of every row, in one pass: whether it can vote, its view, and what its session is."""
    for i in range(sightings.size):
        row, session = sightings[i], ends[i] >> 1
        found[i] = _may_vote(row)
        views[i] = (ends[i] << 32) | np.int64(row.place)
        sessions.protocol[session] = row.protocol
        sessions.namespace[session] = row.namespace


def _pairs(numbers: npt.NDArray[np.int64], sessions: int) -> npt.NDArray[np.int64]:
    """(n, 3) sessions and difference of orientation of numbered pairs."""
    both, flip = np.divmod(numbers, 2)
    first, second = np.divmod(both, sessions)
    return np.column_stack([first, second, flip])


def _choose(ballots: _Ballots, total: npt.NDArray[np.int64], sessions: _Facts) -> ContentTies:
    """Accept a pair that shares enough and whose sessions have no other partner in the same namespace nearly as
    good."""
    keys, votes = ballots.keys, ballots.votes
    first, second = keys[:, 0], keys[:, 1]
    protocol, namespace = sessions
    share = votes / np.maximum(np.minimum(total[first], total[second]), 1)
    tcp = (protocol[first] == TCP) & (protocol[second] == TCP)
    least = np.where(tcp, _LEAST_OF_TCP, np.where(ballots.certain, _LEAST, _LEAST_OF_WEAK))
    enough = (protocol[first] == protocol[second]) & (share >= least) & (tcp | ballots.certain | ballots.one_way)
    # TCP contents are hardly equal by chance; others must have no other partner in the same namespace nearly as good.
    most, next_most = _best(keys, namespace, votes, enough)
    clear = (votes >= most.max(axis=1)) & (2 * next_most.max(axis=1) <= votes)
    through = _through_one_point(keys, votes, enough, namespace)
    accepted = enough & ((tcp & ballots.certain) | clear | through)
    contested = enough & ~accepted & (2 * votes >= most.max(axis=1))
    pairs = np.column_stack([2 * first, 2 * second + keys[:, 2]])
    return ContentTies(
        ties=pairs[accepted], votes=votes[accepted], rivals=pairs[contested], rival_votes=votes[contested]
    )


def _with_undecided(
    found: ContentTies, pairs: npt.NDArray[np.int64], undecided: npt.NDArray[np.int64], total: npt.NDArray[np.int64]
) -> ContentTies:
    """Add the flows that share much, but whose packets have equals at the same place, as rivals. `undecided`: contents
    that each of the `pairs` shares so."""
    some = undecided > 0
    keys, votes = pairs[some], undecided[some]
    joined = np.zeros(total.size, np.bool_)
    joined[found.ties >> 1] = True
    enough = votes >= 0.5 * np.minimum(total[keys[:, 0]], total[keys[:, 1]])
    rivals = enough & ~joined[keys[:, 0]] & ~joined[keys[:, 1]]
    ends = np.column_stack([2 * keys[:, 0], 2 * keys[:, 1] + keys[:, 2]])[rivals]
    return ContentTies(
        ties=found.ties,
        votes=found.votes,
        rivals=np.concatenate([found.rivals, ends]),
        rival_votes=np.concatenate([found.rival_votes, votes[rivals]]),
    )


def _through_one_point(
    keys: npt.NDArray[np.int64],
    votes: npt.NDArray[np.int64],
    enough: npt.NDArray[np.bool_],
    namespace: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Per pair: one of its sessions turns back where the other was seen, so that namespace has two partners rightly."""
    local = enough & (namespace[keys[:, 0]] == namespace[keys[:, 1]])
    turning = np.unique(keys[local, :2])
    strong = votes >= 2
    return strong & (np.isin(keys[:, 0], turning) | np.isin(keys[:, 1], turning))


def _best(
    keys: npt.NDArray[np.int64],
    namespace: npt.NDArray[np.int64],
    votes: npt.NDArray[np.int64],
    enough: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Per pair, for each of its two sessions: most and second most votes of any pair of the same session with a partner
    in the same namespace."""
    mine = np.concatenate([keys[:, 0], keys[:, 1]])
    place = namespace[np.concatenate([keys[:, 1], keys[:, 0]])]
    counted = np.tile(np.where(enough, votes, 0), 2)
    order = np.lexsort((-counted, place, mine))
    start = np.ones(order.size, np.bool_)
    start[1:] = (mine[order][1:] != mine[order][:-1]) | (place[order][1:] != place[order][:-1])
    group = np.cumsum(start) - 1
    firsts = np.flatnonzero(start)
    best = counted[order][firsts]
    second = np.zeros_like(best)
    has_second = np.append(firsts[1:], order.size) - firsts > 1
    second[has_second] = counted[order][firsts[has_second] + 1]
    most = np.empty(order.size, np.int64)
    runner_up = np.empty(order.size, np.int64)
    most[order] = best[group]
    runner_up[order] = second[group]
    return most.reshape(2, -1).T, runner_up.reshape(2, -1).T
