"""Outcomes where nothing is known but the packets: how far a packet came, compared with the others of its flow.

Without snapshots nobody says where a flow ends. The points that its packets reached tell: one that stopped before the
last of them was lost in between, if the capture there was running and complete.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .outcomes import OUTCOMES, Coverage, Outcome, Outcomes, Reason
from .topology import Topology


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
    direction_group: npt.NDArray[np.int64],
    topology: Topology,
    coverage: Coverage,
) -> None:
    """Decide the packets that end where no snapshot describes the namespace (changed in place)."""
    if hops.size == 0:
        return
    start = np.flatnonzero(np.append(True, hops["packet"][1:] != hops["packet"][:-1]))
    stop = np.append(start[1:], hops.size)
    paths = _Paths(hops["sighting"][start], hops["sighting"][stop - 1], stop - start)
    known = np.array([n.known for n in topology.namespaces] or [True], np.bool_)
    ends = sightings["place"][paths.last].astype(np.int64)
    in_question = ~known[sightings["namespace"][paths.last]] & (outcomes.outcome == OUTCOMES.index(Outcome.UNKNOWN))
    if not in_question.any():
        return
    _, group = np.unique(direction_group[paths.first], return_inverse=True)
    group = group.reshape(-1)
    farthest = _farthest(group, ends, paths.points)
    # One file alone, by whatever number of interfaces, does not show that a packet left the machine.
    files = sightings["file"]
    spread = np.zeros(farthest.size, np.bool_)
    spread[group[files[paths.first] != files[paths.last]]] = True
    spread = spread[group]
    # Reached, in whatever order its hops came out: two files cannot tell a microsecond.
    reached = np.zeros(start.size, np.bool_)
    number = np.repeat(np.arange(start.size), stop - start)
    reached[number[sightings["place"][hops["sighting"]] == farthest[group][number]]] = True
    arrived = in_question & spread & reached
    outcomes.outcome[arrived] = OUTCOMES.index(Outcome.DELIVERED)
    outcomes.reason[arrived] = Reason.NONE
    stopped = in_question & spread & ~reached
    outcomes.outcome[stopped] = OUTCOMES.index(Outcome.LOST)
    outcomes.reason[stopped] = Reason.WIRE
    _doubt(outcomes, stopped, farthest[group], times_ns[paths.last], topology, coverage)


def _farthest(
    group: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], points: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Per group: where most of its longest paths end."""
    order = np.lexsort((ends, -points, group))
    heads = np.flatnonzero(np.append(True, group[order][1:] != group[order][:-1]))
    most = points[order[heads]]
    longest = np.flatnonzero(points == most[group])
    place, count = np.unique(group[longest] * (int(ends.max()) + 1) + ends[longest], return_counts=True)
    owner, end = np.divmod(place, int(ends.max()) + 1)
    best = np.lexsort((-count, owner))
    firsts = np.flatnonzero(np.append(True, owner[best][1:] != owner[best][:-1]))
    return end[best[firsts]]


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
        begin, end = coverage.start_ns.get(point.node), coverage.end_ns.get(point.node)
        if not here.any() or begin is None or end is None:
            continue
        outside = here & ((times_ns < begin) | (times_ns > end))
        gap = np.zeros(here.size, np.bool_)
        for first, last in coverage.gaps.get(point.namespace, []):
            gap |= here & (times_ns >= first) & (times_ns <= last)
        outcomes.outcome[outside | gap] = OUTCOMES.index(Outcome.UNKNOWN)
        outcomes.reason[outside] = Reason.CAPTURE_ENDED
        outcomes.reason[gap] = Reason.CAPTURE_LOST
