"""Where packets went on to, counted over all connections: it tells of those that did not."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...kernels.threads import run_all, slices
from ..arrays.grouping import distinct, group_ids, hashed
from ..arrays.hashing import mix
from ..hops.order import path_bounds
from .address_keys import address_key

_NEARLY_ALL: Final = 0.8
"""Part of the packets to one destination that must go the same way for the others to be lost on it."""
PLACES: Final = 1 << 20
"""More than there are capture points, or chains, or places of another kind of sighting."""
SPOTS: Final = PLACES << 4
"""More than there are spots: places of all kinds. Two of them fit into one number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passages:
    """Where packets went on to, summed up over all connections."""

    joined: npt.NDArray[np.int64]
    """Pairs of spots in one number, ascending: a packet that passed the first was last seen at the second."""
    passing: npt.NDArray[np.uint64]
    """Destination and spot in one, ascending."""
    ended: npt.NDArray[np.int64]
    """Spot where nearly all packets to that destination that passed that spot were last seen; -1 for none."""

    def go_further(
        self,
        paths: npt.NDArray[np.int64],
        first: npt.NDArray[np.int64],
        last: npt.NDArray[np.int64],
        hops: npt.NDArray[np.void],
        sightings: npt.NDArray[np.void],
    ) -> npt.NDArray[np.bool_]:
        """Per path of `paths`: packets that passed its last spot were last seen where it has not been. `first`, `last`:
        rows of the hops of each path."""
        found = np.zeros(paths.size, np.bool_)
        _find_further(paths, first, last, hops, sightings, self.joined, found)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageCounts:
    """The same, still to be added up."""

    joined: npt.NDArray[np.int64]
    passing: npt.NDArray[np.uint64]
    """By (passing, end), ascending."""
    end: npt.NDArray[np.int64]
    packets: npt.NDArray[np.int64]

    @classmethod
    def of(cls, hops: npt.NDArray[np.void], sightings: npt.NDArray[np.void]) -> "PassageCounts":
        """Counted from the paths of some or all connections."""
        start, last = path_bounds(hops)
        joined, passing, end = (
            np.empty(hops.size, np.int64),
            np.empty(hops.size, np.uint64),
            np.empty(hops.size, np.int64),
        )

        def describe(paths: slice) -> None:
            _describe_passages(hops, sightings, start[paths], last[paths], joined, passing, end)

        run_all(describe, slices(start.size))
        return cls._count(distinct(joined)[0], passing, end, np.ones(end.size, np.int64))

    @classmethod
    def _count(
        cls,
        joined: npt.NDArray[np.int64],
        passing: npt.NDArray[np.uint64],
        end: npt.NDArray[np.int64],
        packets: npt.NDArray[np.int64],
    ) -> "PassageCounts":
        """Rows of equal `passing` and `end` added up."""
        which, first = group_ids(hashed(passing, end))
        packets = np.bincount(which, packets, first.size).astype(np.int64)
        passing, end = passing[first], end[first]
        order = np.lexsort((end, passing))
        return cls(joined=joined, passing=passing[order], end=end[order], packets=packets[order])

    def with_(self, other: "PassageCounts") -> "PassageCounts":
        """Both together."""
        return self._count(
            np.union1d(self.joined, other.joined),
            np.concatenate([self.passing, other.passing]),
            np.concatenate([self.end, other.end]),
            np.concatenate([self.packets, other.packets]),
        )

    def summed(self) -> Passages:
        """What follows from all of them."""
        passing, which = np.unique(self.passing, return_inverse=True)
        which = which.reshape(-1)
        passed = np.bincount(which, weights=self.packets, minlength=passing.size).astype(np.int64)
        ended = np.full(passing.size, -1)
        most = self.packets >= _NEARLY_ALL * passed[which]
        ended[which[most]] = self.end[most]
        return Passages(joined=self.joined, passing=passing, ended=ended)


def spots(sightings: npt.NDArray[np.void], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Per row: where it was seen, in one number for places of all kinds; of a capture point, its index."""
    found = np.empty(rows.size, np.int64)
    run_all(lambda some: _fill_in_spots(sightings, rows[some], found[some]), slices(rows.size))
    return found


def destinations(sightings: npt.NDArray[np.void], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Per row: hash of the address, port and protocol it is sent to."""
    found = np.empty(rows.size, np.uint64)
    _hash_destinations(sightings, rows, found)
    return found


@njit(cache=True, nogil=True)
def _hash_destinations(sightings, rows, found):
    for i in range(rows.size):
        found[i] = _destination(sightings[rows[i]])


@njit(cache=True, nogil=True)
def _spot(row):
    return np.int64(row.kind) * PLACES + np.int64(row.place)


@njit(cache=True, nogil=True)
def _fill_in_spots(sightings, rows, found):
    for i in range(rows.size):
        found[i] = _spot(sightings[rows[i]])


@njit(cache=True, nogil=True)
def _find_further(paths, first, last, hops, sightings, joined, found):
    for i in range(paths.size):
        begin, end = first[paths[i]], last[paths[i]]
        here = _spot(sightings[hops[end].sighting])
        k = np.searchsorted(joined, here * SPOTS)
        while k < joined.size and joined[k] < (here + 1) * SPOTS and not found[i]:
            been = False
            for hop in range(begin, end + 1):
                been |= _spot(sightings[hops[hop].sighting]) == joined[k] - here * SPOTS
            found[i] = not been
            k += 1


@njit(cache=True, nogil=True)
def _destination(row):
    key = address_key(row.destination_high, row.destination_low)
    return mix(key, (np.uint64(row.destination_port) << np.uint64(8)) | np.uint64(row.protocol))


@njit(cache=True, nogil=True)
def _describe_passages(hops, sightings, start, last, joined, passing, end):
    """Per hop: its spot and that of the last hop of its path in one number; destination and spot in one; the latter
    spot."""
    for path in range(start.size):
        final = _spot(sightings[hops[last[path]].sighting])
        for k in range(start[path], last[path] + 1):
            row = sightings[hops[k].sighting]
            joined[k] = _spot(row) * SPOTS + final
            passing[k] = _destination(row) ^ np.uint64(_spot(row))
            end[k] = final
