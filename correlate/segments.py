"""Super-packets that go on in other segments: GSO cuts them where a device wants it, GRO puts them together elsewhere.

A packet whose bytes were all delivered by others, which first appear where it was last seen, was not lost. A
retransmission does not count: it passes the same points again from the start.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from .outcomes import OUTCOMES, Outcome, Outcomes, Reason


def find_segmented(
    outcomes: Outcomes,
    hops: npt.NDArray[np.void],
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    direction_group: npt.NDArray[np.int64],
) -> None:
    """Turn `lost` into `delivered` for packets that went on in other segments (changed in place)."""
    first = (
        np.flatnonzero(np.append(True, hops["packet"][1:] != hops["packet"][:-1])) if hops.size else np.empty(0, int)
    )
    last = np.append(first[1:], hops.size) - 1 if first.size else first
    head = sightings[hops["sighting"][first]]
    data = (head["protocol"] == 6) & (head["payload_length"] > 0)
    # At the end of a capture, too, the bytes may have been seen on.
    gone = (outcomes.outcome == OUTCOMES.index(Outcome.LOST)) | (outcomes.reason == Reason.CAPTURE_ENDED)
    lost = np.flatnonzero(data & gone)
    arrived = np.flatnonzero(data & (outcomes.outcome == OUTCOMES.index(Outcome.DELIVERED)))
    if lost.size == 0 or arrived.size == 0:
        return
    group = direction_group[hops["sighting"][first]]
    sequence = _unwrapped(head["sequence"].astype(np.int64), group)
    order = arrived[np.lexsort((sequence[arrived], group[arrived]))]
    found = np.full(lost.size, -1, np.int64)
    _cover(
        lost,
        order,
        group[order],
        group,
        sequence,
        head["payload_length"].astype(np.int64),
        times_ns[hops["sighting"][first]],
        times_ns[hops["sighting"][last]],
        first,
        last,
        hops,
        sightings,
        found,
    )
    went_on = found >= 0
    outcomes.outcome[lost[went_on]] = OUTCOMES.index(Outcome.DELIVERED)
    outcomes.reason[lost[went_on]] = Reason.SEGMENTED
    outcomes.location[lost[went_on]] = outcomes.location[found[went_on]]


def _unwrapped(sequence: npt.NDArray[np.int64], group: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Sequence numbers relative to one of their direction, so that a wrap does no harm (RFC 9293, 3.4)."""
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    return (sequence - sequence[first][inverse.reshape(-1)] + 2**31) % 2**32 - 2**31


@njit(cache=True)
def _cover(lost, order, order_group, group, sequence, length, begin, end, first, last, hops, sightings, found):
    """For each lost packet a path that carried its last byte on, if such paths together carried all its bytes.

    They begin at most a second after its last sighting, and not before it (a millisecond aside, for clocks).
    """
    for i in range(lost.size):
        packet = lost[i]
        low = np.searchsorted(order_group, group[packet])
        high = np.searchsorted(order_group, group[packet], side="right")
        need = sequence[packet]
        stop = need + length[packet]
        progress = True
        while need < stop and progress:
            progress = False
            # Pieces are in order of their first byte: the candidates are those that begin at or before the byte needed.
            left, right = low, high
            while left < right:
                middle = (left + right) // 2
                if sequence[order[middle]] <= need:
                    left = middle + 1
                else:
                    right = middle
            for step in range(1, 65):
                at = left - step
                if at < low:
                    break
                piece = order[at]
                reaches = sequence[piece] + length[piece]
                if (
                    reaches <= need
                    or begin[piece] - end[packet] > 1_000_000_000
                    or end[packet] - begin[piece] > 1_000_000
                ):
                    continue
                if _passes_there(hops[first[piece]].sighting, first[packet], last[packet], hops, sightings):
                    continue
                need = reaches
                found[i] = piece
                progress = True
                break
        if need < stop:
            found[i] = -1


@njit(cache=True)
def _passes_there(sighting, first, last, hops, sightings):
    """Did the path first..last pass the place where the piece first appears? Then the piece is a retransmission."""
    row = sightings[sighting]
    for k in range(first, last + 1):
        seen = sightings[hops[k].sighting]
        if seen.place == row.place and seen.direction == row.direction:
            return True
    return False
