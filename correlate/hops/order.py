"""Packets -> hops: the sightings of each packet in the order in which they happened.

Frames carry the kernel's time, trace messages none. So frames are ordered by time (in plain captures by what all
packets of their direction say, point_order.py), messages by their place in the socket, and the two are merged by where
in a namespace each stands: a frame is seen on ingress before the hooks and on
egress behind them. One passage of a packet through one namespace is a *visit*; looping through lo, or through a router
that is not captured, makes a second visit.
"""

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...kernels.threads import run_all
from ..arrays.grouping import Runs, runs_of_ids
from ..decode.fragments import pieces_of
from ..netfilter.numbers import Hook
from ..nodes.topology import Role, Topology
from ..sightings import frames, told

HOP: Final = np.dtype(
    [
        ("packet", "i8"),
        ("sighting", "i8"),  # row of the sightings
        ("visit", "i4"),  # counts the passages through namespaces within the packet, from 0
        ("station", "i4"),  # Station: where in the namespace
    ],
    align=True,
)


class Station(IntEnum):
    """Where in a namespace a sighting is, in the order in which a packet passes: frames at the devices, hooks between.

    The kernel's order: a frame is seen on ingress before the hooks and on egress behind them (net/core/dev.c); a bridge
    has hooks of its own around those of IP (net/bridge/br_netfilter_hooks.c).
    """

    PORT_IN = 0
    BRIDGE_PREROUTING = 5
    BRIDGED_PREROUTING = 10
    """With bridge-nf-call-iptables the ip prerouting hook runs on the bridge port, before the bridge device sees the
    packet."""
    BRIDGE_INPUT = 15
    DEVICE_IN = 20
    INGRESS = 25
    PREROUTING = 30
    BRIDGED_OUT = 35
    """A bridge device that sends a packet back into itself (_place_bridged_out)."""
    FORWARD = 40
    INPUT = 41
    """Behind forward only to be told from it: no packet passes both."""
    OUTPUT = 50
    POSTROUTING = 60
    EGRESS = 65
    DEVICE_OUT = 70
    BRIDGE_FORWARD = 75
    BRIDGE_POSTROUTING = 78
    PORT_OUT = 80


_FORWARD, _INPUT, _OUTPUT = int(Station.FORWARD), int(Station.INPUT), int(Station.OUTPUT)
"""For kernels."""
_STATIONS: Final = {
    Hook.INGRESS: Station.INGRESS, Hook.PREROUTING: Station.PREROUTING, Hook.FORWARD: Station.FORWARD,
    Hook.INPUT: Station.INPUT, Hook.OUTPUT: Station.OUTPUT, Hook.POSTROUTING: Station.POSTROUTING,
    Hook.EGRESS: Station.EGRESS,
}  # fmt: skip
_BRIDGE_STATIONS: Final = {
    Hook.PREROUTING: Station.BRIDGE_PREROUTING, Hook.INPUT: Station.BRIDGE_INPUT,
    Hook.FORWARD: Station.BRIDGE_FORWARD, Hook.OUTPUT: Station.BRIDGE_FORWARD,
    Hook.POSTROUTING: Station.BRIDGE_POSTROUTING,
}  # fmt: skip


def _by_number(stations: dict[Hook, Station]) -> list[int]:
    """The station of each number that a hook may have; in the middle where it is not known."""
    numbers = {int(hook): int(station) for hook, station in stations.items()}
    return [numbers.get(number, _FORWARD) for number in range(256)]


_STATION_OF_HOOK: Final = np.array([_by_number(_STATIONS), _by_number(_BRIDGE_STATIONS)], np.int64)
"""By whether it is a hook of a bridge, and its number."""


def order_hops(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    packet: npt.NDArray[np.int64],
    said: npt.NDArray[np.void],
    topology: Topology,
    rank: npt.NDArray[np.integer],
) -> npt.NDArray[np.void]:
    """HOP rows of all packets, packet by packet, each in the order of its way.

    Arguments as for `match_packets`; `packet` is its result per sighting; `rank`: per observation, as in PointOrder.
    """
    behind = told(sightings)
    station = np.empty(sightings.size, np.int64)
    station[: behind.start] = _stations_of_frames(frames(sightings), topology)
    station[behind] = _stations_of_hooks(said, sightings["namespace"][behind], topology)
    _place_bridged_out(station, sightings, packet, said, topology)
    keys = _gather_pieces(sightings, times_ns, packet).copy()
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
    namespace = np.ascontiguousarray(sightings["namespace"])

    def order(some: Runs) -> None:
        _order(some.rows, some.start, some.first, namespace, keys, station, is_told, hops)

    run_all(order, runs.pieces())
    return hops


def _gather_pieces(
    sightings: npt.NDArray[np.void], times_ns: npt.NDArray[np.int64], packet: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The fragments of a datagram pass a point one after the other: for the order, at the time of the first of them."""
    pieces = pieces_of(sightings)
    if pieces.size == 0:
        return times_ns
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


def path_bounds(hops: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(first row, last row) of each path in HOP rows, both inclusive."""
    changes = np.flatnonzero(hops["packet"][1:] != hops["packet"][:-1]) + 1
    start = np.append(0, changes) if hops.size else changes
    return start, np.append(changes, hops.size) - 1 if hops.size else changes


def _stations_of_frames(observations: npt.NDArray[np.void], topology: Topology) -> npt.NDArray[np.int64]:
    table = np.zeros((len(topology.points) + 1, 4), np.int64)
    for point in topology.points:
        port = point.role == Role.PORT
        inbound, outbound = (Station.PORT_IN, Station.PORT_OUT) if port else (Station.DEVICE_IN, Station.DEVICE_OUT)
        table[point.index] = (inbound, inbound, outbound, inbound)  # direction 0 unknown, 1 in, 2 out
    station = np.empty(observations.size, np.int64)
    _look_up_stations(observations, table, station)
    return station


@njit(cache=True, nogil=True)
def _look_up_stations(observations, table, station):
    for i in range(observations.size):
        row = observations[i]
        station[i] = table[row.place, row.direction]


def _stations_of_hooks(
    said: npt.NDArray[np.void], namespace: npt.NDArray[np.uint16], topology: Topology
) -> npt.NDArray[np.int64]:
    """Per TOLD row, in this namespace."""
    if said.size == 0:
        return np.empty(0, np.int64)
    station = _STATION_OF_HOOK[said["bridge"], said["hook"]]
    bridges = {
        (n.index, index)
        for n in topology.namespaces
        if n.bridge_nf
        for index, link in n.links.items()
        if link.get("kind") == "bridge"
    }
    entered = (namespace.astype(np.int64) << 32) | said["input_index"]
    from_bridge = np.isin(entered, [(n << 32) | i for n, i in bridges])
    return np.where(from_bridge & (station == Station.PREROUTING), Station.BRIDGED_PREROUTING, station)


def _place_bridged_out(
    station: npt.NDArray[np.int64],
    sightings: npt.NDArray[np.void],
    packet: npt.NDArray[np.int64],
    said: npt.NDArray[np.void],
    topology: Topology,
) -> None:
    """A packet whose DNAT leads back into its own bridge leaves by the bridge device before the forward hook.

    br_nf_pre_routing_finish_bridge sends it there: the device's `out` frame has the new destination and the old source.
    """
    behind = told(sightings)
    seen = frames(sightings)
    back = (station[behind] == _FORWARD) & (said["input_index"] == said["output_index"])
    back &= said["input_index"] > 0
    if not back.any():
        return
    bridge = np.array([p.role == Role.BRIDGE for p in topology.points] or [False], np.bool_)
    namespace = sightings["namespace"].astype(np.int64)
    passage = (packet << 16) | namespace
    out = bridge[seen["place"]] & (station[: seen.size] == Station.DEVICE_OUT)
    out &= np.isin(passage[: seen.size], passage[behind][back])
    station[: seen.size][out] = Station.BRIDGED_OUT


@njit(cache=True, nogil=True)
def _number_visits(rows, namespace, station, visit):
    """Visit of each of `rows` (in order): a new one where the namespace changes or the way through it begins again."""
    count = 0
    for i in range(rows.size):
        if i > 0 and (namespace[rows[i - 1]] != namespace[rows[i]] or station[rows[i]] < station[rows[i - 1]]):
            count += 1
        visit[i] = count
    return count + 1 if rows.size else 0


@njit(cache=True)
def _visits_of_evaluations(rows, seen, namespace_of, times, station, visit_seen, visit, keys):
    """Give each evaluation the visit of the frames it belongs to, or one of its own; `keys` grows by the time of the
    new ones."""
    used = keys.size
    out_keys = np.empty(used + rows.size, np.int64)
    for i in range(used):
        out_keys[i] = keys[i]
    for i in range(rows.size):
        namespace = namespace_of[rows[i]]
        # How many visits of this namespace did the trace see up to here?
        nth = 0
        last = np.int64(-1)
        for j in range(i + 1):
            if namespace_of[rows[j]] != namespace:
                continue
            if last >= 0 and station[rows[j]] < last:
                nth += 1
            last = station[rows[j]]
        found = np.int64(-1)
        distinct = -1
        for k in range(seen.size):
            if namespace_of[seen[k]] == namespace and visit_seen[k] != found:
                distinct += 1
                found = visit_seen[k]
                if distinct == nth:
                    break
        if found >= 0:
            visit[i] = found
            continue
        # No frame here: the visit of the earlier evaluations of this passage, or a new one.
        last = np.int64(-1)
        reuse = np.int64(-1)
        for j in range(i):
            if namespace_of[rows[j]] != namespace:
                continue
            reuse = visit[j] if station[rows[i]] >= station[rows[j]] else np.int64(-1)
        if reuse >= 0:
            visit[i] = reuse
            if station[rows[i]] == _INPUT:  # the packet goes no further, wherever the clock of the message puts it
                out_keys[reuse] = max(out_keys[reuse], np.int64(2**62))
            continue
        key = times[rows[i]]
        if station[rows[i]] == _OUTPUT:  # it began here
            key = np.int64(-(2**62))
        elif station[rows[i]] == _INPUT:
            key = np.int64(2**62)
        out_keys[used] = key
        visit[i] = used
        used += 1
    return out_keys[:used]


@njit(cache=True, nogil=True)
def _order(order, bounds, first, namespace, times, station, is_told, hops):
    """`order`, `bounds`: the sightings of each packet, frames first; of both in their own order. `first`: number of the
    first packet."""
    for p in range(bounds.size - 1):
        start, stop = bounds[p], bounds[p + 1]
        middle = start
        while middle < stop and not is_told[order[middle]]:
            middle += 1
        if middle == stop:
            _order_frames(first + p, order, start, stop, namespace, station, hops)
        else:
            _merge(first + p, order, start, middle, stop, namespace, times, station, hops)


@njit(cache=True, nogil=True)
def _order_frames(packet, order, start, stop, namespace, station, hops):
    """Frames alone are in order already."""
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
def _merge(packet, order, start, middle, stop, namespace, times, station, hops):
    """Frames and evaluations, by visit, then station, then the order each source has by itself."""
    seen = order[start:middle]
    rows = order[middle:stop]
    visit_seen = np.empty(seen.size, np.int64)
    visit_rows = np.empty(rows.size, np.int64)
    visits = _number_visits(seen, namespace, station, visit_seen)
    keys = np.empty(visits, np.int64)
    for i in range(seen.size - 1, -1, -1):
        keys[visit_seen[i]] = times[seen[i]]
    keys = _visits_of_evaluations(rows, seen, namespace, times, station, visit_seen, visit_rows, keys)
    size = stop - start
    by_key = np.argsort(keys, kind="mergesort")
    position = np.empty(keys.size, np.int64)
    for i in range(keys.size):
        position[by_key[i]] = i
    sort_key = np.empty(size, np.int64)
    for i in range(size):
        visit = visit_seen[i] if i < seen.size else visit_rows[i - seen.size]
        sort_key[i] = (position[visit] << 40) | (station[order[start + i]] << 24) | i
    merged = np.argsort(sort_key, kind="mergesort")
    for i in range(size):
        source = merged[i]
        hop = hops[start + i]
        hop.packet = packet
        hop.sighting = order[start + source]
        hop.visit = sort_key[source] >> 40
        hop.station = station[order[start + source]]
