"""What each node saw of a packet: a row for each packet and node, of those that say something of its clock."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...kernels.threads import run_all
from ...pcapng.blocks import Direction
from ..arrays.grouping import Runs
from ..decode.copies import comes_soon, is_copy
from ..decode.link_scope import row_stays_on_link
from ..decode.payload import by_payload
from ..nodes.topology import Topology
from ..schema import NOTE_ERROR

_IN: Final = int(Direction.IN)
_OUT: Final = int(Direction.OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """The connection of each observation, and which of its two ways it goes."""

    way: npt.NDArray[np.uint64]
    """The same for all observations of one way."""
    connection: npt.NDArray[np.uint64]
    """The same for both ways."""
    forward: npt.NDArray[np.bool_]
    """One of the two ways; which one does not matter."""


def flows_by_addresses(observations: npt.NDArray[np.void]) -> Flows:
    """Flows told apart by their addresses alone: before anything is known of translations."""
    flow, reverse = observations["flow"], observations["flow_reverse"]
    return Flows(way=flow, connection=np.minimum(flow, reverse), forward=flow < reverse)


class Seen(NamedTuple):
    """One row per packet and node, in the order of `identity`."""

    node: npt.NDArray[np.int64]
    identity: npt.NDArray[np.int64]
    """Of content and way; ascending."""
    connection: npt.NDArray[np.uint64]
    forward: npt.NDArray[np.bool_]
    first_ns: npt.NDArray[np.int64]
    last_ns: npt.NDArray[np.int64]
    """Before the first where a place saw it several times."""
    ttl: npt.NDArray[np.int64]
    """Highest of the node's points."""
    direction: npt.NDArray[np.int64]
    """1 it was seen leaving, -1 coming in, 0 not known or both."""

    def earliest_ns(self) -> npt.NDArray[np.int64]:
        """When the first of each was seen, however many there are."""
        return np.minimum(self.first_ns, self.last_ns)


def seen_by_nodes(
    observations: npt.NDArray[np.void], flows: Flows, topology: Topology, numbers: dict[str, int], contents: Runs
) -> Seen:
    """Only unicast packets where they leave or enter a node count, and only those that every point of a node
    saw once. `numbers`: of each node; `contents`: sightings with equal content, maybe with others behind them."""
    is_uplink = np.array([topology.is_uplink(p) for p in topology.points] or [False], np.bool_)
    node_of_place = np.array([numbers[p.node] for p in topology.points] or [0], np.int64)
    where = np.full(contents.rows.size, -1, np.int64)
    _locate(observations, is_uplink, node_of_place, where)
    runs = contents.only(where >= 0).sorted_by(where, flows.way)

    def seen_in(piece: Runs) -> Seen:
        rows = piece.rows[piece.start[0] : piece.start[-1]]
        begins = _find_packets(rows, piece.start - piece.start[0], where, flows.way, observations)
        seen: Seen = _one_per_packet(rows, begins, where, flows.connection, flows.forward, observations)
        return seen

    return _one_behind_the_other(run_all(seen_in, runs.pieces()))


def _one_behind_the_other(pieces: list[Seen]) -> Seen:
    before = 0
    for seen in pieces:
        seen.identity[:] += before
        before = int(seen.identity[-1]) + 1 if seen.identity.size else before
    return Seen(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))


@njit(cache=True, nogil=True)
def _locate(observations, is_uplink, node_of_place, where):
    """Node and capture point in one number of each observation that counts."""
    for i in range(observations.size):
        row = observations[i]
        if is_uplink[row.place] and (row.notes & np.uint8(NOTE_ERROR)) == 0 and not row_stays_on_link(row):
            where[i] = (node_of_place[row.place] << 32) | np.int64(row.place)


@njit(cache=True, nogil=True)
def _find_packets(rows, start, where, way, observations):
    """Whether a packet begins at each of `rows`, which are in order of content, way, node and place. Where a place has
    several that are equal but for their payloads, they are put in the order of these (in place)."""
    begins = np.zeros(rows.size, np.bool_)
    for g in range(start.size - 1):
        begin = start[g]
        while begin < start[g + 1]:
            begins[begin] = True
            twice = False
            stop = begin + 1
            while stop < start[g + 1] and way[rows[stop]] == way[rows[begin]]:
                twice |= where[rows[stop]] == where[rows[stop - 1]]
                stop += 1
            if twice:
                _apart_by_payload(rows[begin:stop], observations, begins[begin:stop])
            begin = stop
    return begins


@njit(cache=True, nogil=True)
def _apart_by_payload(rows, observations, begins):
    order, start = by_payload(rows, observations)
    rows[:] = rows[order]
    for g in range(start.size - 1):
        begins[start[g]] = True


@njit(cache=True, nogil=True)
def _one_per_packet(rows, begins, where, connection, forward, observations):
    """`rows`: by packet, node and place; `begins`: where another packet does. One that a place of a node saw twice
    counts for none."""
    seen = _rows(rows.size)
    count = 0
    number = -1
    begin = 0
    while begin < rows.size:
        head = rows[begin]
        number += begins[begin]
        here = where[head] >> 32
        stop = begin + 1
        while stop < rows.size and not begins[stop] and where[rows[stop]] >> 32 == here:
            stop += 1
        once = _fill_in(rows, begin, stop, where, observations, seen, count)
        begin = stop
        if not once:
            continue
        seen.node[count] = here
        seen.identity[count] = number
        seen.connection[count] = connection[head]
        seen.forward[count] = forward[head]
        count += 1
    return Seen(
        seen.node[:count], seen.identity[:count], seen.connection[:count], seen.forward[:count], seen.first_ns[:count],
        seen.last_ns[:count], seen.ttl[:count], seen.direction[:count],
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _rows(size):
    return Seen(
        np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.uint64), np.empty(size, np.bool_),
        np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True, inline="always")
def _fill_in(rows, begin, stop, where, observations, seen, at):
    """What the sightings of one packet on one node, rows[begin:stop], say, into row `at`; False where a place has it
    twice, not counting the copies that a mirror makes. Put into its caller: called for each packet, it would count
    every array as in use, with atomic operations."""
    once = True
    loose = False
    least, most = np.int64(1), np.int64(-1)
    first_ns, last_ns, ttl = np.int64(2**62), np.int64(-(2**62)), np.int64(-1)
    for k in range(begin, stop):
        row = observations[rows[k]]
        if k > begin and where[rows[k]] == where[rows[k - 1]]:
            if is_copy(observations[rows[k - 1]], row):
                continue
            loose = True
            once &= comes_soon(observations[rows[k - 1]], row)
        out = np.int64(row.direction == _OUT) - np.int64(row.direction == _IN)
        least, most = min(least, out), max(most, out)
        first_ns, last_ns = min(first_ns, row.time_ns), max(last_ns, row.time_ns)
        ttl = max(ttl, np.int64(row.ttl))
    # Of two that are equal nobody knows which of the other node's is which: the bound that any of them would be.
    seen.first_ns[at], seen.last_ns[at] = (last_ns, first_ns) if loose else (first_ns, last_ns)
    seen.ttl[at] = ttl
    seen.direction[at] = 1 if least > 0 else -1 if most < 0 else 0
    return once
