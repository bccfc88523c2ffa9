"""What tells equal packets apart beside their points: who must have been first, and what is clearly apart in time.

A packet leaves one node before it arrives at another. And where all that is near each other is much nearer than what
follows, it is one packet after the other, even if some of their sightings are missing.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...pcapng.blocks import Direction
from ..clocks.clock import Clock
from ..nodes.topology import Topology
from .slots import number_slots

WHERE: Final = np.dtype(
    [
        ("node", "i4"),
        ("machine", "i4"),  # whose kernel takes the times
        ("uplink", "u1"),  # packets go from here to other nodes
        ("error_ns", "f8"),  # clocks/clock.py: Certainty
        ("from_ns", "f8"),
        ("to_ns", "f8"),
        ("growth", "f8"),
    ],
    align=True,
)
"""What matters of a capture point."""

_IN: Final = int(Direction.IN)
_OUT: Final = int(Direction.OUT)
_CLEARLY: Final = 16
"""So many times as far from the next as from each other: packets one after the other."""
_LOOKED_BACK: Final = 64
"""Sightings between two of one point; where there are more, times tell nothing."""


class Run(NamedTuple):
    """Frames of equal content and way."""

    rows: npt.NDArray[np.int64]
    """In order of time."""
    sightings: npt.NDArray[np.void]
    times: npt.NDArray[np.int64]
    """By the reference clock, as `sightings` of all."""
    where: npt.NDArray[np.void]
    """WHERE of each capture point."""
    slots: npt.NDArray[np.int64]
    """Number of the point of each row."""
    heap: npt.NDArray[np.int64]
    """Of each row: those in one are near each other, and clearly not near the others; all in one where times do not
    tell."""
    near: npt.NDArray[np.bool_]
    """(points, points): some heap has sightings of both, so packets are that fast between them."""
    falls: bool
    """TTL falls from each to the next: nobody sets it on the way."""


def places_of(topology: Topology, clocks: list[Clock]) -> npt.NDArray[np.void]:
    """WHERE of each capture point."""
    nodes = {node: number for number, node in enumerate(topology.nodes)}
    machines = {machine: n for n, machine in enumerate(dict.fromkeys(topology.machine(node) for node in nodes))}
    certainty = {clock.node: clock.certainty for clock in clocks}
    found = np.zeros(max(len(topology.points), 1), WHERE)
    for row, point in zip(found, topology.points, strict=False):
        row["node"] = nodes[point.node]
        row["machine"] = machines[topology.machine(point.node)]
        row["uplink"] = topology.is_uplink(point)
        row["error_ns"], row["from_ns"], row["to_ns"], row["growth"] = certainty[point.node]
    return found


@njit(cache=True)
def _error_at(here, time_ns):
    """Of a clock, in ns; negative: not known."""
    if here.error_ns < 0:
        return -1.0
    return here.error_ns + here.growth * max(here.from_ns - time_ns, time_ns - here.to_ns, 0.0)


@njit(cache=True)
def turned(early, late, early_ns, late_ns, where, falls):
    """Whether two sightings (rows) cannot be one packet: the later one is where it must have been before.
    `falls`: a lower TTL is further on."""
    here, there = where[early.place], where[late.place]
    if here.node == there.node:
        return rises(early, late)
    error = other = 0.0
    if here.machine != there.machine:
        error, other = _error_at(here, early_ns), _error_at(there, late_ns)
        if error < 0 or other < 0:
            return False
    if late_ns - early_ns <= error + other:
        return False
    if early.direction == _IN and late.direction == _OUT and here.uplink and there.uplink:
        return late.ttl >= early.ttl  # else it was forwarded there
    return falls and late.ttl > early.ttl


@njit(cache=True)
def rises(early, late):
    """Whether a point that does not tell directions saw the second later with a higher TTL: no packet gains hops."""
    return early.place == late.place and early.direction == 0 and late.direction == 0 and late.ttl > early.ttl


@njit(cache=True)
def on_one_node(run):
    """Whether all of a run were seen there."""
    first = run.where[run.sightings[run.rows[0]].place].node
    for row in run.rows:  # noqa: SIM110 - no generators in kernels
        if run.where[run.sightings[row].place].node != first:
            return False
    return True


@njit(cache=True)
def any_rises(run, occurrence):
    """Whether `rises` is true of any two of a run, in order of time, that are the same occurrence at their points."""
    keys, slots = np.empty(run.rows.size, np.int64), np.empty(run.rows.size, np.int64)
    for i in range(run.rows.size):
        row = run.sightings[run.rows[i]]
        keys[i] = np.int64(occurrence[i]) << 32 | np.int64(row.place) if row.direction == 0 else -1
    lowest = np.full(number_slots(keys, slots), 256)
    for i in range(run.rows.size):
        if keys[i] < 0:
            continue
        ttl = np.int64(run.sightings[run.rows[i]].ttl)
        if ttl > lowest[slots[i]]:
            return True
        lowest[slots[i]] = ttl
    return False


@njit(cache=True)
def any_turned(rows, sightings, times, where, falls):
    """Whether any two of these cannot be one packet; rows in order of time."""
    for i in range(rows.size):
        for j in range(i):
            if turned(
                sightings[rows[j]], sightings[rows[i]], times[rows[j]], times[rows[i]], where, falls
            ):  # fmt: skip
                return True
    return False


@njit(cache=True)
def ttl_falls(rows, sightings, where):
    """Whether TTL falls more often than it rises from one node to the next in time."""
    falls = np.int64(0)
    for i in range(1, rows.size):
        before, row = sightings[rows[i - 1]], sightings[rows[i]]
        if where[before.place].node != where[row.place].node:
            falls += np.int64(before.ttl > row.ttl) - np.int64(before.ttl < row.ttl)
    return falls > 0


@njit(cache=True)
def apart(run, one, other):
    """Whether two sightings, by their numbers in the run, are clearly too far from each other to be one packet."""
    return run.heap[one] != run.heap[other] and run.near[run.slots[one], run.slots[other]]


@njit(cache=True)
def find_heaps(run):
    """Fill in `heap` and `near`."""
    run.heap[:] = 0
    run.near[:] = False
    rows, times = run.rows, run.times
    least = _least_gap_between(rows, run.slots, times)
    longest = np.int64(0)
    for i in range(1, rows.size):
        gap = times[rows[i]] - times[rows[i - 1]]
        if gap < least:
            longest = max(longest, gap)
    error = _largest_error(rows, run.sightings, times, run.where)
    if least < 0 or error < 0 or least <= _CLEARLY * longest + 4 * error:
        return
    begin = 0
    for i in range(1, rows.size):
        run.heap[i] = run.heap[i - 1] + (times[rows[i]] - times[rows[i - 1]] >= least)
        if run.heap[i] != run.heap[i - 1]:
            begin = i
        for j in range(begin, i):
            run.near[run.slots[i], run.slots[j]] = run.near[run.slots[j], run.slots[i]] = True


@njit(cache=True)
def _least_gap_between(rows, slots, times):
    """The largest gap there is between any two sightings of one point, at least: there one packet must end. -1 where
    not all could be looked at."""
    least = np.int64(2**62)
    for i in range(rows.size):
        gap = np.int64(0)
        found = i == 0
        for j in range(i - 1, max(i - 1 - _LOOKED_BACK, -1), -1):
            gap = max(gap, times[rows[j + 1]] - times[rows[j]])
            found = j == 0
            if slots[j] == slots[i]:
                least = min(least, gap)
                found = True
                break
        if not found:
            return np.int64(-1)
    return least


@njit(cache=True)
def _largest_error(rows, sightings, times, where):
    """How far the clocks of these may be apart, in ns; 0 of one machine, negative: not known."""
    first = where[sightings[rows[0]].place]
    several = False
    worst = 0.0
    for i in range(rows.size):
        here = where[sightings[rows[i]].place]
        several |= here.machine != first.machine
        error = _error_at(here, times[rows[i]])
        worst = -1.0 if error < 0 or worst < 0 else max(worst, error)
    if not several:
        return 0.0
    return 2 * worst


@njit(cache=True)
def turned_from_any(run, members, i):
    """Whether sighting number `i` of the run cannot be of the same packet as those before it, -1 for none."""
    late = run.rows[i]
    for j in members:
        if j >= 0 and turned(
            run.sightings[run.rows[j]], run.sightings[late], run.times[run.rows[j]], run.times[late], run.where,
            run.falls,
        ):  # fmt: skip
            return True
    return False


@njit(cache=True)
def apart_from_any(run, members, i):
    """Whether sighting number `i` of the run is clearly too far from any of those before it, -1 for none."""
    for j in members:  # noqa: SIM110 - no generators in kernels
        if j >= 0 and apart(run, j, i):
            return True
    return False
