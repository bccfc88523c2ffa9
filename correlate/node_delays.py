"""Packets seen on two nodes -> bounds of the offset between their clocks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..pcapng.blocks import Direction
from .names import stays_on_link
from .schema import NOTE_ERROR, ONE_PACKET_NS
from .topology import Topology

_FEWEST_AGREEING: Final = 3
"""Packets: one or two of equal content may be others, sent at another time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """Which way each observation travels, in which connection."""

    direction: npt.NDArray[np.uint64]
    """The same for all observations that travel the same way in one connection."""
    connection: npt.NDArray[np.uint64]
    """The same for both directions."""
    forward: npt.NDArray[np.bool_]
    """One of the two directions; which one does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What packets say of the second node's clock minus the first's, at times of the first's clock; all in ns."""

    upper_at_ns: npt.NDArray[np.int64]
    upper_ns: npt.NDArray[np.int64]
    lower_at_ns: npt.NDArray[np.int64]
    lower_ns: npt.NDArray[np.int64]


def flows_by_addresses(observations: npt.NDArray[np.void]) -> Flows:
    """Flows told apart by their addresses alone: before anything is known of translations."""
    flow, reverse = observations["flow"], observations["flow_reverse"]
    return Flows(direction=flow, connection=np.minimum(flow, reverse), forward=flow < reverse)


def delay_bounds(observations: npt.NDArray[np.void], flows: Flows, topology: Topology) -> Callable[[str, str], Bounds]:
    """A function from two node names to the Bounds between their clocks.

    Only unicast packets where they leave or enter a node count, and of those only the ones that every point of a node
    saw once: a repeated one could be matched with the wrong copy.
    """
    numbers = {name: i for i, name in enumerate(dict.fromkeys(topology.file_nodes))}
    seen = _Seen.build(observations, flows, topology, numbers)

    def between(first: str, second: str) -> Bounds:
        found = _between(seen.of(numbers[first]), seen.of(numbers[second]))
        # A timestamp is cut to the resolution of its file: the true time is up to so much later.
        return Bounds(
            upper_at_ns=found.upper_at_ns,
            upper_ns=found.upper_ns + _resolution_ns(topology, second),
            lower_at_ns=found.lower_at_ns,
            lower_ns=found.lower_ns - _resolution_ns(topology, first),
        )

    return between


def _resolution_ns(topology: Topology, node: str) -> int:
    return max((p.resolution_ns for p in topology.points if p.node == node), default=0)


@dataclass(slots=True)
class _Seen:
    """One row per packet and node, in the order of `identity`."""

    node: npt.NDArray[np.int64]
    identity: npt.NDArray[np.uint64]
    connection: npt.NDArray[np.uint64]
    forward: npt.NDArray[np.bool_]
    first_ns: npt.NDArray[np.int64]
    last_ns: npt.NDArray[np.int64]
    ttl: npt.NDArray[np.int64]
    """Highest of the node's points."""
    way: npt.NDArray[np.int64]
    """1 it was seen leaving, -1 coming in, 0 not known or both."""

    def of(self, node: int) -> "_Seen":
        here = self.node == node
        return _Seen(*(getattr(self, name)[here] for name in self.__slots__))

    @classmethod
    def build(
        cls, observations: npt.NDArray[np.void], flows: Flows, topology: Topology, numbers: dict[str, int]
    ) -> "_Seen":
        is_uplink = np.array([topology.is_uplink(p) for p in topology.points] or [False], np.bool_)
        node_of_place = np.array([numbers[p.node] for p in topology.points] or [0], np.int64)
        rows = np.flatnonzero(
            is_uplink[observations["place"]]
            & ~stays_on_link(observations)
            & ((observations["notes"] & NOTE_ERROR) == 0)
        )
        place = observations["place"][rows]
        identity = flows.direction[rows] ^ (observations["content"][rows] * np.uint64(0x9E3779B97F4A7C15))
        node = node_of_place[place]
        order = np.lexsort((place, identity, node))
        rows, place, identity, node = rows[order], place[order], identity[order], node[order]
        start = np.ones(rows.size, np.bool_)
        start[1:] = (identity[1:] != identity[:-1]) | (node[1:] != node[:-1])
        group = np.cumsum(start) - 1
        twice = np.zeros(int(group[-1]) + 1 if rows.size else 0, np.bool_)
        twice[group[1:][~start[1:] & (place[1:] == place[:-1])]] = True
        heads = np.flatnonzero(start)
        keep = ~twice
        times, ttl = observations["time_ns"][rows], observations["ttl"][rows].astype(np.int64)
        direction = observations["direction"][rows]
        way = (direction == Direction.OUT).astype(np.int64) - (direction == Direction.IN)
        if heads.size == 0:
            empty = np.empty(0, np.int64)
            return cls(empty, identity, identity, np.empty(0, np.bool_), empty, empty, empty, empty)
        return cls(
            node[heads][keep],
            identity[heads][keep],
            flows.connection[rows][heads][keep],
            flows.forward[rows][heads][keep],
            np.minimum.reduceat(times, heads)[keep],
            np.maximum.reduceat(times, heads)[keep],
            np.maximum.reduceat(ttl, heads)[keep],
            np.where(np.minimum.reduceat(way, heads) > 0, 1, -(np.maximum.reduceat(way, heads) < 0).astype(np.int64))[
                keep
            ],
        )


def _between(first: _Seen, second: _Seen) -> Bounds:
    _, i, j = np.intersect1d(first.identity, second.identity, assume_unique=True, return_indices=True)
    toward = _travels_to_second(first, second, i, j)
    go, come = toward > 0, toward < 0
    if _only_offset(first, second, i, j, go | come):
        go = np.ones(i.size, np.bool_)
    # Toward the second node: the last the first saw of it, and the first the second did; the other way round coming
    # back.
    return Bounds(
        upper_at_ns=first.last_ns[i][go],
        upper_ns=(second.first_ns[j] - first.last_ns[i])[go],
        lower_at_ns=first.first_ns[i][come],
        lower_ns=(second.last_ns[j] - first.first_ns[i])[come],
    )


def _only_offset(
    first: _Seen,
    second: _Seen,
    i: npt.NDArray[np.int64],
    j: npt.NDArray[np.int64],
    known: npt.NDArray[np.bool_],
) -> bool:
    """Nothing says which way the common packets went, but several agree that the clocks are far apart.

    Then either way is better than clocks taken as equal, by which they would not even be the same packets.
    """
    if i.size < _FEWEST_AGREEING or known.any():
        return False
    difference = second.first_ns[j] - first.first_ns[i]
    return bool(abs(np.median(difference)) > ONE_PACKET_NS and np.ptp(difference) < ONE_PACKET_NS)


def _travels_to_second(
    first: _Seen, second: _Seen, i: npt.NDArray[np.int64], j: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Per common packet: 1 it went from the first node to the second, -1 the other way, 0 not known.

    A connection's packets tell together: by the kernel's word for the direction, by the times (the differences of its
    two directions lie on two sides of the offset), and by TTL, which somebody may have rewritten.
    """
    sign = np.where(first.forward[i], 1, -1)
    _, connection = np.unique(first.connection[i], return_inverse=True)
    connection = connection.reshape(-1)
    count = int(connection.max()) + 1 if connection.size else 0
    by_kernel, by_ttl = np.zeros(count, np.int64), np.zeros(count, np.int64)
    np.add.at(by_kernel, connection, np.sign(first.way[i] - second.way[j]) * sign)
    np.add.at(by_ttl, connection, np.sign(first.ttl[i] - second.ttl[j]) * sign)
    difference = second.first_ns[j] - first.first_ns[i]
    extreme = np.iinfo(np.int64).max
    least = {True: np.full(count, extreme), False: np.full(count, extreme)}
    most = {True: np.full(count, -extreme), False: np.full(count, -extreme)}
    for forward in (True, False):
        mine = first.forward[i] == forward
        np.minimum.at(least[forward], connection[mine], difference[mine])
        np.maximum.at(most[forward], connection[mine], difference[mine])
    both = (least[True] != extreme) & (least[False] != extreme)
    by_time = np.where(both & (least[True] > most[False]), 1, np.where(both & (most[True] < least[False]), -1, 0))
    orientation = np.where(by_kernel != 0, np.sign(by_kernel), np.where(by_time != 0, by_time, np.sign(by_ttl)))
    return orientation[connection] * sign
