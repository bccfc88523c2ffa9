"""Connections with their paths, in columns: what is true of some or of all paths of each."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..outcomes.kinds import Outcome
from ..schema import NOTE_ERROR, NOTE_OUTER
from .columns import Columns

Numbers = npt.NDArray[np.int64]
_NONE = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The paths of some connections: rows, connection by connection, each in the order of the ids."""

    result: Columns
    connections: Numbers
    """Indexes, in any order."""
    paths: Numbers
    """Of each row: its index."""
    of: Numbers
    """Of each row: the place of its connection in `connections`."""
    first: Numbers
    """First row of each connection, and one more at the end."""
    heads: npt.NDArray[np.void]
    """Of each row: the SIGHTING that shows the packet (Columns.head)."""
    forward: npt.NDArray[np.bool_]
    """Of each row: from the client to the server."""
    outcome: npt.NDArray[np.uint8]
    """Of each row."""
    own: npt.NDArray[np.bool_]
    """Of each row: not an ICMP error about the connection, which is one of its paths, but what became of it is not what
    became of them."""
    counted: npt.NDArray[np.bool_]
    """The same, but all rows of a connection that has nothing but errors."""

    @classmethod
    def of_connections(cls, result: Columns, connections: Numbers) -> "Members":
        """Connections by their indexes, from 0."""
        order, bounds = result.paths_by_connection
        sizes = bounds[connections + 1] - bounds[connections]
        first = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        of = np.repeat(np.arange(sizes.size), sizes)
        paths = order[np.arange(of.size) + (bounds[connections] - first[:-1])[of]]
        heads = result.sightings.take(result.head[paths])
        own = (heads["notes"] & NOTE_ERROR) == 0
        counted = own | ~_any_of(own, first)[of]
        return cls(
            result=result, connections=connections, paths=paths, of=of, first=first, heads=heads,
            forward=result.forward_of_path[paths], outcome=result.outcomes.outcome[paths], own=own, counted=counted,
        )  # fmt: skip

    def some(self, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Per connection: one of its counted rows is chosen."""
        return _any_of(chosen & self.counted, self.first)

    def count(self, chosen: npt.NDArray[np.bool_]) -> Numbers:
        """Per connection: how many of its counted rows are chosen."""
        return np.bincount(self.of[chosen & self.counted], minlength=self.connections.size)

    def first_of(self, chosen: npt.NDArray[np.bool_]) -> Numbers:
        """Per connection: the first of the chosen rows, counted or not; -1 where none is."""
        if self.connections.size == 0:
            return self.connections
        rows = np.minimum.reduceat(np.where(chosen, np.arange(chosen.size), _NONE), self.first[:-1])
        return np.where(rows == _NONE, -1, rows)

    def outcomes(self) -> Numbers:
        """Per connection: dropped or lost if any counted path was; else delivered if any was."""
        found = np.full(self.connections.size, Outcome.UNKNOWN, np.int64)
        for outcome in (Outcome.DELIVERED, Outcome.LOST, Outcome.DROPPED):
            found[self.some(self.outcome == outcome)] = outcome
        return found

    def failed(self) -> Numbers:
        """Per connection: row of the first path of its own that was dropped or lost; -1 where none was."""
        return self.first_of(self.own & ((self.outcome == Outcome.DROPPED) | (self.outcome == Outcome.LOST)))

    def ends(self) -> "Ends":
        """The ends of each connection."""
        one_way = ~_any_of(self.forward, self.first)
        hops = self.result.first_hop[self.paths + 1] - self.result.first_hop[self.paths]
        hops[~(self.forward | one_way[self.of])] = 0
        longest = np.maximum.reduceat(hops, self.first[:-1]) if one_way.size else hops
        path = self.paths[self.first_of(hops == longest[self.of])]
        begin, end = self.result.head[path], _last_itself(self.result, path)
        return Ends(
            client=np.where(one_way, end, begin), client_is_source=~one_way,
            server=np.where(one_way, begin, end), server_is_source=one_way,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Client and server by their own addresses, those of the longest path before and after all translations: each the
    row of a sighting, and which end of that it is."""

    client: Numbers
    client_is_source: npt.NDArray[np.bool_]
    server: Numbers
    server_is_source: npt.NDArray[np.bool_]


def _any_of(chosen: npt.NDArray[np.bool_], first: Numbers) -> npt.NDArray[np.bool_]:
    """Per connection: one of its rows is chosen. Every connection has rows."""
    return np.logical_or.reduceat(chosen, first[:-1]) if first.size > 1 else np.zeros(0, np.bool_)


def _last_itself(result: Columns, paths: Numbers) -> Numbers:
    """Of each path: its last sighting that shows the packet itself; the last one where none does."""
    sighting = result.hops["sighting"]
    last = result.first_hop[paths + 1] - 1
    row, open_ = last.copy(), np.arange(paths.size)
    while open_.size:  # mostly the last one does
        open_ = open_[(result.sightings["notes"][sighting[row[open_]]] & NOTE_OUTER) != 0]
        row[open_] -= 1
        none = row[open_] < result.first_hop[paths[open_]]
        row[open_[none]] = last[open_[none]]
        open_ = open_[~none]
    return sighting[row]
