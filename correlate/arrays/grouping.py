"""Rows with equal keys side by side, without sorting whole columns: hash tables, counting sorts, small sorts in place.

np.lexsort over four columns takes a second for two million rows. Most stages do not need an order of the keys, only
their groups, and those are small: the sightings of one packet. All functions are stable: rows of one group stay in the
order in which they were given.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...kernels.threads import run_all
from .hashing import SPREAD, mix

_SMALL: Final = 32
"""Runs up to this size are sorted by insertion."""
_PIECE: Final = 1 << 18
"""Rows that are worth a turn of a thread."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Rows of a table in groups: the rows of group i are rows[start[i]:start[i + 1]]."""

    rows: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    """One more than there are groups."""
    first: int = 0
    """Number of the first group, where these are some of many."""

    def sorted_by(self, *keys: npt.NDArray[np.generic]) -> "Runs":
        """The same groups, each in the order of the keys (per row of the table), the last of which counts most, as in
        np.lexsort; what is equal stays in its order."""
        found = Runs(self.rows.copy(), self.start, self.first)
        columns = [_of_one_type(key) for key in keys]

        def sort(piece: Runs) -> None:
            for column in columns:
                _sort_runs(piece.rows, piece.start, column)

        run_all(sort, found.pieces())
        return found

    def only(self, wanted: npt.NDArray[np.bool_]) -> "Runs":
        """The same groups without the rows of the table that are not wanted; groups may become empty."""
        return Runs(*_only(self.rows, self.start, wanted))

    def pieces(self) -> list["Runs"]:
        """Neighbouring groups together, of about equally many rows, for as many threads as there are; `rows` is that of
        all of them."""
        count = self.rows.size // _PIECE + 1
        inner = np.searchsorted(self.start, np.linspace(0, self.rows.size, count + 1)[1:-1])
        bounds = [0, *inner.tolist(), self.start.size - 1]
        return [Runs(self.rows, self.start[a : b + 1], self.first + a) for a, b in pairwise(bounds)]


def group_ids(keys: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """(number of the group of each row, from 0 in order of first appearance; first row of each group)."""
    ids = np.empty(keys.size, np.int32)
    return ids, _group_ids(np.ascontiguousarray(keys), ids)


def runs_of_ids(ids: npt.NDArray[np.integer], count: int, rows: npt.NDArray[np.integer] | None = None) -> Runs:
    """Rows by group; `ids`: group of each row of the table, `count`: how many groups there are, `rows`: those wanted,
    in the order in which they are to stand in each group (default: all, ascending)."""
    chosen = np.arange(ids.size, dtype=np.int32) if rows is None else rows.astype(np.int32, copy=False)
    return Runs(*_counting_sort(np.ascontiguousarray(ids), count, chosen))


def runs_of_keys(keys: npt.NDArray[np.uint64]) -> Runs:
    """Rows with equal keys, groups in order of first appearance: neighbours in the table stay near each other."""
    ids, first = group_ids(keys)
    return runs_of_ids(ids, first.size)


def first_with(known: npt.NDArray[np.uint64], wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Per wanted key: index of the first known one that is equal, -1 when there is none."""
    found = np.full(wanted.size, -1, np.int64)
    if known.size and wanted.size:
        _first_with(np.ascontiguousarray(known), np.ascontiguousarray(wanted), found)
    return found


def hashed(*columns: npt.NDArray[np.generic]) -> npt.NDArray[np.uint64]:
    """One number for the values of several integer columns."""
    key = np.zeros(columns[0].size, np.uint64)
    for column in columns:
        _mix_in(key, np.ascontiguousarray(column, dtype=np.uint64))
    return key


def _of_one_type(key: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Integers in the same order: the sort is compiled once, and not for each type, which takes seconds."""
    if key.dtype == np.uint64:
        return (key.astype(np.uint64, copy=False) ^ np.uint64(1 << 63)).view(np.int64)
    return np.ascontiguousarray(key, dtype=np.int64)


def distinct(values: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(the values, each once, ascending; which of them each row has), as from np.unique."""
    ids, first = group_ids(values.astype(np.uint64))
    order = np.argsort(values[first])
    number = np.empty(first.size, np.int64)
    number[order] = np.arange(first.size)
    return values[first][order], number[ids]


def distinct_pairs(pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The rows of (n, 2) numbers below 2**31, each once, ascending."""
    keys = ((pairs[:, 0] << 32) | pairs[:, 1]).astype(np.uint64)
    _, first = group_ids(keys)
    kept = np.sort(keys[first]).astype(np.int64)
    return np.column_stack([kept >> 32, kept & 0xFFFFFFFF])


def radix_order(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
    """The stable order of the keys, as np.argsort(kind="stable") gives it, for many keys without any order."""
    return _radix_order(np.ascontiguousarray(keys))


@njit(cache=True, nogil=True)
def _slot(key, mask):
    """Where a key begins to look in a table of mask + 1 slots; keys may be small numbers."""
    return np.int64(((key * SPREAD) >> np.uint64(20)) & mask)


@njit(cache=True, nogil=True)
def _grown(slots, slot_keys):
    """The same open-addressing table (-1: free) with four times as many slots."""
    size = 4 * slots.size
    mask = np.uint64(size - 1)
    new = np.full(size, np.int32(-1))
    new_keys = np.empty(size, np.uint64)
    for i in range(slots.size):
        if slots[i] < 0:
            continue
        at = _slot(slot_keys[i], mask)
        while new[at] >= 0:
            at = (at + 1) & (size - 1)
        new[at] = slots[i]
        new_keys[at] = slot_keys[i]
    return new, new_keys


@njit(cache=True, nogil=True)
def _group_ids(keys, ids):
    size = 4096
    mask = np.uint64(size - 1)
    slots = np.full(size, np.int32(-1))
    slot_keys = np.empty(size, np.uint64)
    first = np.empty(size // 2, np.int64)
    count = 0
    for i in range(keys.size):
        key = keys[i]
        at = _slot(key, mask)
        while slots[at] >= 0 and slot_keys[at] != key:
            at = (at + 1) & (size - 1)
        if slots[at] >= 0:
            ids[i] = slots[at]
            continue
        slots[at] = count
        slot_keys[at] = key
        first[count] = i
        ids[i] = count
        count += 1
        if 2 * count == size:
            slots, slot_keys = _grown(slots, slot_keys)
            size = slots.size
            mask = np.uint64(size - 1)
            longer = np.empty(size // 2, np.int64)
            for k in range(count):  # numba takes two seconds to compile an assignment to a slice
                longer[k] = first[k]
            first = longer
    return first[:count].copy()


@njit(cache=True, nogil=True)
def _counting_sort(ids, count, rows):
    start = np.zeros(count + 1, np.int64)
    for i in range(rows.size):
        start[ids[rows[i]] + 1] += 1
    for g in range(count):
        start[g + 1] += start[g]
    out = np.empty(rows.size, np.int32)
    at = start[:-1].copy()
    for i in range(rows.size):
        group = ids[rows[i]]
        out[at[group]] = rows[i]
        at[group] += 1
    return out, start


@njit(cache=True, nogil=True)
def _sort_runs(rows, start, key):
    for g in range(start.size - 1):
        first, last = start[g], start[g + 1]
        if last - first > _SMALL:
            _sort_large(rows[first:last], key)
            continue
        for i in range(first + 1, last):
            row = rows[i]
            value = key[row]
            j = i
            while j > first and key[rows[j - 1]] > value:
                rows[j] = rows[j - 1]
                j -= 1
            rows[j] = row


@njit(cache=True, nogil=True)
def _sort_large(rows, key):
    values = np.empty(rows.size, key.dtype)
    ordered = True
    for i in range(rows.size):
        values[i] = key[rows[i]]
        ordered &= i == 0 or values[i - 1] <= values[i]
    if not ordered:
        before = rows.copy()
        order = np.argsort(values, kind="mergesort")
        for i in range(rows.size):
            rows[i] = before[order[i]]


@njit(cache=True, nogil=True)
def _only(rows, start, wanted):
    kept = np.empty(rows.size, np.int32)
    bounds = np.empty(start.size, np.int64)
    count = 0
    for g in range(start.size - 1):
        bounds[g] = count
        for i in range(start[g], start[g + 1]):
            if wanted[rows[i]]:
                kept[count] = rows[i]
                count += 1
    bounds[-1] = count
    return kept[:count].copy(), bounds


@njit(cache=True, nogil=True)
def _first_with(known, wanted, found):
    size = 16
    while size < 2 * known.size:
        size *= 2
    mask = np.uint64(size - 1)
    slots = np.full(size, np.int32(-1))
    for i in range(known.size):
        at = _slot(known[i], mask)
        while slots[at] >= 0 and known[slots[at]] != known[i]:
            at = (at + 1) & (size - 1)
        if slots[at] < 0:
            slots[at] = i
    for i in range(wanted.size):
        at = _slot(wanted[i], mask)
        while slots[at] >= 0 and known[slots[at]] != wanted[i]:
            at = (at + 1) & (size - 1)
        found[i] = slots[at]


@njit(cache=True, nogil=True)
def _mix_in(key, column):
    for i in range(key.size):
        key[i] = mix(key[i], np.uint64(column[i]))


@njit(cache=True, nogil=True)
def _radix_order(keys):
    size = keys.size
    order = np.arange(size).astype(np.int32)
    other = np.empty(size, np.int32)
    values = keys.copy()
    other_values = np.empty(size, np.uint64)
    counts = np.zeros((8, 256), np.int64)
    for i in range(size):
        for digit in range(8):
            counts[digit, (keys[i] >> np.uint64(8 * digit)) & np.uint64(255)] += 1
    for digit in range(8):
        most = np.int64(0)
        for bucket in range(256):
            most = max(most, counts[digit, bucket])
        if most == size:  # all the same there
            continue
        shift = np.uint64(8 * digit)
        at = np.zeros(256, np.int64)
        for bucket in range(255):
            at[bucket + 1] = at[bucket] + counts[digit, bucket]
        for i in range(size):
            value = (values[i] >> shift) & np.uint64(255)
            place = at[value]
            at[value] = place + 1
            other[place] = order[i]
            other_values[place] = values[i]
        order, other = other, order
        values, other_values = other_values, values
    return order
