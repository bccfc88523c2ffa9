"""What the contents say that two sessions show: each is a vote for their being one flow, or is none.

A content that several ends of sessions show is one packet under several flows, or several packets that are equal. Each
end is asked by itself at each place that saw it: that is a view. What two views are to each other is in views.py.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.growing import doubled
from ..protocols import FRAGMENT_OFFSET, MORE_FRAGMENTS
from .shown_rows import SHOWN, gather
from .tally import count_votes, empty_tally
from .views import BOTH, MOST_VIEWS, judge_pair, judge_single, liken

_FEW: Final = 12
"""Rows of one content that are compared each with each without more ado."""

_MANY: Final = 512
"""Votes that are worth being counted together."""


class Voters(NamedTuple):
    """The sightings that vote, and what is known of them."""

    rows: npt.NDArray[np.int32]
    """Theirs, by content, view and time."""
    start: npt.NDArray[np.int64]
    """Where in `rows` those of each content begin, and one more."""
    sightings: npt.NDArray[np.void]
    """SIGHTING rows, as all that follows per sighting."""
    ends: npt.NDArray[np.int64]
    """session * 2 + orientation."""
    views: npt.NDArray[np.int64]
    """End and place in one number, in the order of the ends."""
    times_ns: npt.NDArray[np.int64]
    """On the reference clock."""
    repeated: npt.NDArray[np.bool_]
    """It begins a connection, or refuses one, with a sequence number of many flows there."""
    clock: npt.NDArray[np.int64]
    """Per namespace, the same number where times can be compared."""
    uninformed: npt.NDArray[np.bool_]
    """Per namespace, the capture holds no conntrack of it."""
    crowded: npt.NDArray[np.uint64]
    """Contents of many views, of which not all may be among these; ascending."""


@njit(cache=True)
def cast_votes(voters, sessions):
    """(numbers of the pairs of sessions that have votes; what these are, as in Tally.counts; contents of each of the
    `sessions`, without fragments that nobody else shows). A vote, while it is one: two sessions, the smaller first,
    whether their orientations differ, what it is worth (views.py), and whether the TTL falls (1) or rises (-1) from the
    first to the second where their packets go the way of the first's orientation 0."""
    votes = np.empty((1024, 5), np.int64)
    count = 0
    tally, pairs = empty_tally(), 0
    total = np.zeros(sessions, np.int64)
    shown = np.empty(_most_rows(voters.start), SHOWN)
    at = np.empty(MOST_VIEWS + 1, np.int64)
    like = np.empty((MOST_VIEWS, MOST_VIEWS), np.int64)
    chosen = np.arange(MOST_VIEWS)
    for g in range(voters.start.size - 1):
        rows = voters.rows[voters.start[g] : voters.start[g + 1]]
        views = _find_views(rows, voters.ends, voters.views, at, total)
        if views == 1 and _is_fragment(voters.sightings[rows[0]]):
            # Cut into fragments somewhere, a packet looks like no other: that says nothing of its flow.
            total[voters.ends[rows[0]] >> 1] -= 1
        if views < 2 or not _may_be_translated(rows, voters.sightings, voters.uninformed):
            continue
        gather(voters, rows, shown)
        few = views <= MOST_VIEWS and not _is_crowded(voters.crowded, voters.sightings[rows[0]].content)
        if few and views == rows.size and _everywhere_once(shown, views):
            votes, count = _vote_of_each(shown, views, votes, count)
        elif few:
            votes, count = _vote(shown, at, chosen[:views], like, votes, count)
        else:
            votes, count = _vote_by_ends(shown, rows.size, views, like, votes, count)
        if count >= _MANY:
            tally, pairs = count_votes(votes, count, sessions, tally, pairs)
            count = 0
    tally, pairs = count_votes(votes, count, sessions, tally, pairs)
    return tally.numbers[:pairs], tally.counts[:pairs], total


@njit(cache=True, forceinline=True)
def _everywhere_once(shown, rows):
    """Whether no place has two of the first so many rows, which is true of most packets, and they are few."""
    if rows > _FEW:
        return False
    for i in range(rows):
        for j in range(i):
            if shown[i].place == shown[j].place:
                return False
    return True


@njit(cache=True, forceinline=True)
def _vote_of_each(shown, rows, votes, count):
    """As _vote, where each row is a view and no place has two."""
    while count + rows * rows > votes.shape[0]:
        votes = doubled(votes)
    before = count
    for i in range(rows):
        for j in range(i):
            worth = judge_single(shown[j], shown[i])
            if worth >= 0:
                count = _add(shown[j], shown[i], worth, votes, before, count)
    return votes, count


@njit(cache=True)
def _is_crowded(crowded, content):
    at = np.searchsorted(crowded, content) if crowded.size else 0
    return at < crowded.size and crowded[at] == content


@njit(cache=True)
def _is_fragment(row):
    return row.fragment & np.uint16(FRAGMENT_OFFSET | MORE_FRAGMENTS) != 0


@njit(cache=True)
def _most_rows(start):
    most = np.int64(0)
    for g in range(start.size - 1):
        most = max(most, start[g + 1] - start[g])
    return most


@njit(cache=True, forceinline=True)
def _find_views(rows, ends, views, at, total):
    """How many views show a content, which are these rows; fills in `at` which of the rows the first of each is, and
    how many rows there are, as far as there is room, and adds the content to the `total` of their sessions."""
    found = 0
    for i in range(rows.size):
        if i == 0 or views[rows[i]] != views[rows[i - 1]]:
            if i == 0 or ends[rows[i]] != ends[rows[i - 1]]:
                total[ends[rows[i]] >> 1] += 1
            if found < at.size:
                at[found] = i
            found += 1
    if found < at.size:
        at[found] = rows.size
    return found


@njit(cache=True, forceinline=True)
def _may_be_translated(rows, sightings, uninformed):
    """Whether the rows are of several flows, and some of them where nothing tells of translations."""
    flow = sightings[rows[0]].flow
    several = False
    some = False
    for i in rows:
        row = sightings[i]
        several |= row.flow != flow
        some |= uninformed[row.namespace]
        if several and some:
            break
    return several and some


@njit(cache=True)
def _vote(shown, at, chosen, like, votes, count):
    """Append the votes of one content; returns them, and how many there are now. `at`: where in `shown` each view
    begins, and one more; `chosen`: those that are compared."""
    while count + chosen.size * chosen.size > votes.shape[0]:
        votes = doubled(votes)
    liken(shown, at, chosen, like)
    before = count
    for i in range(chosen.size):
        for j in range(i):
            worth = judge_pair(shown, at, chosen, like, j, i)
            if worth >= 0:
                count = _add(shown[at[chosen[j]]], shown[at[chosen[i]]], worth, votes, before, count)
    return votes, count


@njit(cache=True)
def _add(one, other, worth, votes, before, count):
    """One vote of a content for two ends: the best of their views."""
    first, second = min(one.end >> 1, other.end >> 1), max(one.end >> 1, other.end >> 1)
    flip = (one.end ^ other.end) & 1
    falls = np.int64(one.ttl > other.ttl) - np.int64(one.ttl < other.ttl)
    if one.end > other.end:
        falls = -falls
    for k in range(before, count):
        if votes[k, 0] == first and votes[k, 1] == second and votes[k, 2] == flip:
            votes[k, 3] = min(votes[k, 3], worth)
            return count
    votes[count, 0] = first
    votes[count, 1] = second
    votes[count, 2] = flip
    votes[count, 3] = worth
    votes[count, 4] = -falls if min(one.end, other.end) & 1 else falls
    return count + 1


@njit(cache=True)
def _vote_by_ends(shown, rows, views, like, votes, count):
    """The same for a content of many views, of which only those are compared that have an address and port in
    common."""
    at = np.empty(views + 1, np.int64)
    found = 0
    for i in range(rows):
        if i == 0 or shown[i].end_and_place != shown[i - 1].end_and_place:
            at[found] = i
            found += 1
    at[found] = rows
    for side in range(BOTH):
        keys = np.empty(views, np.uint64)
        for v in range(views):
            keys[v] = shown[at[v]].destination if side else shown[at[v]].source
        order = np.argsort(keys, kind="mergesort")
        start = 0
        while start < views:
            stop = start + 1
            while stop < views and keys[order[stop]] == keys[order[start]]:
                stop += 1
            if 2 <= stop - start <= MOST_VIEWS:
                votes, count = _vote(shown, at, order[start:stop], like, votes, count)
            start = stop
    return votes, count
