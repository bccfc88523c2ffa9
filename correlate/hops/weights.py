"""What the packets of one way say of every two of its views: who was earlier, who had the higher TTL, how long it took.

The table (WEIGHTS, views, views) has: packets that were earlier at the first, minus later; that had the higher TTL
there, minus the lower; packets seen at both. Of those that were there while something compares the clocks, or of all
where none was: the sum of their delays from the first to the second; of what two clocks may make them wrong, -1 where
that is not known; and whether something compared the clocks. Then, where the first has the smaller number: how far the
TTL fell for the first packet, and 1, or 2 when it fell not as far for all; on the diagonal, of a view itself: its first
TTL, and 1, or 2 when it shows others too.
"""

from typing import Final

import numpy as np

from ...kernels.njit import njit, uncounted_njit

WEIGHTS: Final = 8
"""Rows of the table."""
HIGHER, SHARED, DELAY, ERRORS = 1, 2, 3, 4
"""Some of them."""
_FALLS, _VARIES = 6, 7
_TTL: Final = 40
_OUTER_TTL: Final = 32
"""Where they begin in the number (hops_left)."""
_TUNNEL_BITS: Final = (1 << _OUTER_TTL) - 1
_FAR_NS: Final = 1 << 61
"""An error that leaves everything open; still an integer."""


@uncounted_njit
def weigh(one, view, count, weights, certainty):
    """Fill the weights of every pair of the first `count` views. `one`: the sightings of a way, by packet and time, and
    the `view` of each; `certainty`: a row of each node's Certainty."""
    weights[:, :count, :count] = 0
    before, higher, shared, falls, varies = weights[0], weights[1], weights[2], weights[_FALLS], weights[_VARIES]
    delays = weights[DELAY:]
    first = 0
    for i in range(one.packet.size):
        if one.packet[i] != one.packet[first]:
            first = i
        _compare_drop(view[i], view[i], one.hops_left[i], falls, varies)
        for j in range(first, i):
            a, b = view[j], view[i]
            if a == b:
                continue
            took = one.times[i] - one.times[j]
            drop = _drop(one.hops_left[j], one.hops_left[i])
            earlier = np.int64(took > 0) - np.int64(took < 0)
            _compare_drop(min(a, b), max(a, b), drop if a < b else -drop, falls, varies)
            higher_there = np.int64(drop > 0) - np.int64(drop < 0)
            before[a, b] += earlier
            before[b, a] -= earlier
            higher[a, b] += higher_there
            higher[b, a] -= higher_there
            shared[a, b] += 1
            shared[b, a] += 1
            error = 0.0
            alone = False
            if one.node[i] != one.node[j]:
                error, alone = _clock_error(certainty[one.node[j]], certainty[one.node[i]], one.times[i])
            _time(a, b, took, error, alone, delays)


@njit(cache=True, inline="always")
def _compare_drop(a, b, drop, falls, varies):
    """Note that the TTL falls so far from view a to b, as `falls` and `varies` (1: no, 2: yes) have it."""
    if varies[a, b] == 0:
        falls[a, b] = drop
        varies[a, b] = 1
    elif falls[a, b] != drop:
        varies[a, b] = 2


@njit(cache=True, inline="always")
def ttl_is_set(a, b, weights):
    """Whether one of two views shows one TTL, and the other several: routers take as much off every packet."""
    varies = weights[_VARIES]
    return varies[min(a, b), max(a, b)] == 2 and (varies[a, a] == 1 or varies[b, b] == 1)


@njit(cache=True, inline="always")
def _drop(one, other):
    """How much lower the TTL is at the other sighting: that of the packet, else that of the tunnel it is in at both.
    See hops_left."""
    drop = (one >> _TTL) - (other >> _TTL)
    same_tunnel = one & _TUNNEL_BITS == other & _TUNNEL_BITS
    return (one >> _OUTER_TTL) - (other >> _OUTER_TTL) if drop == 0 and same_tunnel else drop


@njit(cache=True, inline="always")
def hops_left(row, outers):
    """What is compared of a SIGHTING row's TTL: its own, that of the OUTER row around it, and, so that only those of
    one tunnel are compared, bits of the addresses there."""
    left = np.int64(row.ttl) << _TTL
    if row.outer > 0:
        outer = outers[row.outer - 1]
        left |= np.int64(outer.ttl) << _OUTER_TTL | np.int64(outer.flow & np.uint64(_TUNNEL_BITS))
    return left


@njit(cache=True, inline="always")
def _clock_error(clock, other, time_ns):
    """How far the difference of two clocks may be off then, in ns (negative: not known), and whether nothing compares
    one of them at that time. Rows of Certainty."""
    if clock[0] < 0 or other[0] < 0:
        return -1.0, False
    before = max(clock[1] - time_ns, time_ns - clock[2], 0.0)
    behind = max(other[1] - time_ns, time_ns - other[2], 0.0)
    return clock[0] + clock[3] * before + other[0] + other[3] * behind, before > 0 or behind > 0


@njit(cache=True, inline="always")
def _time(a, b, took, error, alone, weights):
    """Add a packet that `took` so long from view a to view b. Those of a time when nothing compares the clocks count
    where there are no others."""
    delay, errors, compared = weights[0], weights[1], weights[2]
    if not alone and compared[a, b] == 0:
        for x, y in ((a, b), (b, a)):
            delay[x, y] = errors[x, y] = 0
            compared[x, y] = 1
    if alone and compared[a, b] == 1:
        return
    delay[a, b] += took
    delay[b, a] -= took
    for x, y in ((a, b), (b, a)):
        errors[x, y] = -1 if error < 0 else min(errors[x, y] + np.int64(np.ceil(min(error, _FAR_NS))), _FAR_NS)
