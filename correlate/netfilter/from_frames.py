"""When a chain saw a packet: trace messages carry no time, only that of their receipt."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import Runs

_FAR_NS: Final = 1_000_000_000
"""A frame so far away is another packet with the same header."""
_OPEN: Final = -(2**63)
"""No frame near in time had its header yet."""


def times_by_frames(
    times_ns: npt.NDArray[np.int64], sightings: npt.NDArray[np.void], observed: int, contents: Runs
) -> npt.NDArray[np.int64]:
    """`times_ns` of sightings, with those of evaluations taken from the frames with their header.

    That is the latest one that their namespace had seen by then, or the next one where it saw none just before.
    `sightings`: SIGHTING rows, `observed` frames first; `contents`: those with equal content.
    """
    if observed in (0, sightings.size):
        return times_ns
    found = times_ns.copy()
    namespace = np.ascontiguousarray(sightings["namespace"])
    # Of equal time, frames first: they have the smaller rows.
    runs = contents.sorted_by(times_ns, namespace)
    _take_times(runs.rows, runs.start, namespace, times_ns, observed, found)
    return found


@njit(cache=True, nogil=True)
def _take_times(rows, start, namespace, times, observed, found):
    for g in range(start.size - 1):
        before = np.int64(-1)  # the latest frame, where it is of this namespace
        for k in range(start[g], start[g + 1]):
            i = rows[k]
            if before >= 0 and namespace[before] != namespace[i]:
                before = np.int64(-1)
            if i < observed:
                before = i
            elif before >= 0 and times[i] - times[before] < _FAR_NS:
                found[i] = times[before]
            else:
                found[i] = _OPEN
        after = np.int64(-1)
        for k in range(start[g + 1] - 1, start[g] - 1, -1):
            i = rows[k]
            if after >= 0 and namespace[after] != namespace[i]:
                after = np.int64(-1)
            if i < observed:
                after = i
            elif found[i] == _OPEN:
                near = after >= 0 and times[after] - times[i] < _FAR_NS
                found[i] = times[after] if near else times[i]
