"""Super-packets that go on in other segments: GSO cuts them where a device wants it, GRO puts them together elsewhere.

A packet whose bytes were carried on by others, which first appear where it was last seen, was not lost. A
retransmission does not count: it passes the same points again from the start; nor do the segments it was cut into.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..hops.order import path_bounds
from .kinds import OUTCOMES, Outcome, Outcomes, Reason

_SOON_NS = 1_000_000_000
"""The first of the segments appears at most so long after the packet was last seen."""
_CLOCKS_NS = 1_000_000
"""And not before that, but for what clocks are off."""


@dataclass(frozen=True)
class Segments:
    """Which paths go on as which others."""

    packet: npt.NDArray[np.int64]
    """Path (from 0) that ends, ascending."""
    piece: npt.NDArray[np.int64]
    """One that carries some of its bytes on."""

    @cached_property
    def goes_on_as(self) -> dict[int, list[int]]:
        """The paths (from 0) that carry the bytes of a path on, of those that end so."""
        found: dict[int, list[int]] = {}
        for packet, piece in zip(self.packet.tolist(), self.piece.tolist(), strict=True):
            found.setdefault(packet, []).append(piece)
        return found

    @cached_property
    def comes_from(self) -> dict[int, list[int]]:
        """The paths (from 0) whose bytes a path carries on."""
        found: dict[int, list[int]] = {}
        for packet, piece in zip(self.packet.tolist(), self.piece.tolist(), strict=True):
            found.setdefault(piece, []).append(packet)
        return found


def find_segments(
    outcomes: Outcomes,
    hops: npt.NDArray[np.void],
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    direction_group: npt.NDArray[np.int64],
) -> Segments:
    """Find them, and turn `lost` into `delivered` for packets whose bytes were all delivered so (changed in place)."""
    first, last = path_bounds(hops)
    heads = hops["sighting"][first]
    length = sightings["payload_length"][heads].astype(np.int64)
    group = direction_group[heads]
    data = (sightings["protocol"][heads] == 6) & (length > 0)
    data &= _begin_in_several_places(group, sightings, heads, data)
    ended = np.isin(outcomes.outcome, [OUTCOMES.index(Outcome.LOST), OUTCOMES.index(Outcome.UNKNOWN)])
    gone = np.flatnonzero(data & ended)
    if gone.size == 0:
        return Segments(gone, gone)
    order = np.flatnonzero(data)
    sequence = np.zeros(first.size, np.int64)
    numbers = sightings["sequence"][heads[order]].astype(np.int64)
    sequence[order] = _unwrapped(numbers, group[order], times_ns[heads[order]])
    order = order[np.lexsort((sequence[order], group[order]))]
    pairs, complete = _cover(
        gone, order, group[order], group, sequence, length,
        times_ns[heads], times_ns[hops["sighting"][last]], first, last, hops, sightings, times_ns,
        _longest_of_direction(group, last - first),
    )  # fmt: skip
    segments = Segments(pairs[:, 0], pairs[:, 1])
    _deliver(outcomes, segments, gone[complete])
    return segments


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
    """Per path: the one of its direction with the most hops, which shows the order of the points."""
    order = np.lexsort((-hops, group))
    heads = order[np.flatnonzero(np.append(True, group[order][1:] != group[order][:-1]))]
    longest = np.zeros(int(group.max()) + 1, np.int64)
    longest[group[heads]] = heads
    return longest[group]


def _deliver(outcomes: Outcomes, segments: Segments, complete: npt.NDArray[np.int64]) -> None:
    """A packet is delivered when all segments that together carry its bytes are: those may be cut again themselves."""
    whole = np.zeros(outcomes.outcome.size, np.bool_)
    whole[complete] = True
    delivered = OUTCOMES.index(Outcome.DELIVERED)
    while True:
        failing = np.zeros(outcomes.outcome.size, np.bool_)
        failing[segments.packet[outcomes.outcome[segments.piece] != delivered]] = True
        now = np.flatnonzero(whole & ~failing & (outcomes.outcome != delivered))
        if now.size == 0:
            return
        outcomes.outcome[now] = delivered
        outcomes.reason[now] = Reason.SEGMENTED
        last_piece = np.searchsorted(segments.packet, now, side="right") - 1
        outcomes.location[now] = outcomes.location[segments.piece[last_piece]]


def _unwrapped(
    sequence: npt.NDArray[np.int64], group: npt.NDArray[np.int64], times_ns: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Positions in the stream of their direction: each sequence number within 2 GiB of the one before it in time, so
    that a wrap does no harm (RFC 9293, 3.4)."""
    order = np.lexsort((times_ns, group))
    step = np.zeros(sequence.size, np.int64)
    ordered = sequence[order]
    step[1:] = (ordered[1:] - ordered[:-1] + 2**31) % 2**32 - 2**31
    step[1:][group[order][1:] != group[order][:-1]] = 0
    position = np.cumsum(step)
    start = np.flatnonzero(np.append(True, group[order][1:] != group[order][:-1]))
    position -= np.repeat(position[start], np.diff(np.append(start, position.size)))
    unwrapped = np.empty_like(position)
    unwrapped[order] = position
    return unwrapped


@njit(cache=True)
def _cover(gone, order, order_group, group, sequence, length, begin, end, first, last, hops, sightings, times, longest):
    """((n, 2) paths that ended and those that carry their bytes on; per path of `gone`: all its bytes went on)."""
    capacity = 4 * gone.size
    pairs = np.empty((capacity, 2), np.int64)
    count = 0
    complete = np.zeros(gone.size, np.bool_)
    for i in range(gone.size):
        packet = gone[i]
        low = np.searchsorted(order_group, group[packet])
        high = np.searchsorted(order_group, group[packet], side="right")
        need = sequence[packet]
        stop = need + length[packet]
        while need < stop:
            piece = _carrier(
                packet,
                need,
                order[low:high],
                sequence,
                length,
                begin,
                end,
                first,
                last,
                hops,
                sightings,
                times,
                longest,
            )
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
            need = sequence[piece] + length[piece]
        complete[i] = need >= stop
    return pairs[:count], complete


@njit(cache=True)
def _carrier(packet, need, order, sequence, length, begin, end, first, last, hops, sightings, times, longest):
    """The path that carries the byte `need` of a packet on from where it was last seen, -1 when there is none."""
    left, right = 0, order.size
    while left < right:  # in order of their first bytes: those that begin at or before it
        middle = (left + right) // 2
        if sequence[order[middle]] <= need:
            left = middle + 1
        else:
            right = middle
    found = np.int64(-1)
    again = np.int64(2**62)  # when the byte first passed here once more
    transmissions = 0
    for step in range(1, 65):
        if step > left:
            break
        other = order[left - step]
        if other == packet or sequence[other] + length[other] <= need:
            continue
        passed = _passed_at(hops[last[packet]].sighting, first[other], last[other], hops, sightings, times)
        if passed >= 0:
            if passed > end[packet]:
                transmissions += 1
                again = min(again, passed)
            continue
        if end[packet] - begin[other] > _CLOCKS_NS or begin[other] - end[packet] > _SOON_NS:
            continue
        if end[other] < begin[packet]:  # what this one carries on itself
            continue
        whole = longest[packet]
        here = _position(hops[last[packet]].sighting, first[whole], last[whole], hops, sightings)
        there = _position(hops[first[other]].sighting, first[whole], last[whole], hops, sightings)
        if 0 <= there < here:  # a retransmission on its way to where this one ended
            continue
        if _passed_at(hops[first[other]].sighting, first[packet], last[packet], hops, sightings, times) >= 0:
            continue
        if found < 0 or begin[other] < begin[found]:
            found = other
    if found < 0 or begin[found] < again:
        return found
    # The byte was sent again before it was carried on: is there one carrier more than those transmissions account for?
    carriers = 0
    start = sightings[hops[first[found]].sighting]
    for step in range(1, 65):
        if step > left:
            break
        other = order[left - step]
        if sequence[other] + length[other] > need and begin[other] >= begin[found]:
            row = sightings[hops[first[other]].sighting]
            carriers += row.place == start.place and row.direction == start.direction
    return found if carriers > transmissions else np.int64(-1)


@njit(cache=True)
def _passed_at(sighting, first, last, hops, sightings, times):
    """When the path first..last passed the point of this sighting, -1 when it did not."""
    row = sightings[sighting]
    for k in range(first, last + 1):
        seen = sightings[hops[k].sighting]
        if seen.place == row.place and seen.direction == row.direction:
            return times[hops[k].sighting]
    return np.int64(-1)


@njit(cache=True)
def _position(sighting, first, last, hops, sightings):
    """How many hops of the path first..last come before the point of this sighting, -1 when it has no such point."""
    row = sightings[sighting]
    for k in range(first, last + 1):
        seen = sightings[hops[k].sighting]
        if seen.place == row.place and seen.direction == row.direction:
            return k - first
    return np.int64(-1)
