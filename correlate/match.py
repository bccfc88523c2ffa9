"""Sightings -> packets: which sightings, at different points, are the same packet.

Within one direction of one connection, sightings with the same `content` are candidates. A capture point sees a packet
once in each direction, so a place that occurs twice means two packets (a retransmission with the same IP id, equal
datagrams): their sightings are paired in order of time, and what cannot be told apart is marked ambiguous.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from .connections import Connections

_WINDOW_NS: Final = 2_000_000_000
"""Sightings further apart than this are not one packet, however alike."""


@dataclass(slots=True, kw_only=True)
class Packets:
    """Which packet each sighting belongs to."""

    packet: npt.NDArray[np.int64]
    """Packet of each sighting, numbered by the time of the first sighting."""
    ambiguous: npt.NDArray[np.bool_]
    """Per packet: another assignment would have fitted as well."""
    count: int


def match_packets(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    connections: Connections,
    evaluations: npt.NDArray[np.void],
) -> Packets:
    """Put every sighting into exactly one packet.

    `sightings`: SIGHTING rows, observations first, then one per row of `evaluations` (EVALUATION); `times_ns`: when
    each happened, on the reference clock (an evaluation: the time of the frame its header was found in, else of its
    receipt).
    """
    observed = sightings.size - evaluations.size
    queue = np.zeros(sightings.size, np.int64)
    queue[observed:] = evaluations["order"]
    is_evaluation = np.arange(sightings.size) >= observed
    # In each run of equal content: observations by time, then evaluations in the order of their socket.
    within = np.where(is_evaluation, queue, times_ns)
    order = np.lexsort((within, is_evaluation, sightings["content"], connections.direction_group))
    packet = np.full(sightings.size, -1, np.int64)
    ambiguous = np.zeros(sightings.size + 1, np.bool_)
    count = _assign(order, connections.direction_group, sightings, times_ns, observed, packet, ambiguous)
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, packet, times_ns)
    rank = np.empty(count, np.int64)
    by_time = np.argsort(first, kind="stable")
    rank[by_time] = np.arange(count)
    return Packets(packet=rank[packet], ambiguous=ambiguous[:count][by_time], count=int(count))


@njit(cache=True)
def _assign(order, group, sightings, times, observed, packet, ambiguous):
    count = 0
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
        while middle < stop and order[middle] < observed:
            middle += 1
        base = count
        count = _assign_observations(order[start:middle], sightings, times, packet, ambiguous, count)
        count = _assign_evaluations(
            order[start:middle], order[middle:stop], sightings, times, packet, ambiguous, base, count
        )
        start = stop
    return count


@njit(cache=True)
def _point(row):
    """Capture point, direction and piece of the datagram in one number."""
    return ((np.int64(row.place) * 4 + np.int64(row.direction)) << 13) | np.int64(row.fragment & np.uint16(0x1FFF))


@njit(cache=True)
def _all_different(rows, sightings, times):
    """No point occurs twice, no payload contradicts and no gap is too long: one packet."""
    payload = np.uint64(0)
    for i in range(rows.size):
        row = sightings[rows[i]]
        if row.payload != 0:
            if payload != 0 and payload != row.payload:
                return False
            payload = row.payload
        if i > 0 and times[rows[i]] - times[rows[i - 1]] > 2_000_000_000:
            return False
        for j in range(i):
            if _point(sightings[rows[j]]) == _point(row):
                return False
    return True


@njit(cache=True)
def _occurrences(rows, sightings, occurrence):
    """Fill `occurrence` with how often each row's point came before; returns the count every point has, or 0 if they
    differ."""
    points = np.empty(rows.size, np.int64)
    totals = np.zeros(rows.size, np.int64)
    known = 0
    for i in range(rows.size):
        point = _point(sightings[rows[i]])
        slot = -1
        for s in range(known):
            if points[s] == point:
                slot = s
                break
        if slot < 0:
            slot = known
            points[slot] = point
            known += 1
        occurrence[i] = totals[slot]
        totals[slot] += 1
    for s in range(1, known):
        if totals[s] != totals[0]:
            return 0
    return totals[0] if known else 0


@njit(cache=True)
def _assign_observations(rows, sightings, times, packet, ambiguous, count):
    if rows.size == 0:
        return count
    if rows.size <= 256 and _all_different(rows, sightings, times):
        for i in range(rows.size):
            packet[rows[i]] = count
        return count + 1
    occurrence = np.zeros(rows.size, np.int64)
    each = _occurrences(rows, sightings, occurrence)
    if each > 0 and _in_order(rows, occurrence, each, sightings, times):
        for i in range(rows.size):
            packet[rows[i]] = count + occurrence[i]
        return count + each
    return _assign_nearest(rows, sightings, times, packet, ambiguous, count)


@njit(cache=True)
def _in_order(rows, occurrence, each, sightings, times):
    """The k-th sighting at every point is one packet: no payload contradicts that and each keeps together in time."""
    first = np.full(each, np.int64(-1))
    for i in range(rows.size):
        k = occurrence[i]
        if first[k] < 0:
            first[k] = rows[i]
        elif times[rows[i]] - times[first[k]] > 2_000_000_000:
            return False
        else:
            a = sightings[first[k]].payload
            b = sightings[rows[i]].payload
            if a != 0 and b != 0 and a != b:
                return False
    return True


@njit(cache=True)
def _assign_nearest(rows, sightings, times, packet, ambiguous, count):
    """Each sighting goes to the most recent packet that its point has not seen; a second such packet makes it
    ambiguous."""
    base = count
    for i in range(rows.size):
        row = sightings[rows[i]]
        found = np.int64(-1)
        rival = np.int64(-1)
        for back in range(1, min(i, 64) + 1):
            j = rows[i - back]
            if times[rows[i]] - times[j] > 2_000_000_000:
                break
            p = packet[j]
            if p in (found, rival):
                continue
            fits = True
            for other in range(1, min(i, 64) + 1):
                k = rows[i - other]
                if packet[k] != p:
                    continue
                seen = sightings[k]
                if _point(seen) == _point(row) or (
                    seen.payload != 0 and row.payload != 0 and seen.payload != row.payload
                ):
                    fits = False
                    break
            if fits:
                if found < 0:
                    found = p
                else:
                    rival = p
                    break
        if found < 0:
            packet[rows[i]] = count
            count += 1
        else:
            packet[rows[i]] = found
            if rival >= base:
                ambiguous[found] = True
                ambiguous[rival] = True
    return count


@njit(cache=True)
def _assign_evaluations(seen, rows, sightings, times, packet, ambiguous, base, count):
    """Evaluations join the packet their namespace saw: the only one, the k-th of k, or the nearest before them."""
    for i in range(rows.size):
        row = sightings[rows[i]]
        total = 0
        nth = 0
        for j in range(rows.size):
            if sightings[rows[j]].place == row.place:
                if j < i:
                    nth += 1
                total += 1
        found = _nth_packet(seen, rows[:i], row, sightings, packet, nth, total)
        if found < 0:
            found = _nearest_packet(seen, rows[:i], rows[i], row, sightings, times, packet)
            if found >= 0 and count - base > 1:
                ambiguous[found] = True
        if found < 0:
            found = count
            count += 1
        packet[rows[i]] = found
    return count


@njit(cache=True)
def _nth_packet(seen, earlier, row, sightings, packet, nth, total):
    """The nth packet its namespace (or, if that saw none, any) saw, when there are just `total` of them; else -1."""
    local = False
    for i in range(seen.size):
        if sightings[seen[i]].namespace == row.namespace:
            local = True
            break
    distinct = np.empty(min(seen.size, total + 1), np.int64)
    known = 0
    for i in range(seen.size):
        if local and sightings[seen[i]].namespace != row.namespace:
            continue
        p = packet[seen[i]]
        new = True
        for k in range(known):
            if distinct[k] == p:
                new = False
                break
        if new:
            if known == total:
                return np.int64(-1)
            distinct[known] = p
            known += 1
    if known != total:
        return np.int64(-1)
    for i in range(earlier.size):
        if packet[earlier[i]] == distinct[nth] and sightings[earlier[i]].place == row.place:
            return np.int64(-1)
    return distinct[nth]


@njit(cache=True)
def _nearest_packet(seen, earlier, index, row, sightings, times, packet):
    """The packet nearest in time, in this namespace if it saw any, that this chain has not had; -1 when none is
    near."""
    for local in (True, False):
        found = np.int64(-1)
        best = np.int64(2_000_000_000)
        for i in range(seen.size + earlier.size):
            k = seen[i] if i < seen.size else earlier[i - seen.size]
            if local and sightings[k].namespace != row.namespace:
                continue
            distance = abs(times[k] - times[index])
            if distance >= best:
                continue
            p = packet[k]
            had = False
            for e in range(earlier.size):
                if packet[earlier[e]] == p and sightings[earlier[e]].place == row.place:
                    had = True
                    break
            if not had:
                best = distance
                found = p
        if found >= 0:
            return found
    return np.int64(-1)
