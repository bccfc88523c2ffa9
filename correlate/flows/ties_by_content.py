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
from ..arrays.grouping import Runs, distinct
from ..decode.link_scope import row_stays_on_link
from ..protocols import FRAGMENT_OFFSET, TCP
from ..schema import NOTE_CUT, NOTE_ERROR, NOTE_NO_FLOW
from .repeated_sequences import are_repeated
from .views import FAINT, UNDECIDED
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
    votes_at_all[: sightings.size] = can_vote(sightings)
    views = ends * (int(sightings["place"].max(initial=0)) + 1) + sightings["place"]
    runs = contents.only(votes_at_all).sorted_by(times_ns, views)
    if runs.rows.size == 0:
        return _nothing()
    voters = Voters(
        rows=runs.rows, start=runs.start, sightings=sightings, ends=ends, views=views, times_ns=times_ns,
        repeated=are_repeated(sightings, repeated), clock=clock, uninformed=uninformed, crowded=crowded,
    )  # fmt: skip
    cast, total = cast_votes(voters, (int(ends.max()) >> 1) + 1)
    if cast.shape[0] == 0:
        return _nothing()
    numbers = (cast[:, 0] * total.size + cast[:, 1]) * 2 + cast[:, 2]
    decided = cast[:, 3] != UNDECIDED
    ballots, lacking = _count(numbers[decided], cast[decided, 3], cast[decided, 4], total.size)
    found = _choose(ballots, total, sightings, ends >> 1)
    undecided = np.concatenate([numbers[~decided], lacking])
    return _with_undecided(found, undecided, total) if undecided.size else found


def _nothing() -> ContentTies:
    nobody, nothing = np.empty((0, 2), np.int64), np.empty(0, np.int64)
    return ContentTies(ties=nobody, votes=nothing, rivals=nobody, rival_votes=nothing)


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


def _count(
    numbers: npt.NDArray[np.int64], worth: npt.NDArray[np.int64], falls: npt.NDArray[np.int64], sessions: int
) -> tuple[_Ballots, npt.NDArray[np.int64]]:
    """Of votes that are decided: `numbers` of their pairs, what each is `worth`, and how the TTL `falls` (votes.py).
    Behind the ballots the numbers of faint votes of pairs that have not enough."""
    number, of_pair = distinct(numbers)

    def count(values: npt.NDArray[np.int64], kinds: int) -> npt.NDArray[np.int64]:
        """How often each pair has each value below `kinds`: a row for each value."""
        return np.bincount(of_pair * kinds + values, minlength=number.size * kinds).reshape(-1, kinds).T

    plain, weak, turned, faint = count(worth, UNDECIDED)
    rising, _, falling = count(np.sign(falls) + 1, 3)
    certain = (plain > 0) | (turned > 1)
    enough = certain | (weak > 0) | (faint >= _FEWEST_FAINT)
    one_way = (falling == 0) | (rising == 0)
    votes = plain + weak + turned + faint
    ballots = _Ballots(_pairs(number[enough], sessions), votes[enough], certain[enough], one_way[enough])
    return ballots, numbers[(worth == FAINT) & ~enough[of_pair]]


def can_vote(sightings: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Per SIGHTING row: its content says something of its flow, and somebody may translate it."""
    found = np.empty(sightings.size, np.bool_)
    _mark_voters(sightings, found)
    return found


@njit(cache=True, nogil=True)
def _mark_voters(sightings, found):
    for i in range(sightings.size):
        row = sightings[i]
        readable = (row.notes & np.uint8(_UNREADABLE)) == 0 and (row.fragment & np.uint16(FRAGMENT_OFFSET)) == 0
        found[i] = readable and row.ip_version > 0 and not row_stays_on_link(row)


def _pairs(numbers: npt.NDArray[np.int64], sessions: int) -> npt.NDArray[np.int64]:
    """(n, 3) sessions and difference of orientation of numbered pairs."""
    both, flip = np.divmod(numbers, 2)
    first, second = np.divmod(both, sessions)
    return np.column_stack([first, second, flip])


def _choose(
    ballots: _Ballots,
    total: npt.NDArray[np.int64],
    sightings: npt.NDArray[np.void],
    session: npt.NDArray[np.int64],
) -> ContentTies:
    """Accept a pair that shares enough and whose sessions have no other partner in the same namespace nearly as
    good."""
    keys, votes = ballots.keys, ballots.votes
    first, second = keys[:, 0], keys[:, 1]
    protocol = np.zeros(total.size, np.uint8)
    namespace = np.zeros(total.size, np.int64)
    protocol[session] = sightings["protocol"]
    namespace[session] = sightings["namespace"]
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


def _with_undecided(found: ContentTies, numbers: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> ContentTies:
    """Add the flows that share much, but whose packets have equals at the same place, as rivals."""
    number, votes = np.unique(numbers, return_counts=True)
    keys = _pairs(number, total.size)
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
