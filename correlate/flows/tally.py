"""The votes of all contents, added up for each two sessions."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.growing import doubled
from ..arrays.hashing import SPREAD
from .views import UNDECIDED

RISES: Final = UNDECIDED + 1
"""Column of Tally.counts: decided votes of packets of which the TTL rises; before it, one for each worth (views.py)."""
FALLS: Final = RISES + 1
_COLUMNS: Final = FALLS + 1


class Tally(NamedTuple):
    """A table in which pairs are found by hashing; a pair is a number: see count_votes."""

    slots: npt.NDArray[np.int32]
    """Row of the pair, -1 free."""
    numbers: npt.NDArray[np.int64]
    """Per row."""
    counts: npt.NDArray[np.int64]


@njit(cache=True)
def empty_tally():
    """With room for some pairs."""
    return Tally(np.full(4096, np.int32(-1)), np.empty(2048, np.int64), np.empty((2048, _COLUMNS), np.int64))


@njit(cache=True)
def _with_room(tally, pairs, more):
    """The same, with room for so many `more` beside the `pairs` that are there."""
    slots, numbers, counts = tally.slots, tally.numbers, tally.counts
    while pairs + more > numbers.size:
        longer = np.empty(2 * numbers.size, np.int64)
        for row in range(pairs):
            longer[row] = numbers[row]
        numbers, counts = longer, doubled(counts)
        slots = np.full(2 * slots.size, np.int32(-1))
    for row in range(pairs):
        slots[_slot_of(numbers[row], slots, numbers)] = row
    return Tally(slots, numbers, counts)


@njit(cache=True, inline="always")
def _slot_of(number, slots, numbers):
    """Where the number is, or would be."""
    mask = slots.size - 1
    at = np.int64((np.uint64(number) * SPREAD) >> np.uint64(20)) & mask
    while slots[at] >= 0 and numbers[slots[at]] != number:
        at = (at + 1) & mask
    return at


@njit(cache=True)
def count_votes(votes, count, sessions, tally, pairs):
    """Add the first `count` votes (votes.py) to a tally of so many `pairs`; returns both as they are then. The number
    of a pair: of the first session, the second and whether their orientations differ."""
    if pairs + count > tally.numbers.size:
        tally = _with_room(tally, pairs, count)
    slots, numbers, counts = tally.slots, tally.numbers, tally.counts
    for k in range(count):
        number = (votes[k, 0] * sessions + votes[k, 1]) * 2 + votes[k, 2]
        at = _slot_of(number, slots, numbers)
        row = np.int64(slots[at])
        if row < 0:
            row = pairs
            pairs += 1
            slots[at] = row
            numbers[row] = number
            for column in range(_COLUMNS):
                counts[row, column] = 0
        worth, falls = votes[k, 3], votes[k, 4]
        counts[row, worth] += 1
        if worth != UNDECIDED and falls != 0:
            counts[row, FALLS if falls > 0 else RISES] += 1
    return tally, pairs
