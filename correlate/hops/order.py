"""Packets -> hops: the sightings of each packet in the order in which they happened.

Frames carry the kernel's time, trace messages none. So frames are ordered by time (in plain captures by what all
packets of their direction say, point_order.py), messages by their place in the socket, and the two are merged by where
in a namespace each stands: a frame is seen on ingress before the hooks and on
egress behind them. One passage of a packet through one namespace is a *visit*; looping through lo, or through a router
that is not captured, makes a second visit.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...kernels.threads import run_all
from ..arrays.grouping import Runs, runs_of_ids
from ..decode.fragments import pieces_of
from ..nodes.topology import Topology
from ..sightings import DROP, of_kind, told
from .stations import Station, stations_of

HOP: Final = np.dtype(
    [
        ("packet", "i8"),
        ("sighting", "i8"),  # row of the sightings
        ("visit", "i4"),  # counts the passages through namespaces within the packet, from 0
        ("station", "i4"),  # Station: where in the namespace
    ],
    align=True,
)


_INPUT, _OUTPUT = int(Station.INPUT), int(Station.OUTPUT)
"""For kernels."""


class _Passing(NamedTuple):
    """Of every sighting: where and when it is."""

    namespace: npt.NDArray[np.integer]
    times: npt.NDArray[np.int64]
    """Or the rank on its way, where that decides."""
    station: npt.NDArray[np.int64]


def order_hops(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    packet: npt.NDArray[np.int64],
    said: npt.NDArray[np.void],
    topology: Topology,
    rank: npt.NDArray[np.integer],
    in_pieces: bool = True,
) -> npt.NDArray[np.void]:
    """HOP rows of all packets, packet by packet, each in the order of its way.

    Arguments as for `match_packets`; `packet` is its result per sighting; `rank`: per observation, as in PointOrder;
    `in_pieces`: there may be fragments among the sightings.
    """
    behind = told(sightings)
    station = stations_of(sightings, packet, said, topology)
    keys = _gather_pieces(sightings, times_ns, packet) if in_pieces else times_ns.copy()
    ranked = np.flatnonzero(rank >= 0)
    keys[ranked] = rank[ranked]
    runs = runs_of_ids(packet, int(packet.max()) + 1 if packet.size else 0)
    is_told = np.zeros(sightings.size, np.bool_)
    is_told[behind] = True
    if behind.start == sightings.size:
        runs = runs.sorted_by(station, keys)
    else:
        queued = keys.copy()
        queued[behind] = said["order"]
        runs = runs.sorted_by(station, queued, is_told)
    hops = np.empty(sightings.size, HOP)
    passing = _Passing(np.ascontiguousarray(sightings["namespace"]), keys, station)

    def order(some: Runs) -> None:
        _order(some.rows, some.start, some.first, passing, is_told, hops)

    run_all(order, runs.pieces())
    return hops


def _gather_pieces(
    sightings: npt.NDArray[np.void], times_ns: npt.NDArray[np.int64], packet: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The fragments of a datagram pass a point one after the other: for the order, at the time of the first of them."""
    pieces = pieces_of(sightings)
    if pieces.size == 0:
        return times_ns.copy()
    key = np.zeros(pieces.size, [("packet", "i8"), ("place", "u4"), ("direction", "u1")])
    key["packet"] = packet[pieces]
    key["place"] = sightings["place"][pieces]
    key["direction"] = sightings["direction"][pieces]
    _, inverse = np.unique(key, return_inverse=True)
    inverse = inverse.reshape(-1)
    first = np.full(int(inverse.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, inverse, times_ns[pieces])
    gathered = times_ns.copy()
    gathered[pieces] = first[inverse]
    return gathered


def drops_apart(
    hops: npt.NDArray[np.void], sightings: npt.NDArray[np.void]
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
    """(HOP rows of where packets were seen, those of what the kernel says it dropped). A path that has nothing but
    drops keeps them also in the first, so that every path has a hop."""
    told_of = of_kind(sightings, DROP)
    if told_of.start == told_of.stop:
        return hops, hops[:0]
    is_drop = (hops["sighting"] >= told_of.start) & (hops["sighting"] < told_of.stop)
    others = np.zeros(int(hops["packet"].max()) + 1, np.bool_)
    others[hops["packet"][~is_drop]] = True
    seen = ~is_drop | ~others[hops["packet"]]
    return hops.take(np.flatnonzero(seen)), hops.take(np.flatnonzero(is_drop))


def path_bounds(hops: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(first row, last row) of each path in HOP rows, both inclusive."""
    changes = np.flatnonzero(hops["packet"][1:] != hops["packet"][:-1]) + 1
    start = np.append(0, changes) if hops.size else changes
    return start, np.append(changes, hops.size) - 1 if hops.size else changes


@njit(cache=True, nogil=True)
def _order(order, bounds, first, passing, is_told, hops):
    """`order`, `bounds`: the sightings of each packet, frames first; of both in their own order. `first`: number of the
    first packet."""
    for p in range(bounds.size - 1):
        start, stop = bounds[p], bounds[p + 1]
        middle = start
        while middle < stop and not is_told[order[middle]]:
            middle += 1
        if middle == stop:
            _order_frames(first + p, order, start, stop, passing, hops)
        else:
            _merge(first + p, order, start, middle, stop, passing, hops)


@njit(cache=True, nogil=True, inline="always")
def _order_frames(packet, order, start, stop, passing, hops):
    """Frames alone are in order already."""
    namespace, station = passing.namespace, passing.station
    visit = 0
    for k in range(start, stop):
        i = order[k]
        if k > start and (namespace[order[k - 1]] != namespace[i] or station[i] < station[order[k - 1]]):
            visit += 1
        hop = hops[k]
        hop.packet = packet
        hop.sighting = i
        hop.visit = visit
        hop.station = station[i]


@njit(cache=True, nogil=True)
def _merge(packet, order, start, middle, stop, passing, hops):
    """Frames and what the kernel told, by visit, then station, then the order each source has by itself."""
    seen = order[start:middle]
    rows = order[middle:stop]
    visit_seen = np.empty(seen.size, np.int64)
    visit_rows = np.empty(rows.size, np.int64)
    visits = _number_visits(seen, passing, visit_seen)
    keys = np.empty(visits, np.int64)
    for i in range(seen.size - 1, -1, -1):
        keys[visit_seen[i]] = passing.times[seen[i]]
    keys = _visits_of_told(rows, seen, passing, visit_seen, visit_rows, keys)
    size = stop - start
    by_key = np.argsort(keys, kind="mergesort")
    position = np.empty(keys.size, np.int64)
    for i in range(keys.size):
        position[by_key[i]] = i
    sort_key = np.empty(size, np.int64)
    for i in range(size):
        visit = visit_seen[i] if i < seen.size else visit_rows[i - seen.size]
        sort_key[i] = (position[visit] << 40) | (passing.station[order[start + i]] << 24) | i
    merged = np.argsort(sort_key, kind="mergesort")
    for i in range(size):
        source = merged[i]
        hop = hops[start + i]
        hop.packet = packet
        hop.sighting = order[start + source]
        hop.visit = sort_key[source] >> 40
        hop.station = passing.station[order[start + source]]


@njit(cache=True, nogil=True)
def _number_visits(rows, passing, visit):
    """Visit of each of `rows` (in order): a new one where the namespace changes or the way through it begins again."""
    namespace, station = passing.namespace, passing.station
    count = 0
    for i in range(rows.size):
        if i > 0 and (namespace[rows[i - 1]] != namespace[rows[i]] or station[rows[i]] < station[rows[i - 1]]):
            count += 1
        visit[i] = count
    return count + 1 if rows.size else 0


@njit(cache=True)
def _visits_of_told(rows, seen, passing, visit_seen, visit, keys):
    """Give each of `rows` the visit of the frames it belongs to, or one of its own; `keys` grows by the time of the new
    ones."""
    used = keys.size
    out_keys = np.empty(used + rows.size, np.int64)
    out_keys[:used] = keys
    for i in range(rows.size):
        found = _visit_of_frames(rows, i, seen, passing, visit_seen)
        if found >= 0:
            visit[i] = found
            continue
        # No frame here: the visit of what was told earlier of this passage, or a new one.
        reuse = _earlier_visit(rows, i, passing, visit)
        station = passing.station[rows[i]]
        if reuse >= 0:
            visit[i] = reuse
            if station == _INPUT:  # the packet goes no further, wherever the clock of the message puts it
                out_keys[reuse] = max(out_keys[reuse], np.int64(2**62))
            continue
        key = passing.times[rows[i]]
        if station == _OUTPUT:  # it began here
            key = np.int64(-(2**62))
        elif station == _INPUT:
            key = np.int64(2**62)
        out_keys[used] = key
        visit[i] = used
        used += 1
    return out_keys[:used]


@njit(cache=True)
def _visit_of_frames(rows, i, seen, passing, visit_seen):
    """The n-th visit of its namespace that frames show, if row i belongs to the n-th that was told of; -1 for none."""
    namespace = passing.namespace[rows[i]]
    nth = 0
    last = np.int64(-1)
    for j in range(i + 1):
        if passing.namespace[rows[j]] != namespace:
            continue
        if last >= 0 and passing.station[rows[j]] < last:
            nth += 1
        last = passing.station[rows[j]]
    found = np.int64(-1)
    distinct = -1
    for k in range(seen.size):
        if passing.namespace[seen[k]] == namespace and visit_seen[k] != found:
            distinct += 1
            found = visit_seen[k]
            if distinct == nth:
                break
    return found


@njit(cache=True)
def _earlier_visit(rows, i, passing, visit):
    """The visit of the row before it in its namespace, if the way through goes on there; -1 for none."""
    reuse = np.int64(-1)
    for j in range(i):
        if passing.namespace[rows[j]] == passing.namespace[rows[i]]:
            reuse = visit[j] if passing.station[rows[i]] >= passing.station[rows[j]] else np.int64(-1)
    return reuse
