"""Sightings that the kernel told of -> the packets that frames show, or packets of their own."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..schema import ONE_PACKET_NS
from .points import point_key, same_point
from .slots import NEIGHBOURS, number_slots

_MOST_COMPARED = 256
"""More than that are not looked at pair by pair."""


class _Known(NamedTuple):
    """The packets of one run that frames show, as the namespaces of the rows know them. A row of each table per
    namespace."""

    candidates: npt.NDArray[np.int64]
    """Packets, in order of time."""
    counts: npt.NDArray[np.int64]
    """How many of them."""
    first_ns: npt.NDArray[np.int64]
    """When each packet was seen, by its number from `base` on."""


@njit(cache=True)
def fits_one(rows, sightings, times, time_ns):
    """Nothing is told twice, by a chain or another place, under one pair of addresses, and all are near in time: it is
    of one packet. A node that a packet passes twice sees it under others the second time."""
    if rows.size > _MOST_COMPARED:
        return False
    for i in range(rows.size):
        if abs(times[rows[i]] - time_ns) > ONE_PACKET_NS:
            return False
        for j in range(i):
            if same_point(sightings[rows[j]], sightings[rows[i]]):
                return False
    return True


@njit(cache=True)
def assign_told(seen, rows, sightings, times, packet, ambiguous, base, count):
    """They join the packet their namespace saw: the k-th of k, or the nearest that their teller has not had.

    `seen`, `rows`: frames and what was told, of equal content and by time; the packets of the frames are `base` to
    `count`. Returns the number of packets, with new ones that frames do not show.
    """
    tellers, teller, place = _number_tellers(rows, sightings)
    known = _known_packets(seen, rows, place, sightings, times, packet, base, count)
    totals = np.zeros(tellers, np.int64)
    for i in range(rows.size):
        totals[teller[i]] += 1
    nth = np.zeros(tellers, np.int64)
    had = np.zeros((tellers, count - base + rows.size), np.bool_)
    created_ns = np.empty(rows.size, np.int64)
    created = 0
    for i in range(rows.size):
        at, where = teller[i], place[i]
        now = times[rows[i]]
        found = np.int64(-1)
        if totals[at] == known.counts[where]:
            found = known.candidates[where, nth[at]]
            if had[at, found - base] or abs(now - known.first_ns[where, found - base]) > ONE_PACKET_NS:
                found = np.int64(-1)
        nth[at] += 1
        if found < 0:
            found = _nearest(now, known.candidates[where, : known.counts[where]], known.first_ns[where], had[at], base)
            if found >= 0 and known.counts[where] > 1:
                ambiguous[found] = True
        if found < 0:
            found = count + _latest_created(now, created_ns[:created], had[at, count - base :])
        if found == count + created:
            created_ns[created] = now
            created += 1
        packet[rows[i]] = found
        had[at, found - base] = True
    return count + created


@njit(cache=True)
def _number_tellers(rows, sightings):
    """(number of tellers, which each row has, which namespace each row has): both numbered from 0."""
    tellers = np.empty(rows.size, np.int64)
    namespaces = np.empty(rows.size, np.int64)
    for i in range(rows.size):
        tellers[i] = point_key(sightings[rows[i]])
        namespaces[i] = sightings[rows[i]].namespace
    teller, place = np.empty(rows.size, np.int64), np.empty(rows.size, np.int64)
    number_slots(namespaces, place)
    return number_slots(tellers, teller), teller, place


@njit(cache=True)
def _known_packets(seen, rows, place, sightings, times, packet, base, count):
    places = place.max() + 1
    known = _Known(
        np.empty((places, count - base), np.int64), np.full(places, np.int64(-1)),
        np.empty((places, count - base + rows.size), np.int64),
    )  # fmt: skip
    for i in range(rows.size):
        where = place[i]
        if known.counts[where] < 0:
            namespace = sightings[rows[i]].namespace
            known.counts[where] = _seen_by(
                seen, sightings, times, packet, base, namespace, known.candidates[where], known.first_ns[where]
            )
    return known


@njit(cache=True)
def _latest_created(now, created_ns, had):
    """Of the packets that only the kernel told of, the first that is near: rows come in order of time; else a new
    one."""
    found = np.int64(created_ns.size)
    for k in range(created_ns.size - 1, max(created_ns.size - NEIGHBOURS, 0) - 1, -1):
        if not had[k] and abs(now - created_ns[k]) <= ONE_PACKET_NS:
            found = np.int64(k)
    return found


@njit(cache=True)
def _seen_by(seen, sightings, times, packet, base, namespace, candidates, first_ns):
    """Fill `candidates` with the packets that a namespace saw (all packets, if it saw none), `first_ns` with when."""
    marked = np.zeros(candidates.size, np.bool_)
    known = 0
    for everywhere in (False, True):
        for i in range(seen.size):
            p = packet[seen[i]]
            if (everywhere or sightings[seen[i]].namespace == namespace) and not marked[p - base]:
                marked[p - base] = True
                candidates[known] = p
                first_ns[p - base] = times[seen[i]]
                known += 1
        if known > 0:
            break
    return known


@njit(cache=True)
def _nearest(now, candidates, first_ns, had, base):
    """Of the candidates, which are in order of time, the nearest that the chain has not had; -1 when none is near."""
    low, high = 0, candidates.size
    while low < high:
        middle = (low + high) // 2
        if first_ns[candidates[middle] - base] <= now:
            low = middle + 1
        else:
            high = middle
    found = np.int64(-1)
    best = np.int64(ONE_PACKET_NS + 1)
    for k in range(max(low - NEIGHBOURS, 0), min(low + NEIGHBOURS, candidates.size)):
        p = candidates[k]
        distance = abs(now - first_ns[p - base])
        if distance < best and not had[p - base]:
            best = distance
            found = p
    return found
