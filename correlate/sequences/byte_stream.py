"""Sequence numbers of TCP -> positions in the stream of bytes."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import runs_of_keys

_HALF: Final = 1 << 31
"""Of all sequence numbers."""


def unwrapped(
    sequence: npt.NDArray[np.int64], group: npt.NDArray[np.int64], times_ns: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Positions in the stream of their direction: each number within 2 GiB of the one before it in time, so that a wrap
    does no harm (RFC 9293, 3.4). The first of each `group` is at 0."""
    if sequence.size == 0:
        return sequence
    runs = runs_of_keys(group.astype(np.uint64)).sorted_by(times_ns)
    position = np.empty(sequence.size, np.int64)
    _unwrap(runs.rows, runs.start, np.ascontiguousarray(sequence), position)
    return position


@njit(cache=True, nogil=True)
def _unwrap(rows, start, sequence, position):
    """`rows`: by direction and time."""
    for g in range(start.size - 1):
        at = np.int64(0)
        for k in range(start[g], start[g + 1]):
            if k > start[g]:
                ahead = sequence[rows[k]] - sequence[rows[k - 1]]
                at += ((ahead + _HALF) & (2 * _HALF - 1)) - _HALF
            position[rows[k]] = at
