"""The content that a TCP packet would have with other sequence numbers."""

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.hashing import last_step
from .transport import header_hash


def renumbered_contents(
    rows: npt.NDArray[np.void], sequence: npt.NDArray[np.int64], acknowledgment: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """(`content` of each of the SIGHTING rows with so much less in its numbers; whether it could be made again: all of
    the header counted in theirs)."""
    found, same = np.empty(rows.size, np.uint64), np.empty(rows.size, np.bool_)
    _renumber(rows, sequence, acknowledgment, found, same)
    return found, same


@njit(cache=True)
def _renumber(rows, sequence, acknowledgment, found, same):
    for i in range(rows.size):
        row = rows[i]
        same[i] = _content(row, row.sequence, row.acknowledgment) == row.content
        found[i] = _content(
            row, np.uint32(row.sequence - sequence[i]), np.uint32(row.acknowledgment - acknowledgment[i])
        )


@njit(cache=True)
def _content(row, sequence, acknowledgment):
    """As transport.py makes it of a whole header."""
    state = header_hash(row.protocol, np.uint32(0), row.length, row.ip_id, row.fragment)
    return last_step(
        state,
        (np.uint64(sequence) << np.uint64(32)) | np.uint64(acknowledgment),
        (np.uint64(row.tcp_flags) << np.uint64(16)) | np.uint64(row.window),
    )
