"""Outcomes where nothing is known but the packets: how far a packet came, compared with the others of its flow.

Without snapshots nobody says where a flow ends. The points that its packets reached tell: one that stopped before the
last of them was lost in between, if the capture there was running and complete.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .confidence import rival_pairs
from .connections import Connections
from .order import path_bounds
from .outcomes import OUTCOMES, Coverage, Outcome, Outcomes, Reason
from .topology import Topology

_SOME: Final = 0.15
"""Part of a direction's packets that end where it is bound for."""
_NEARLY_ALL: Final = 0.8
"""Part of the packets to one destination that must go the same way for the others to be lost on it."""


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
) -> None:
    """Decide the packets that end where no snapshot describes the namespace (changed in place)."""
    if hops.size == 0:
        return
    start, last = path_bounds(hops)
    paths = _Paths(hops["sighting"][start], hops["sighting"][last], last - start + 1)
    known = np.array([n.known for n in topology.namespaces] or [True], np.bool_)
    ends = sightings["place"][paths.last].astype(np.int64)
    in_question = ~known[sightings["namespace"][paths.last]] & (outcomes.outcome == OUTCOMES.index(Outcome.UNKNOWN))
    if not in_question.any():
        return
    _, heads, group = np.unique(connections.direction_group[paths.first], return_index=True, return_inverse=True)
    group = group.reshape(-1)
    usual, most = _farthest(group, ends, paths.points)
    number = np.repeat(np.arange(start.size), paths.points)
    place = sightings["place"][hops["sighting"]].astype(np.int64)
    opposite = _opposites(connections, paths.first[heads])
    only_syn = _only_syn(group, usual.size, sightings["protocol"][paths.first], sightings["tcp_flags"][paths.first])
    # Only a client that does nothing but send its SYN has heard nothing from the other side.
    unheard = np.where((opposite >= 0) & only_syn[opposite], opposite, -1)
    origin, _ = _farthest(group, place[start], paths.points)
    bound = _at_least_to_the_sender(usual, origin, unheard, group[number], place, ends[number])
    to = _destinations(sightings, hops["sighting"])
    bound = _like_others(bound, usual, opposite < 0, group, place, ends[number], to, last)
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


def _farthest(
    group: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], points: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Per group: where the longest of its paths end, and their points; not where only a few of them do, for a switch
    may have flooded those."""
    size = int(ends.max()) + 1
    pair, which, count = np.unique(group * size + ends, return_inverse=True, return_counts=True)
    longest = np.zeros(pair.size, np.int64)
    np.maximum.at(longest, which.reshape(-1), points)
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
    ends: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Where the packets of each group are bound for, also when none of them got there.

    That is where those of the other direction come from, if packets of other connections are seen to go there from
    where these end: the first answer of a server can be lost like any other. `group`, `place`, `ends` (of its path):
    per hop.
    """
    size = int(max(place.max(), farthest.max())) + 1
    source = np.where(opposite >= 0, origin[opposite], -1)
    gone = np.unique(place * size + ends)  # from any point of a path to its last one
    can_go = (source >= 0) & np.isin(farthest * size + source, gone)
    reached = np.zeros(farthest.size, np.bool_)
    reached[group[place == source[group]]] = True
    return np.where(can_go & ~reached & (source != farthest), source, farthest)


def _like_others(
    bound: npt.NDArray[np.int64],
    farthest: npt.NDArray[np.int64],
    unanswered: npt.NDArray[np.bool_],
    group: npt.NDArray[np.int64],
    place: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    to: npt.NDArray[np.uint64],
    last: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """The same for those that nobody answered: where nearly all others to their destination go on to, these had to go.

    `place`, `ends` (of its path), `to` (see _destinations): per hop; `last`: rows of the last hops.
    """
    unknown = unanswered & (bound == farthest)
    if not unknown.any():
        return bound
    keys, which = np.unique(to ^ place.astype(np.uint64), return_inverse=True)
    which = which.reshape(-1)
    size = int(max(place.max(), farthest.max())) + 1
    passages = np.bincount(which, minlength=keys.size)
    pair, count = np.unique(which * size + ends, return_counts=True)
    owner, end = np.divmod(pair, size)
    usual = np.full(keys.size, -1)
    most = count >= _NEARLY_ALL * passages[owner]
    usual[owner[most]] = end[most]
    stops = last[unknown[group] & (place[last] == farthest[group])]
    target = usual[which[stops]]
    goes_on = (target >= 0) & (target != place[stops])
    found = bound.copy()
    found[group[np.searchsorted(last, stops[goes_on])]] = target[goes_on]
    return found


def _destinations(sightings: npt.NDArray[np.void], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Per row: hash of the address, port and protocol it is sent to."""
    key = sightings["destination_low"][rows] * np.uint64(0x9E3779B97F4A7C15) ^ sightings["destination_high"][rows]
    key ^= (sightings["destination_port"][rows].astype(np.uint64) << np.uint64(8)) | sightings["protocol"][rows]
    return key * np.uint64(0xBF58476D1CE4E5B9)


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
