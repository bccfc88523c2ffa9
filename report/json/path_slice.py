"""A few of the paths of a result, as columns, to be written at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...correlate.protocols import WITH_PORTS
from ...correlate.result.correlation import Correlation
from ...correlate.schema import NOTE_NO_FLOW
from .pieces import NO_END, NO_PORT, Column, Numbers, ends

_HOPS: Final = 1 << 14
"""In a slice; of more in a single path, just this path. Of frames they are 8 MB of text."""
_HAS_PORTS: Final = np.isin(np.arange(256), WITH_PORTS)
"""By protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSlice:
    """Some paths. Their hops are rows here, from 0, as they follow each other."""

    result: Correlation
    paths: Numbers
    """Indexes, ascending."""
    first: Numbers
    """Row of the first hop of each path, and one more at the end."""
    path: Numbers
    """Of each row: which of the paths, by its place in `paths`."""
    sightings: Numbers
    """Of each row."""
    visible: npt.NDArray[np.bool_]
    """Of each row: shown (Columns.visible)."""

    @classmethod
    def of(cls, result: Correlation, paths: Numbers) -> "PathSlice":
        """Paths by their indexes."""
        rows, path, first = ranges(result.first_hop[paths], result.first_hop[paths + 1])
        return cls(
            result=result, paths=paths, first=first, path=path, sightings=result.hops["sighting"][rows],
            visible=result.visible[rows],
        )  # fmt: skip


def slices(result: Correlation, paths: Numbers) -> Iterator[PathSlice]:
    """Paths by their indexes, ascending, in slices."""
    for begin, end in cuts(result.first_hop[paths + 1] - result.first_hop[paths], _HOPS):
        yield PathSlice.of(result, paths[begin:end])


def cuts(sizes: Numbers, most: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of stretches of objects of these sizes that are no more than `most` together, or a single one."""
    ends, begin = np.cumsum(sizes), 0
    while begin < sizes.size:
        before = int(ends[begin - 1]) if begin else 0
        end = max(int(np.searchsorted(ends, before + most, side="right")), begin + 1)
        yield begin, end
        begin = end


def either_end(rows: npt.NDArray[np.void], is_source: npt.NDArray[np.bool_]) -> list[Column]:
    """The source of some SIGHTING rows, the destination of the others."""
    pairs = zip(ends_of(rows, "source"), ends_of(rows, "destination"), strict=True)
    return [Column(one.kind, np.where(is_source, one.value, other.value)) for one, other in pairs]


def ranges(begin: Numbers, end: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """(all numbers of the ranges, one behind the other; of each the range; where each range begins among them, and the
    last ends)."""
    sizes = end - begin
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    of = np.repeat(np.arange(sizes.size), sizes)
    return np.arange(first[-1]) + (begin - first[:-1])[of], of, first


def ends_of(rows: npt.NDArray[np.void], end: str, *, quoted: bool = True) -> list[Column]:
    """`source` or `destination` of SIGHTING or OUTER rows, as `endpoint` writes them."""
    high, low, port = rows[f"{end}_high"], rows[f"{end}_low"], rows[f"{end}_port"].astype(np.int64)
    unread = np.zeros(rows.size, np.bool_)
    if "notes" in (rows.dtype.names or ()):
        unread = (port == 0) & ((rows["notes"] & NOTE_NO_FLOW) != 0)
    port[~_HAS_PORTS[rows["protocol"]] | unread] = NO_PORT
    port[(high == 0) & (low == 0) & (rows["ip_version"] == 0)] = NO_END
    return ends(high, low, port, quoted=quoted)
