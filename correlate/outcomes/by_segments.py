"""Super-packets that go on in other segments: GSO cuts them where a device wants it, GRO puts them together elsewhere.

A packet whose bytes were carried on by others, which first appear where it was last seen, was not lost. A
retransmission does not count: it passes the same points again from the start; nor do the segments it was cut into.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import runs_of_ids
from ..protocols import TCP
from ..sequences.byte_stream import unwrapped
from .kinds import Outcome, Outcomes, Reason, Segments, Verdicts
from .tables import Tables
from .ways import Ways

_SOON_NS: Final = 1_000_000_000
"""The first of the segments appears at most so long after the packet was last seen."""
_CLOCKS_NS: Final = 1_000_000
"""And not before that, but for what clocks are off."""
_MOST_BEFORE: Final = 64
"""So many segments that begin before a byte are asked whether they carry it."""
_NEVER_NS: Final = 2**62


class _Stream(NamedTuple):
    """The paths, as what they carry of their direction's stream of bytes."""

    group: npt.NDArray[np.int64]
    """The direction of each path."""
    sequence: npt.NDArray[np.int64]
    """Position of the first byte in the stream; 0 where it carries none."""
    length: npt.NDArray[np.int64]
    begin_ns: npt.NDArray[np.int64]
    """When each path was first seen, and last."""
    end_ns: npt.NDArray[np.int64]
    longest: npt.NDArray[np.int64]
    """Per path: the one of its direction with the most hops, which shows the order of the points."""


def carried_on_in_other_segments(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Turns `lost` and `unknown` into `delivered` for packets whose bytes were all delivered by others; says which."""
    heads, sightings = tables.first, tables.sightings
    first, last = tables.bounds
    length = sightings["payload_length"][heads].astype(np.int64)
    group = tables.connections.way[heads]
    data = (sightings["protocol"][heads] == TCP) & (length > 0)
    data &= ~np.isin(heads, tables.shifts.rewritten)  # what a helper made of a payload is no piece of it
    open_ = np.isin(so_far.outcome, (Outcome.LOST, Outcome.UNKNOWN))
    data &= _of_directions_with(data & open_, group)
    if not data.any():
        return Verdicts.none()
    data &= _begin_in_several_places(group, sightings, heads, data)
    gone = np.flatnonzero(data & open_)
    if gone.size == 0:
        return Verdicts.none()
    order = np.flatnonzero(data)
    sequence = np.zeros(first.size, np.int64)
    numbers = tables.numbers("sequence", heads[order]).astype(np.int64)
    sequence[order] = unwrapped(numbers, group[order], tables.times_ns[heads[order]])
    order = order[runs_of_ids(group[order], int(group.max()) + 1).sorted_by(sequence[order]).rows]
    longest = _longest_of_direction(group, last - first)
    stream = _Stream(group, sequence, length, tables.times_ns[heads], tables.times_ns[tables.last], longest)
    ways = Ways(first, last, tables.hops, sightings, tables.times_ns)
    pairs, complete = _cover(gone, order, group[order], stream, ways)
    return _delivered(so_far, Segments(pairs[:, 0], pairs[:, 1]), gone[complete])


def _of_directions_with(chosen: npt.NDArray[np.bool_], group: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Per path: one of its direction is chosen. `group`: the direction of each."""
    found = np.zeros(int(group.max()) + 1 if group.size else 0, np.bool_)
    found[group[chosen]] = True
    return found[group]


def _begin_in_several_places(
    group: npt.NDArray[np.int64],
    sightings: npt.NDArray[np.void],
    heads: npt.NDArray[np.int64],
    data: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """Per path: those of its direction first appear at more than one place, as cut ones do. `heads`: first sighting of
    each path."""
    place = sightings["place"][heads].astype(np.int64) * 4 + sightings["direction"][heads]
    least = np.full(int(group.max()) + 1 if group.size else 0, np.iinfo(np.int64).max)
    most = np.full(least.size, -1)
    np.minimum.at(least, group[data], place[data])
    np.maximum.at(most, group[data], place[data])
    return (least < most)[group]


def _longest_of_direction(group: npt.NDArray[np.int64], hops: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Per path: the one of its direction with the most hops."""
    longest = np.full(int(group.max()) + 1, -1)
    _find_longest(group, hops, longest)
    return longest[group]


@njit(cache=True, nogil=True)
def _find_longest(group, hops, longest):
    for path in range(group.size):
        known = longest[group[path]]
        if known < 0 or hops[path] > hops[known]:
            longest[group[path]] = path


def _delivered(so_far: Outcomes, segments: Segments, complete: npt.NDArray[np.int64]) -> Verdicts:
    """A packet is delivered when all segments that together carry its bytes are: those may be cut again themselves.

    `complete`: the packets all of whose bytes others carry on.
    """
    whole = np.zeros(so_far.outcome.size, np.bool_)
    whole[complete] = True
    delivered, location = so_far.outcome == Outcome.DELIVERED, so_far.location.copy()
    while True:
        failing = np.zeros(delivered.size, np.bool_)
        failing[segments.packet[~delivered[segments.piece]]] = True
        now = np.flatnonzero(whole & ~failing & ~delivered)
        if now.size == 0:
            break
        delivered[now] = True
        last_piece = np.searchsorted(segments.packet, now, side="right") - 1
        location[now] = location[segments.piece[last_piece]]
    paths = np.flatnonzero(delivered & (so_far.outcome != Outcome.DELIVERED))
    return Verdicts(
        paths=paths, outcome=Outcome.DELIVERED, reason=Reason.SEGMENTED, location=location[paths], segments=segments
    )


@njit(cache=True)
def _cover(gone, order, order_group, stream, ways):
    """((n, 2) paths that ended and those that carry their bytes on; per path of `gone`: all its bytes went on).

    `order`: the paths with bytes, by direction and position; `order_group`: direction of each of those.
    """
    capacity = 4 * gone.size
    pairs = np.empty((capacity, 2), np.int64)
    count = 0
    complete = np.zeros(gone.size, np.bool_)
    for i in range(gone.size):
        packet = gone[i]
        low = np.searchsorted(order_group, stream.group[packet])
        high = np.searchsorted(order_group, stream.group[packet], side="right")
        need = stream.sequence[packet]
        stop = need + stream.length[packet]
        while need < stop:
            piece = _carrier(packet, need, order[low:high], stream, ways)
            if piece < 0:
                break
            if count == capacity:
                capacity *= 2
                grown = np.empty((capacity, 2), np.int64)
                grown[:count] = pairs
                pairs = grown
            pairs[count, 0] = packet
            pairs[count, 1] = piece
            count += 1
            need = stream.sequence[piece] + stream.length[piece]
        complete[i] = need >= stop
    return pairs[:count], complete


@njit(cache=True)
def _carrier(packet, need, order, stream, ways):
    """The path that carries the byte `need` of a packet on from where it was last seen, -1 when there is none.

    `order`: the paths of its direction by position.
    """
    left = _begun_at(need, order, stream)
    found = np.int64(-1)
    again = np.int64(_NEVER_NS)  # when the byte first passed here once more
    transmissions = 0
    for step in range(1, min(left, _MOST_BEFORE) + 1):
        other = order[left - step]
        if other == packet or stream.sequence[other] + stream.length[other] <= need:
            continue
        passed = _passed_at(ways.hops[ways.last[packet]].sighting, other, ways)
        if passed >= 0:
            if passed > stream.end_ns[packet]:
                transmissions += 1
                again = min(again, passed)
            continue
        if _may_carry_on(packet, other, stream, ways) and (
            found < 0 or stream.begin_ns[other] < stream.begin_ns[found]
        ):
            found = other
    if found < 0 or stream.begin_ns[found] < again:
        return found
    # The byte was sent again before it was carried on: is there one carrier more than those transmissions account for?
    carriers = _carriers(need, found, order[max(left - _MOST_BEFORE, 0) : left], stream, ways)
    return found if carriers > transmissions else np.int64(-1)


@njit(cache=True)
def _begun_at(need, order, stream):
    """How many of `order` begin at or before the byte `need`."""
    left, right = 0, order.size
    while left < right:
        middle = (left + right) // 2
        if stream.sequence[order[middle]] <= need:
            left = middle + 1
        else:
            right = middle
    return left


@njit(cache=True)
def _may_carry_on(packet, other, stream, ways):
    """The other path begins where and soon after the packet ended, and is cut differently: what has the same bytes was
    sent again."""
    if stream.sequence[other] == stream.sequence[packet] and stream.length[other] == stream.length[packet]:
        return False
    late = stream.begin_ns[other] - stream.end_ns[packet]
    if -late > _CLOCKS_NS or late > _SOON_NS:
        return False
    if stream.end_ns[other] < stream.begin_ns[packet]:  # what this one carries on itself
        return False
    whole = stream.longest[packet]
    start = ways.hops[ways.first[other]].sighting
    here = _position(ways.hops[ways.last[packet]].sighting, whole, ways)
    if 0 <= _position(start, whole, ways) < here:  # a retransmission on its way to where this one ended
        return False
    return _passed_at(start, packet, ways) < 0


@njit(cache=True)
def _carriers(need, found, order, stream, ways):
    """How many of `order` carry the byte `need` from where the path `found` begins, none earlier than it."""
    carriers = 0
    start = ways.sightings[ways.hops[ways.first[found]].sighting]
    for other in order:
        if stream.sequence[other] + stream.length[other] > need and stream.begin_ns[other] >= stream.begin_ns[found]:
            row = ways.sightings[ways.hops[ways.first[other]].sighting]
            carriers += row.place == start.place and row.direction == start.direction
    return carriers


@njit(cache=True)
def _passed_at(sighting, path, ways):
    """When the path passed the point of this sighting, -1 when it did not."""
    row = ways.sightings[sighting]
    for k in range(ways.first[path], ways.last[path] + 1):
        seen = ways.sightings[ways.hops[k].sighting]
        if seen.place == row.place and seen.direction == row.direction:
            return ways.times_ns[ways.hops[k].sighting]
    return np.int64(-1)


@njit(cache=True)
def _position(sighting, path, ways):
    """How many hops of the path come before the point of this sighting, -1 when it has no such point."""
    row = ways.sightings[sighting]
    for k in range(ways.first[path], ways.last[path] + 1):
        seen = ways.sightings[ways.hops[k].sighting]
        if seen.place == row.place and seen.direction == row.direction:
            return k - ways.first[path]
    return np.int64(-1)
