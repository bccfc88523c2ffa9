"""Which address pairs hang together, so that whatever joins their packets is found within one part.

Numbers of address pairs in a union-find. What joins them is more than what will join connections: it only has to be
sure that nothing is missed.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.hashing import mix
from ..arrays.union_find import find_all, join
from ..flows.views import MOST_VIEWS
from .number_table import NumberTable
from .spill import Spill, close_all
from .work_folder import WorkFolder

_BUCKETS: Final = 64
"""Parts that shared contents are sorted in."""
_MOST_OF_END: Final = 2 * MOST_VIEWS
"""Flows that share a content and an end, in either direction; more tell nothing (flows/votes.py)."""
_CACHE: Final = 1 << 18
"""Contents that are remembered, so as not to be written again for each point that saw them."""

_KEYED: Final = np.dtype([("key", "u8"), ("number", "i4")])
_TIMED: Final = np.dtype([("key", "u8"), ("time_ns", "i8"), ("number", "i4"), ("traced", "u1")], align=True)
_NEAR_NS: Final = 2_000_000_000
"""A trace message takes its time from a frame no further away than 1 s (netfilter/from_frames.py), and what was left
out of the spill, of both, was at most half a second away from what was not."""
_AGAIN_NS: Final = 500_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Which part each address pair belongs to."""

    part: npt.NDArray[np.int32]
    """By the number of the pair."""
    parts: int
    wanted: int
    """Sightings that a part was to have at most."""
    largest: int
    """Sightings of the part with the most."""


class FlowGroups:
    """Address pairs (`flow` or `flow_reverse`, whichever is less), their packets, and who belongs to whom."""

    def __init__(self, folder: WorkFolder) -> None:
        """`folder`: for what is too large to be remembered."""
        self._table = NumberTable()
        self._parent = np.empty(0, np.int32)
        self._sightings = np.empty(0, np.int64)
        self._first_ns = np.empty(0, np.int64)
        self._contents = Spill(folder, "contents", _KEYED, _BUCKETS)
        self._equals = Spill(folder, "equals", _KEYED, _BUCKETS)
        self._cache = np.zeros((_CACHE, 2), np.uint64)
        self._ends = np.zeros((0, 2), np.uint64)
        """Both ends (flows/servers.py) of each pair that shares a content."""
        self.crowded = np.empty(0, np.uint64)
        """Contents of so many pairs that only those were joined that have an end in common; known by `assign`."""
        self._headers = Spill(folder, "traced", _TIMED, _BUCKETS)
        self._recent = np.zeros(_CACHE, _TIMED)

    def see(self, pairs: npt.NDArray[np.uint64], times_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Sightings of these pairs; returns the numbers of the pairs."""
        numbers = self._number(pairs)
        _count(numbers, times_ns, self._sightings, self._first_ns)
        return numbers

    def join(self, some: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64]) -> None:
        """Pairs that belong together, row by row."""
        first, second = self._number(some), self._number(others)
        _join(self._parent, first, second)

    def share(
        self,
        contents: npt.NDArray[np.uint64],
        numbers: npt.NDArray[np.int32],
        ends: npt.NDArray[np.uint64] | None = None,
        *,
        votes: bool = True,
    ) -> None:
        """Pairs (by number) with the same content may belong together. `ends`: (n, 2) keys of those of each row, where
        of many pairs with one content some may be told apart by them; `votes`: the content says something of its flow
        (flows/votes.py), and not only that what seems lost may be another's."""
        if self._ends.shape[0] < self._parent.size:
            more = self._parent.size - self._ends.shape[0]
            self._ends = np.concatenate([self._ends, np.zeros((more, 2), np.uint64)])
        if ends is not None:
            self._ends[numbers] = ends
        rows = np.empty(contents.size, _KEYED)
        count = _fresh(contents, numbers, self._cache, rows)
        rows = rows[:count]
        spill = self._contents if votes else self._equals
        spill.distribute((rows["key"] >> np.uint64(58)).astype(np.int64), rows)

    def trace(
        self,
        headers: npt.NDArray[np.uint64],
        numbers: npt.NDArray[np.int32],
        times_ns: npt.NDArray[np.int64],
        *,
        traced: bool,
    ) -> None:
        """Headers that frames or trace messages (`traced`) show, by content and namespace, of these pairs (by number).

        A message takes its time from a frame near in time that shows the same, maybe under other addresses.
        """
        rows = np.empty(headers.size, _TIMED)
        count = _not_just_now(headers, numbers, times_ns, traced, self._recent, rows)
        rows = rows[:count]
        self._headers.distribute((rows["key"] >> np.uint64(58)).astype(np.int64), rows)

    def find(self, pairs: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """The numbers of pairs that were seen, -1 of others."""
        return self._table.find(pairs)

    def assign(self, most: int) -> Assignment:
        """Put all groups into parts of about `most` sightings, in the order in which they begin."""
        self._join_shared()
        count = self._table.count
        root = find_all(self._parent[:count])
        groups, group = np.unique(root, return_inverse=True)
        group = group.reshape(-1)
        size = np.bincount(group, weights=self._sightings[:count], minlength=groups.size).astype(np.int64)
        begin = np.full(groups.size, np.iinfo(np.int64).max)
        np.minimum.at(begin, group, self._first_ns[:count])
        order = np.argsort(begin, kind="stable")
        of_group = np.empty(groups.size, np.int32)
        before = np.cumsum(size[order]) - size[order]
        wanted = max(1, -(-int(size.sum()) // max(most, 1)))
        each = max(1, -(-int(size.sum()) // wanted))
        _, of_group[order] = np.unique(before // each, return_inverse=True)
        parts = int(of_group.max(initial=-1)) + 1
        filled = np.bincount(of_group, weights=size, minlength=max(parts, 1))
        return Assignment(part=of_group[group], parts=max(parts, 1), wanted=most, largest=int(filled.max(initial=0)))

    def close(self) -> None:
        """Give back what it has on disk."""
        close_all([self._contents, self._equals, self._headers])

    def _number(self, pairs: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        numbers = self._table.add(pairs)
        if self._table.count > self._parent.size:
            more = max(self._table.count - self._parent.size, self._parent.size // 2, 1 << 12)
            begin = self._parent.size
            self._parent = np.append(self._parent, np.arange(begin, begin + more, dtype=np.int32))
            self._sightings = np.append(self._sightings, np.zeros(more, np.int64))
            self._first_ns = np.append(self._first_ns, np.full(more, np.iinfo(np.int64).max))
        return numbers

    def _join_shared(self) -> None:
        crowded = [np.empty(0, np.uint64)]
        for bucket in range(_BUCKETS):
            for spill in (self._contents, self._equals):
                rows = spill.part(bucket).read()
                order = np.lexsort((rows["number"], rows["key"]))
                crowded.append(_join_equal(self._parent, rows["key"][order], rows["number"][order], self._ends))
            timed = self._headers.part(bucket).read()
            _join_near(self._parent, timed.take(np.lexsort((timed["time_ns"], timed["key"]))))
        self.crowded = np.unique(np.concatenate(crowded))


@njit(cache=True)
def _count(numbers, times, sightings, first):
    for i in range(numbers.size):
        sightings[numbers[i]] += 1
        first[numbers[i]] = min(first[numbers[i]], times[i])


@njit(cache=True)
def _fresh(contents, numbers, cache, out):
    """Fill `out` with what the cache does not hold; returns how many."""
    count = 0
    mask = np.uint64(cache.shape[0] - 1)
    for i in range(contents.size):
        number = np.uint64(numbers[i] + 1)
        slot = np.int64(mix(contents[i], number) & mask)
        if cache[slot, 0] == contents[i] and cache[slot, 1] == number:
            continue
        cache[slot, 0] = contents[i]
        cache[slot, 1] = number
        out[count].key = contents[i]
        out[count].number = numbers[i]
        count += 1
    return count


@njit(cache=True)
def _not_just_now(keys, numbers, times, traced, recent, out):
    """Fill `out` with what was not written half a second ago; returns how many."""
    count = 0
    mask = np.uint64(recent.size - 1)
    for i in range(keys.size):
        row = recent[np.int64(mix(keys[i], np.uint64(numbers[i] * 2 + traced)) & mask)]
        same = row.key == keys[i] and row.number == numbers[i] and row.traced == traced
        if same and abs(times[i] - row.time_ns) < _AGAIN_NS:
            continue
        row.key = keys[i]
        row.number = numbers[i]
        row.time_ns = times[i]
        row.traced = traced
        out[count] = row
        count += 1
    return count


@njit(cache=True)
def _join_near(parent, rows):
    """Join what trace messages show with what frames show near in time; rows in order of (key, time).

    The nearest frame either way counts, but it may have been left out, and so may the message it is nearest to.
    """
    for i in range(rows.size):
        if not rows[i].traced:
            continue
        for step in (-1, 1):
            far = _NEAR_NS
            k = i + step
            while 0 <= k < rows.size and rows[k].key == rows[i].key:
                apart = abs(rows[k].time_ns - rows[i].time_ns)
                if apart > far:
                    break
                if not rows[k].traced:
                    join(parent, rows[i].number, rows[k].number)
                    if apart >= _AGAIN_NS:
                        far = min(far, apart + _AGAIN_NS)
                k += step


@njit(cache=True)
def _join(parent, first, second):
    for i in range(first.size):
        join(parent, first[i], second[i])


@njit(cache=True)
def _join_equal(parent, keys, numbers, ends):
    """Join the numbers of each run of equal keys, where they are too many those that have an end in common; rows in
    order of (key, number). Returns the keys of which there are too many."""
    crowded = np.empty(keys.size // MOST_VIEWS, np.uint64)
    count = 0
    start = 0
    while start < keys.size:
        stop = start + 1
        distinct = 1
        while stop < keys.size and keys[stop] == keys[start]:
            distinct += numbers[stop] != numbers[stop - 1]
            stop += 1
        if distinct <= MOST_VIEWS:
            _join(parent, numbers[start : stop - 1], numbers[start + 1 : stop])
        else:
            _join_by_ends(parent, numbers[start:stop], distinct, ends)
            crowded[count] = keys[start]
            count += 1
        start = stop
    return crowded[:count]


@njit(cache=True)
def _join_by_ends(parent, numbers, distinct, ends):
    """Join those of the numbers (ascending, of them so many distinct) that have an end in common."""
    which = np.empty(2 * distinct, np.int64)
    end = np.empty(2 * distinct, np.uint64)
    count = 0
    for i in range(numbers.size):
        if i == 0 or numbers[i] != numbers[i - 1]:
            for side in range(2):
                which[count] = numbers[i]
                end[count] = ends[numbers[i], side]
                count += 1
    order = np.argsort(end, kind="mergesort")
    start = 0
    while start < order.size:
        stop = start + 1
        while stop < order.size and end[order[stop]] == end[order[start]]:
            stop += 1
        if stop - start <= _MOST_OF_END and end[order[start]] != 0:
            for k in range(start + 1, stop):
                join(parent, which[order[k - 1]], which[order[k]])
        start = stop
