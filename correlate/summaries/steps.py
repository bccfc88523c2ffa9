"""Paths -> steps: which capture points each packet passed, when, and in which order the points of one way come.

A connection has two ways: the client's packets go one, the server's the other. Only captured frames are steps: an
evaluation has no time of its own. What links say among themselves (ARP, multicast) goes neither, for a bridge hands
copies of it to all sides; and an ICMP error about a connection takes points of its own.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import distinct
from ..decode.link_scope import is_link_chatter
from ..result.correlation import Correlation
from ..schema import NOTE_ERROR
from ..sightings import FRAME

_MOST_PASSES: Final = 8
"""How often one path can pass the same capture point and still be told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """One row per step: path by path, each in the order in which the packet passed its points."""

    path: npt.NDArray[np.int64]
    """Index of the path, from 0."""
    sighting: npt.NDArray[np.int64]
    """Of several pieces of a datagram at one capture point: the first."""
    point: npt.NDArray[np.int64]
    """4 * capture point + pcapng direction: a packet may pass an interface twice, once in each direction."""
    time_ns: npt.NDArray[np.int64]
    """On the reference clock; of the first piece."""
    way: npt.NDArray[np.int64]
    """Of its path: 2 * connection, and 1 more where the packet is the server's."""
    rank: npt.NDArray[np.int64]
    """Number of the point, in the order in which packets of this way pass them. A point that a path passes twice, where
    the capture tells no directions, has two."""

    def take(self, rows: npt.NDArray[np.int64]) -> "Steps":
        """These rows, in this order."""
        return Steps(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def new_path(self) -> npt.NDArray[np.bool_]:
        """Per step: the first one of its path."""
        return np.append(True, self.path[1:] != self.path[:-1])[: self.path.size]

    @property
    def first(self) -> npt.NDArray[np.int64]:
        """Row of the first step of each path that has any."""
        return np.flatnonzero(self.new_path)

    @property
    def last(self) -> npt.NDArray[np.int64]:
        """Row of the last step of each path that has any."""
        return np.append(self.first[1:], self.path.size)[: self.first.size] - 1


def find_steps(result: Correlation, wanted: npt.NDArray[np.bool_] | None = None) -> Steps:
    """The steps of all paths, or of those of the `wanted` connections (per connection: bool)."""
    steps = _frames_folded(result, _have_steps(result, wanted))
    if steps.path.size == 0:
        return steps
    spot, way = _spots(steps)
    first_ns = np.full(way.size, np.iinfo(np.int64).max)
    np.minimum.at(first_ns, spot, steps.time_ns)
    within = ~steps.new_path[1:]
    before, after = spot[:-1][within], spot[1:][within]
    longest = int(np.bincount(way).max())
    successor = _successors(before, after, first_ns, longest)
    height, terminal = _heights(successor, longest)
    # Points that no packet joins (a super-packet's and its pieces') come in the order of time.
    begun_ns = np.full(way.size, np.iinfo(np.int64).max)
    np.minimum.at(begun_ns, terminal, first_ns)
    rank = np.empty(way.size, np.int64)
    rank[np.lexsort((first_ns, -height, terminal, begun_ns[terminal], way))] = np.arange(way.size)
    steps.rank[:] = rank[spot]
    path = steps.path[:-1][within]
    turned, unordered = np.zeros(result.packets.count, np.bool_), np.zeros(result.packets.count, np.bool_)
    turned[path[rank[before] > rank[after]]] = True
    unordered[path[terminal[before] != terminal[after]]] = True
    return _turned_round(steps, turned & ~unordered, machines(result))


def _have_steps(result: Correlation, wanted: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_]:
    """Per path: it goes one of the ways of its connection, and that is wanted."""
    chosen = np.arange(result.packets.count)
    if wanted is not None:
        chosen = np.flatnonzero(wanted[result.connection_of_path])
    head = result.sightings.take(result.head[chosen])
    found = np.zeros(result.packets.count, np.bool_)
    found[chosen] = ~is_link_chatter(head) & ((head["notes"] & NOTE_ERROR) == 0)
    return found


def _frames_folded(result: Correlation, chosen: npt.NDArray[np.bool_]) -> Steps:
    """The frames of the chosen paths (per path: bool), those that follow each other at one point folded into one."""
    hops = result.hops[chosen[result.hops["packet"]] & (result.sightings["kind"][result.hops["sighting"]] == FRAME)]
    sighting, path = hops["sighting"].copy(), hops["packet"].copy()
    seen = result.sightings
    point = seen["place"][sighting].astype(np.int64) * 4 + seen["direction"][sighting]
    new = np.append(True, (path[1:] != path[:-1]) | (point[1:] != point[:-1]))[: path.size]
    start = np.flatnonzero(new)
    times = result.times_ns[sighting]
    forward = result.forward_of_path[path[start]]
    return Steps(
        path=path[start],
        sighting=sighting[start],
        point=point[start],
        time_ns=np.minimum.reduceat(times, start) if start.size else times,
        way=2 * result.connection_of_path[path[start]] + ~forward,
        rank=np.zeros(start.size, np.int64),
    )


def _spots(steps: Steps) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(spot of each step, way of each spot). A spot is a point of one way; passed for the second time, where the
    capture does not tell directions, it is another one."""
    points = int(steps.point.max()) + 1
    passage = steps.path * points + steps.point
    order = np.argsort(passage, kind="stable")
    new = np.append(True, passage[order][1:] != passage[order][:-1])
    nth = np.empty(order.size, np.int64)
    nth[order] = np.arange(order.size) - np.maximum.accumulate(np.where(new, np.arange(order.size), 0))
    key = (steps.way * points + steps.point) * _MOST_PASSES + np.minimum(nth, _MOST_PASSES - 1)
    keys, spot = distinct(key)
    return spot, keys // (points * _MOST_PASSES)


def _successors(
    before: npt.NDArray[np.int64], after: npt.NDArray[np.int64], first_ns: npt.NDArray[np.int64], longest: int
) -> npt.NDArray[np.int64]:
    """Per spot: where most packets go from there, itself at the end of the way; `before` and `after` are the spots of
    every two consecutive steps.

    A circle comes from packets whose steps two clocks, or equal timestamps, put in the wrong order. It is cut where
    the fewest packets go; of equally few, where it comes back to what was seen first.
    """
    spots = first_ns.size
    pairs, pair = distinct(before * spots + after)
    packets = np.bincount(pair, minlength=pairs.size)
    start, end = np.divmod(pairs, spots)
    order = np.lexsort((-first_ns[end], packets, start))
    most = order[np.append(start[order][1:] != start[order][:-1], True)[: order.size]]
    successor = np.arange(spots)
    successor[start[most]] = end[most]
    weakness = np.full(spots, np.iinfo(np.int64).max)
    weakness[start[most[np.lexsort((first_ns[end[most]], packets[most]))]]] = np.arange(most.size)
    reached, weakest = successor, weakness
    for _ in range(longest.bit_length()):
        weakest = np.minimum(weakest, weakest[reached])
        reached = reached[reached]
    in_circle = np.zeros(spots, np.bool_)
    in_circle[reached[successor[reached] != reached]] = True
    cut = in_circle & (weakness == weakest)
    successor[cut] = np.flatnonzero(cut)
    return successor


def _heights(successor: npt.NDArray[np.int64], longest: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(how many steps it is from each spot to the end of its way, that end), of ways of up to `longest` points."""
    height = (successor != np.arange(successor.size)).astype(np.int64)
    reached = successor
    for _ in range(longest.bit_length()):
        height = height + height[reached]
        reached = reached[reached]
    return height, reached


def machines(result: Correlation) -> npt.NDArray[np.int64]:
    """Per capture point: a number for each clock that stamped packets; nodes on one running kernel share it."""
    names = [result.topology.machine(point.node) for point in result.topology.points]
    return np.array([names.index(name) for name in names] or [0], np.int64)


def _turned_round(steps: Steps, turned: npt.NDArray[np.bool_], machine: npt.NDArray[np.int64]) -> Steps:
    """The steps of these paths (per path: bool) in the order of their points, unless one clock says otherwise."""
    rows = np.flatnonzero(turned[steps.path])
    if rows.size == 0:
        return steps
    order = rows[np.lexsort((steps.rank[rows], steps.path[rows]))]
    by_clock = order[np.lexsort((steps.rank[order], machine[steps.point[order] >> 2], steps.path[order]))]
    path, where, time_ns = steps.path[by_clock], machine[steps.point[by_clock] >> 2], steps.time_ns[by_clock]
    back = (path[1:] == path[:-1]) & (where[1:] == where[:-1]) & (time_ns[1:] < time_ns[:-1])
    willing = ~np.isin(steps.path[rows], path[1:][back])
    sequence = np.arange(steps.path.size)
    sequence[rows[willing]] = order[willing]
    steps = steps.take(sequence)
    return steps.take(np.flatnonzero(steps.new_path | np.append(True, steps.point[1:] != steps.point[:-1])))
