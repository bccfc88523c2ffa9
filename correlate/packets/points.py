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
    else kind and place.

    Where the direction is not known, a packet may pass twice: it comes back under another flow, or with a lower TTL.
    """
    offset = np.int64(row.fragment & np.uint16(FRAGMENT_OFFSET))
    key = ((np.int64(row.place) * 4 + np.int64(row.direction)) << 13) | offset
    if row.kind != FRAME:
        key |= (np.int64(1) << 62) | (np.int64(row.kind) << 46)
    elif row.direction == 0:
        key |= np.int64(mix(row.flow, np.uint64(row.ttl)) & np.uint64(0xFFFF)) << 46
    return key


def point_keys(sightings: npt.NDArray[np.void], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The same of these rows of the sightings."""
    keys = np.empty(rows.size, np.int64)
    _fill_keys(sightings, rows, keys)
    return keys


@njit(cache=True)
def _fill_keys(sightings, rows, keys):
    for i in range(rows.size):
        keys[i] = point_key(sightings[rows[i]])
