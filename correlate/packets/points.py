"""Where a packet passes but once: two sightings of equal content there are two packets.

Matching goes by it, and so does the explanation of a match.
"""

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.hashing import mix
from ..protocols import FRAGMENT_OFFSET
from ..sightings import FRAME


@njit(cache=True)
def point_key(row):
    """One number for where a sighting is, for kernels: of a frame capture point, direction and piece of the datagram,
    else kind and place; and under which addresses it passed there.

    A packet may pass twice: it comes back under another flow, as through a NodePort of another node, or, where the
    direction is not known, with a lower TTL.
    """
    seen_with = np.uint64(row.ttl) if row.kind == FRAME and row.direction == 0 else np.uint64(0)
    return np.int64(mix(row.flow, np.uint64(_place_key(row)) ^ (seen_with << np.uint64(48))) >> np.uint64(1))


@njit(cache=True, inline="always")
def _place_key(row):
    offset = np.int64(row.fragment & np.uint16(FRAGMENT_OFFSET))
    return ((np.int64(row.kind) << 35 | np.int64(row.place)) * 4 + np.int64(row.direction)) << 13 | offset


@njit(cache=True)
def same_point(row, other):
    """The same of two rows, without hashing: a packet has one of them at most."""
    if row.place != other.place or row.direction != other.direction or row.kind != other.kind:
        return False
    turns = row.kind == FRAME and row.direction == 0 and row.ttl != other.ttl
    return row.flow == other.flow and not turns and (row.fragment ^ other.fragment) & np.uint16(FRAGMENT_OFFSET) == 0


def point_keys(sightings: npt.NDArray[np.void], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The same of these rows of the sightings."""
    keys = np.empty(rows.size, np.int64)
    _fill_keys(sightings, rows, keys)
    return keys


@njit(cache=True)
def _fill_keys(sightings, rows, keys):
    for i in range(rows.size):
        keys[i] = point_key(sightings[rows[i]])
