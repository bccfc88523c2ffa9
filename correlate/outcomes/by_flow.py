"""Outcomes where nothing is known but the packets: how far a packet came, compared with the others of its flow.

Without snapshots nobody says where a flow ends. The points that its packets reached tell: one that stopped before the
last of them was lost in between, if the capture there was running and complete.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import distinct, group_ids, hashed
from ..flows.connections import Connections, rival_pairs
from ..hops.order import path_bounds
from ..nodes.topology import Topology
from .coverage import Coverage
from .kinds import OUTCOMES, Outcome, Outcomes, Reason

_SOME: Final = 0.15
"""Part of a direction's packets that end where it is bound for."""
_NEARLY_ALL: Final = 0.8
"""Part of the packets to one destination that must go the same way for the others to be lost on it."""


_PLACES: Final = 1 << 24
"""More than there are capture points and chains, to put two of them into one number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passages:
    """Where packets went on to, summed up over all connections."""

    joined: npt.NDArray[np.int64]
    """Pairs of places in one number, ascending: a packet that passed the first was last seen at the second."""
    passing: npt.NDArray[np.uint64]
    """Destination and place in one, ascending."""
    ended: npt.NDArray[np.int64]
    """Where nearly all packets to that destination that passed that place were last seen; -1 where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageCounts:
    """The same, still to be added up."""

    joined: npt.NDArray[np.int64]
    passing: npt.NDArray[np.uint64]
    """By (passing, end), ascending."""
    end: npt.NDArray[np.int64]
    packets: npt.NDArray[np.int64]

    @classmethod
    def of(cls, hops: npt.NDArray[np.void], sightings: npt.NDArray[np.void]) -> "PassageCounts":
        """Counted from the paths of some or all connections."""
        start, last = path_bounds(hops)
        joined, passing, end = (
            np.empty(hops.size, np.int64),
            np.empty(hops.size, np.uint64),
            np.empty(hops.size, np.int64),
        )
        _describe_passages(hops, sightings, start, last, joined, passing, end)
        return cls._count(distinct(joined)[0], passing, end, np.ones(end.size, np.int64))

    @classmethod
    def _count(
        cls,
        joined: npt.NDArray[np.int64],
        passing: npt.NDArray[np.uint64],
        end: npt.NDArray[np.int64],
        packets: npt.NDArray[np.int64],
    ) -> "PassageCounts":
        """Rows of equal `passing` and `end` added up."""
        which, first = group_ids(hashed(passing, end))
        packets = np.bincount(which, packets, first.size).astype(np.int64)
        passing, end = passing[first], end[first]
        order = np.lexsort((end, passing))
        return cls(joined=joined, passing=passing[order], end=end[order], packets=packets[order])

    def with_(self, other: "PassageCounts") -> "PassageCounts":
        """Both together."""
        return self._count(
            np.union1d(self.joined, other.joined),
            np.concatenate([self.passing, other.passing]),
            np.concatenate([self.end, other.end]),
            np.concatenate([self.packets, other.packets]),
        )

    def summed(self) -> Passages:
        """What follows from all of them."""
        passing, which = np.unique(self.passing, return_inverse=True)
        which = which.reshape(-1)
        passed = np.bincount(which, weights=self.packets, minlength=passing.size).astype(np.int64)
        ended = np.full(passing.size, -1)
        most = self.packets >= _NEARLY_ALL * passed[which]
        ended[which[most]] = self.end[most]
        return Passages(joined=self.joined, passing=passing, ended=ended)


@dataclass(frozen=True, slots=True)
class _Paths:
    """First and last hop of each path, as rows of the sightings, and the number of its points."""

    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    points: npt.NDArray[np.int64]


def judge_by_flow(
    outcomes: Outcomes,
    hops: npt.NDArray[np.void],
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    connections: Connections,
    topology: Topology,
    coverage: Coverage,
    passages: Passages,
) -> None:
    """Decide the packets that end where no snapshot describes the namespace (changed in place).

    `passages`: of all connections, also of those that are not among these.
    """
    if hops.size == 0:
        return
    start, last = path_bounds(hops)
    paths = _Paths(hops["sighting"][start], hops["sighting"][last], last - start + 1)
    known = np.array([n.known for n in topology.namespaces] or [True], np.bool_)
    ends = sightings["place"][paths.last].astype(np.int64)
    in_question = ~known[sightings["namespace"][paths.last]] & (outcomes.outcome == OUTCOMES.index(Outcome.UNKNOWN))
    if not in_question.any():
        return
    heads, group = _number_groups(connections.direction_group[paths.first])
    usual, most = _farthest(group, ends, paths.points)
    number = np.repeat(np.arange(start.size), paths.points)
    place = sightings["place"][hops["sighting"]].astype(np.int64)
    opposite = _opposites(connections, paths.first[heads])
    only_syn = _only_syn(group, usual.size, sightings["protocol"][paths.first], sightings["tcp_flags"][paths.first])
    # Only a client that does nothing but send its SYN has heard nothing from the other side.
    unheard = np.where((opposite >= 0) & only_syn[opposite], opposite, -1)
    origin, _ = _farthest(group, place[start], paths.points)
    bound = _at_least_to_the_sender(usual, origin, unheard, group[number], place, passages)
    bound = _like_others(bound, usual, opposite < 0, group, ends, sightings, paths.last, passages)
    # One file alone, by whatever number of interfaces, does not show that a packet left the machine.
    files = sightings["file"]
    spread = bound != usual
    spread[group[(files[paths.first] != files[paths.last]) & (ends == usual[group])]] = True
    spread = spread[group]
    # Reached, in whatever order its hops came out: two files cannot tell a microsecond.
    reached = np.zeros(start.size, np.bool_)
    reached[number[place == bound[group][number]]] = True
    # By another interface of the same machine it came as far.
    reached |= (bound == usual)[group] & (paths.points >= most[group])
    arrived = in_question & spread & reached
    outcomes.outcome[arrived] = OUTCOMES.index(Outcome.DELIVERED)
    outcomes.reason[arrived] = Reason.NONE
    # As far as can be seen; a SYN that nobody answers may have been dropped there.
    unanswered = arrived & (only_syn & (opposite < 0))[group]
    outcomes.outcome[unanswered] = OUTCOMES.index(Outcome.UNKNOWN)
    outcomes.reason[unanswered] = Reason.ARRIVED
    # What goes on as one of several others may have gone on.
    contested = np.isin(connections.connection[paths.first], rival_pairs(connections))
    stopped = in_question & spread & ~reached & ~contested
    outcomes.outcome[stopped] = OUTCOMES.index(Outcome.LOST)
    outcomes.reason[stopped] = Reason.WIRE
    _doubt(outcomes, stopped, bound[group], times_ns[paths.last], topology, coverage)


def _number_groups(
    direction_group: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(first row of each direction, ascending; which of these directions each row has)."""
    rows = np.arange(direction_group.size)
    first = np.full(int(direction_group.max()) + 1, -1)
    first[direction_group[::-1]] = rows[::-1]  # what is written last stays
    heads = first >= 0
    return first[heads], (np.cumsum(heads) - 1)[direction_group]


def _farthest(
    group: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], points: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Per group: where the longest of its paths end, and their points; not where only a few of them do, for a switch
    may have flooded those."""
    size = int(ends.max()) + 1
    pair, which = distinct(group * size + ends)
    count = np.bincount(which, minlength=pair.size)
    longest = np.zeros(pair.size, np.int64)
    np.maximum.at(longest, which, points)
    owner, end = np.divmod(pair, size)
    few = count < _SOME * np.bincount(group)[owner]
    best = np.lexsort((-count, -longest, few, owner))
    firsts = best[np.flatnonzero(np.append(True, owner[best][1:] != owner[best][:-1]))]
    return end[firsts], longest[firsts]


def _only_syn(
    group: npt.NDArray[np.int64], groups: int, protocol: npt.NDArray[np.uint8], tcp_flags: npt.NDArray[np.uint16]
) -> npt.NDArray[np.bool_]:
    """Per group: nothing but SYNs. `protocol`, `tcp_flags`: of each path."""
    bare_syn = (protocol == 6) & ((tcp_flags & 0x12) == 2)
    only_syn = np.ones(groups, np.bool_)
    only_syn[group[~bare_syn]] = False
    return only_syn


def _opposites(connections: Connections, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Per group, the group of the other direction, -1 when none was seen; `rows`: a sighting of each group."""
    way = connections.connection[rows] * 2 + connections.forward[rows]
    order = np.argsort(way)
    at = np.minimum(np.searchsorted(way[order], way ^ 1), rows.size - 1)
    return np.where(way[order][at] == way ^ 1, order[at], -1)


def _at_least_to_the_sender(
    farthest: npt.NDArray[np.int64],
    origin: npt.NDArray[np.int64],
    opposite: npt.NDArray[np.int64],
    group: npt.NDArray[np.int64],
    place: npt.NDArray[np.int64],
    passages: Passages,
) -> npt.NDArray[np.int64]:
    """Where the packets of each group are bound for, also when none of them got there.

    That is where those of the other direction come from, if packets of other connections are seen to go there from
    where these end: the first answer of a server can be lost like any other. `group`, `place`: per
    hop.
    """
    source = np.where(opposite >= 0, origin[opposite], -1)
    can_go = (source >= 0) & np.isin(farthest * _PLACES + source, passages.joined)
    reached = np.zeros(farthest.size, np.bool_)
    reached[group[place == source[group]]] = True
    return np.where(can_go & ~reached & (source != farthest), source, farthest)


def _like_others(
    bound: npt.NDArray[np.int64],
    farthest: npt.NDArray[np.int64],
    unanswered: npt.NDArray[np.bool_],
    group: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    sightings: npt.NDArray[np.void],
    last: npt.NDArray[np.int64],
    passages: Passages,
) -> npt.NDArray[np.int64]:
    """The same for those that nobody answered: where nearly all others to their destination go on to, these had to go.

    `group`, `ends` (its place), `last` (its row of the sightings): per path, of its last hop.
    """
    unknown = unanswered & (bound == farthest)
    if not unknown.any():
        return bound
    stops = np.flatnonzero(unknown[group] & (ends == farthest[group]))
    key = _destinations(sightings, last[stops]) ^ ends[stops].astype(np.uint64)
    target = passages.ended[np.searchsorted(passages.passing, key)]
    goes_on = (target >= 0) & (target != ends[stops])
    found = bound.copy()
    found[group[stops[goes_on]]] = target[goes_on]
    return found


def _destinations(sightings: npt.NDArray[np.void], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Per row: hash of the address, port and protocol it is sent to."""
    found = np.empty(rows.size, np.uint64)
    _hash_destinations(sightings, rows, found)
    return found


@njit(cache=True, nogil=True)
def _hash_destinations(sightings, rows, found):
    for i in range(rows.size):
        found[i] = _destination(sightings[rows[i]])


@njit(cache=True, nogil=True)
def _destination(row):
    key = (row.destination_low * np.uint64(0x9E3779B97F4A7C15)) ^ row.destination_high
    key ^= (np.uint64(row.destination_port) << np.uint64(8)) | np.uint64(row.protocol)
    return key * np.uint64(0xBF58476D1CE4E5B9)


@njit(cache=True, nogil=True)
def _describe_passages(hops, sightings, start, last, joined, passing, end):
    """Per hop: its place and that of the last hop of its path in one number; destination and place in one; the latter
    place."""
    for path in range(start.size):
        final = np.int64(sightings[hops[last[path]].sighting].place)
        for k in range(start[path], last[path] + 1):
            row = sightings[hops[k].sighting]
            joined[k] = np.int64(row.place) * _PLACES + final
            passing[k] = _destination(row) ^ np.uint64(row.place)
            end[k] = final


def _doubt(
    outcomes: Outcomes,
    lost: npt.NDArray[np.bool_],
    next_place: npt.NDArray[np.int64],
    times_ns: npt.NDArray[np.int64],
    topology: Topology,
    coverage: Coverage,
) -> None:
    """`unknown` where the capture that should have seen it was not running, or lost packets itself."""
    for point in topology.points:
        here = lost & (next_place == point.index)
        if not here.any():
            continue
        if point.filter:
            outcomes.outcome[here] = OUTCOMES.index(Outcome.UNKNOWN)
            outcomes.reason[here] = Reason.FILTERED
            continue
        outside = here.copy()
        for begin, end in coverage.files.get(point.index, []):
            outside &= (times_ns < begin) | (times_ns > end)
        gap = np.zeros(here.size, np.bool_)
        for first, last in coverage.gaps.get(point.namespace, []):
            gap |= here & (times_ns >= first) & (times_ns <= last)
        outcomes.outcome[outside | gap] = OUTCOMES.index(Outcome.UNKNOWN)
        outcomes.reason[outside] = Reason.CAPTURE_ENDED
        outcomes.reason[gap] = Reason.CAPTURE_LOST
