"""Sightings -> packets: which sightings, at different points, are the same packet.

Within one direction of one connection, sightings with the same `content` are candidates. A capture point sees a packet
once in each direction, so a place that occurs twice means two packets (a retransmission with the same IP id, equal
datagrams): their sightings are paired in order of time, and what cannot be told apart is marked ambiguous. Nothing
overtakes its equal within a node, but between nodes it may: two that were under way there at once are ambiguous.
What cannot have been in that order, or is clearly apart in time, is not paired (apart.py).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import Runs, runs_of_keys
from ..decode.payload import by_payload, contradict
from ..flows.connections import Connections
from ..schema import ONE_PACKET_NS
from ..sightings import FRAME, told
from .apart import (
    Run,
    any_rises,
    any_turned,
    apart,
    apart_from_any,
    find_heaps,
    on_one_node,
    rises,
    ttl_falls,
    turned,
    turned_from_any,
)
from .copies import find_copies
from .doubt import doubt_lone, doubt_overtaking
from .match_told import assign_told, fits_one
from .numbering import order_of_appearance
from .points import point_key, same_point
from .slots import NEIGHBOURS, number_slots

_MOST_COMPARED: Final = 256
"""More than that are not looked at pair by pair."""
_NEAR_NS: Final = 1_000_000
"""Sightings of what passes its points within this time are not asked for their order."""


@dataclass(slots=True, kw_only=True)
class Packets:
    """Which packet each sighting belongs to."""

    packet: npt.NDArray[np.int64]
    """Packet of each sighting, numbered by the time of the first sighting."""
    ambiguous: npt.NDArray[np.bool_]
    """Per packet: another assignment would have fitted as well."""
    count: int
    copy_of: npt.NDArray[np.int64] | None = None
    """See find_copies."""


def match_packets(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    connections: Connections,
    said: npt.NDArray[np.void],
    where: npt.NDArray[np.void],
    outers: npt.NDArray[np.void],
    contents: Runs | None = None,
) -> Packets:
    """Put every sighting into exactly one packet.

    `sightings`: SIGHTING rows, of them one per row of `said` (TOLD); `times_ns`: when
    each happened, on the reference clock (an evaluation: the time of the frame its header was found in, else of its
    receipt); `where`: see apart.places_of; `outers`: OUTER rows; `contents`: sightings with equal content, where that
    has been found out.
    """
    if contents is None:
        contents = runs_of_keys(sightings["content"])
    group = connections.way
    runs = _sorted(contents, told(sightings), said, times_ns, group)
    packet = np.full(sightings.size, -1, np.int64)
    ambiguous = np.zeros(sightings.size + 1, np.bool_)
    copy_of = find_copies(sightings, times_ns, connections.session, runs, outers)
    if copy_of is not None:
        runs = runs.only(copy_of < 0)
    count = _assign(runs.rows, group, sightings, times_ns, where, packet, ambiguous)
    if copy_of is not None:
        packet = np.where(copy_of >= 0, packet[copy_of], packet)
    by_time = order_of_appearance(packet, count, sightings, times_ns)
    rank = np.empty(count, np.int64)
    rank[by_time] = np.arange(count)
    return Packets(packet=rank[packet], ambiguous=ambiguous[:count][by_time], count=int(count), copy_of=copy_of)


def _sorted(
    contents: Runs,
    behind: slice,
    said: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    group: npt.NDArray[np.int64],
) -> Runs:
    """Each run of equal content: observations by time, then evaluations by time and the order of their socket."""
    if said.size == 0:
        return contents.sorted_by(times_ns, group)
    queue, is_told = np.zeros(times_ns.size, np.int64), np.zeros(times_ns.size, np.bool_)
    queue[behind], is_told[behind] = said["order"], True
    return contents.sorted_by(queue, times_ns, is_told, group)


@njit(cache=True)
def _assign(order, group, sightings, times, where, packet, ambiguous):
    count = np.int64(0)  # for numba, the constant 0 would be a type of its own, with kernels of its own
    start = 0
    while start < order.size:
        head = order[start]
        stop = start + 1
        while (
            stop < order.size
            and group[order[stop]] == group[head]
            and sightings[order[stop]].content == sightings[head].content
        ):
            stop += 1
        middle = start
        while middle < stop and sightings[order[middle]].kind == FRAME:
            middle += 1
        seen, rows = order[start:middle], order[middle:stop]
        base = count
        count = _assign_observations(seen, sightings, times, where, packet, ambiguous, count)
        if rows.size == 0:
            pass
        elif count - base == 1 and fits_one(rows, sightings, times, times[seen[0]]):
            for i in range(rows.size):
                packet[rows[i]] = base
        else:
            count = assign_told(seen, rows, sightings, times, packet, ambiguous, base, count)
        start = stop
    return count


@njit(cache=True)
def _all_different(rows, sightings, times):
    """No point occurs twice, no payload contradicts and no gap is too long: one packet."""
    for i in range(rows.size):
        row = sightings[rows[i]]
        if i > 0 and times[rows[i]] - times[rows[i - 1]] > ONE_PACKET_NS:
            return False
        for j in range(i):
            other = sightings[rows[j]]
            if contradict(row.payload, row.residue, other.payload, other.residue):
                return False
            if same_point(other, row) or rises(other, row):
                return False
    return True


@njit(cache=True)
def _assign_observations(rows, sightings, times, where, packet, ambiguous, count):
    if rows.size == 0:
        return count
    if _is_one(rows, sightings, times, where):
        packet[rows] = count
        return count + 1
    order, start = by_payload(rows, sightings)
    for g in range(start.size - 1):
        alike = rows[order[start[g] : start[g + 1]]]
        if start.size > 2 and _is_one(alike, sightings, times, where):
            packet[alike] = count
            count += 1
        else:
            count = _assign_alike(alike, sightings, times, where, packet, ambiguous, count)
    return count


@njit(cache=True)
def _is_one(rows, sightings, times, where):
    few = rows.size <= _MOST_COMPARED
    return few and _all_different(rows, sightings, times) and _may_be_one(rows, sightings, times, where)


@njit(cache=True)
def _assign_alike(rows, sightings, times, where, packet, ambiguous, count):
    """Nothing but points and times tells these apart."""
    keys = np.empty(rows.size, np.int64)
    for i in range(rows.size):
        keys[i] = point_key(sightings[rows[i]])
    slots = np.empty(rows.size, np.int64)
    points = number_slots(keys, slots)
    totals = np.zeros(points, np.int64)
    occurrence = np.empty(rows.size, np.int64)
    for i in range(rows.size):
        occurrence[i] = totals[slots[i]]
        totals[slots[i]] += 1
    run = Run(
        rows, sightings, times, where, slots, np.empty(rows.size, np.int64), np.empty((points, points), np.bool_),
        ttl_falls(rows, sightings, where),
    )  # fmt: skip
    find_heaps(run)
    each = totals[0]
    as_many = totals.min() == totals.max()
    if as_many and _in_order(rows, occurrence, each, sightings, times) and _fits(run, occurrence, each):
        for i in range(rows.size):
            packet[rows[i]] = count + occurrence[i]
        doubt_overtaking(run, occurrence, each, ambiguous[count:])
        return count + each
    base, count = count, _assign_nearest(run, packet, ambiguous, count)
    doubt_lone(run, packet, base, ambiguous[base:count])
    return count


@njit(cache=True)
def _may_be_one(rows, sightings, times, where):
    """They all come in an order that one packet can have. Of what is near in time, nobody knows better."""
    near = times[rows[rows.size - 1]] - times[rows[0]] <= _NEAR_NS
    return near or not any_turned(rows, sightings, times, where, False)


@njit(cache=True)
def _fits(run, occurrence, each):
    """The k-th sighting at every point can be one packet, by what tells equal packets apart."""
    if run.heap[run.heap.size - 1] == 0 and on_one_node(run):
        return not any_rises(run, occurrence)  # all that `turned` asks there, without comparing each with each
    members, count = np.empty((each, occurrence.size // each), np.int64), np.zeros(each, np.int64)
    several = torn = False
    for i in range(occurrence.size):
        k = occurrence[i]
        here, first = run.sightings[run.rows[i]], run.sightings[run.rows[0]]
        several |= run.where[here.place].machine != run.where[first.place].machine
        for m in range(count[k]):
            j = members[k, m]
            torn |= apart(run, i, j)
            before, row = run.rows[j], run.rows[i]
            if turned(
                run.sightings[before], run.sightings[row], run.times[before], run.times[row], run.where, run.falls
            ):
                return False
        members[k, count[k]] = i
        count[k] += 1
    return not (torn and several)  # on one machine none overtakes the other, however long they wait


@njit(cache=True)
def _in_order(rows, occurrence, each, sightings, times):
    """The k-th sighting at every point is one packet: no payload contradicts that and each keeps together in time."""
    first = np.full(each, np.int64(-1))
    for i in range(rows.size):
        k = occurrence[i]
        if first[k] < 0:
            first[k] = rows[i]
        elif times[rows[i]] - times[first[k]] > ONE_PACKET_NS:
            return False
        else:
            a, b = sightings[first[k]], sightings[rows[i]]
            if contradict(a.payload, a.residue, b.payload, b.residue):
                return False
    return True


@njit(cache=True)
def _assign_nearest(run, packet, ambiguous, count):
    """Each sighting goes to the most recent packet that its point has not seen; a second such one is ambiguous, and so
    is one that is clearly apart in time."""
    rows, sightings, times, slots = run.rows, run.sightings, run.times, run.slots
    base = count
    had = np.full((min(rows.size, NEIGHBOURS), run.near.shape[0]), np.int32(-1))  # by packet and point: the sighting
    payload = np.zeros(rows.size, np.uint64)
    residue = np.zeros(rows.size, np.uint16)
    latest = np.zeros(rows.size, np.int64)
    for i in range(rows.size):
        row = sightings[rows[i]]
        found = np.int64(-1)
        rival = np.int64(-1)
        for p in range(count - 1, max(base, count - NEIGHBOURS) - 1, -1):
            k = p - base
            points = had[k % NEIGHBOURS]
            if times[rows[i]] - times[rows[latest[k]]] > ONE_PACKET_NS or points[slots[i]] >= 0:
                continue
            if contradict(payload[k], residue[k], row.payload, row.residue) or turned_from_any(run, points, i):
                continue
            if found < 0 and not apart_from_any(run, points, i):
                found = np.int64(p)
            elif rival < 0:
                rival = np.int64(p)
            if found >= 0 and rival >= 0:
                break
        if found < 0:
            found = count
            count += 1
            had[(found - base) % NEIGHBOURS] = -1
        if rival >= 0:
            ambiguous[found] = True
            ambiguous[rival] = True
        k = found - base
        packet[rows[i]] = found
        had[k % NEIGHBOURS, slots[i]] = i
        latest[k] = i
        payload[k] = row.payload if payload[k] == 0 else payload[k]
        residue[k] = row.residue if residue[k] == 0 else residue[k]
    return count
