"""What the order of the points of one way is not sure of, packet by packet."""

from typing import Final

import numpy as np

from ...kernels.njit import njit, uncounted_njit
from .way_order import find_sure

_COARSE_NS: Final = 2_000
"""Two times of one clock tell an order when they are further apart: tcpdump cuts to microseconds, and several CPUs take
them."""


@njit(cache=True, inline="always")
def find_doubtful(packet, view, way, place, views, doubtful):
    """Mark the hops of each packet that nothing but a guess puts behind the hop before."""
    sure = np.empty((place.size, place.size), np.bool_)
    if find_sure(place, views, way, sure):
        return
    _doubt_packets(packet, view, place, sure, np.full(place.size, -1, np.int64), doubtful)


@uncounted_njit
def _doubt_packets(packet, view, place, sure, latest, doubtful):
    """`sure`: of every two views, whether something says that the second comes behind the first; `latest`: row of the
    current packet, by place on the way, with -1 in it."""
    first = 0
    for i in range(packet.size + 1):
        if i == packet.size or packet[i] != packet[first]:
            last = -1
            for p in range(place.size):
                if latest[p] < 0:
                    continue
                if last >= 0 and not sure[view[last], view[latest[p]]]:
                    for k in range(first, i):  # all pieces of a datagram
                        doubtful[k] |= view[k] == view[latest[p]]
                last = latest[p]
                latest[p] = -1
            first = i
        if i < packet.size:
            latest[place[view[i]]] = i


@uncounted_njit
def leave_others(one, rank, doubtful):
    """A packet that the times of one clock show on another way (a route changed) is ordered by its own times."""
    first = 0
    for i in range(one.packet.size + 1):
        if i < one.packet.size and one.packet[i] == one.packet[first]:
            continue
        other_way = False
        for j in range(first, i):  # in order of time
            for k in range(first, j):
                later = one.times[j] - one.times[k] > _COARSE_NS
                other_way |= one.node[j] == one.node[k] and later and rank[j] < rank[k]
        if other_way:
            for j in range(first, i):
                rank[j], doubtful[j] = -1, False
        first = i
