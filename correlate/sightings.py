"""What a sighting is: a captured frame, or something that the kernel said of a packet.

Every kind has a table of its own beside the SIGHTING rows, for what only it knows. Rows of sightings are in order of
their kinds, and those of one kind in the order of that table.
"""

from bisect import bisect_left, bisect_right
from functools import reduce
from operator import or_
from typing import Final

import numpy as np
import numpy.typing as npt

from ..kernels.njit import njit
from ..kernels.threads import run_all
from .schema import NOTE_ERROR

FRAME: Final = 0
"""A captured frame: an observation at a capture point."""
EVALUATION: Final = 1
"""A base chain saw the packet; its table are the rows of the Evaluations."""
DROP: Final = 3
"""The kernel says that it dropped the packet (netfilter/drops.py). 2 is free: tests add a kind of their own."""


PIECES: Final = 1
"""There are fragments among the sightings."""
OUTERS: Final = 2
"""Some travelled in tunnels."""
ERRORS: Final = 4
"""There are ICMP errors."""
MARKS: Final = PIECES | OUTERS | ERRORS
"""What stages need not look for where it is not."""
_PIECE: Final = 1 << 16


def marks_of(sightings: npt.NDArray[np.void]) -> int:
    """Which of the MARKS are among SIGHTING rows: one pass, in place of one by each stage that looks for its own."""
    starts = range(0, sightings.size, _PIECE)
    return reduce(or_, run_all(lambda at: int(_find_marks(sightings[at : at + _PIECE])), starts), 0)


@njit(cache=True, nogil=True)
def _find_marks(sightings):
    found = np.int64(0)
    for i in range(sightings.size):
        row = sightings[i]
        found |= np.int64(row.fragment != 0) * PIECES
        found |= np.int64(row.outer != 0) * OUTERS
        found |= np.int64((row.notes & np.uint8(NOTE_ERROR)) != 0) * ERRORS
    return found


def of_kind(sightings: npt.NDArray[np.void], kind: int) -> slice:
    """Where the sightings of a kind stand in SIGHTING rows."""
    kinds = sightings["kind"]
    every = range(kinds.size)  # a binary search, for the column is strided and long
    return slice(bisect_left(every, kind, key=kinds.__getitem__), bisect_right(every, kind, key=kinds.__getitem__))


def frames(sightings: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """The captured frames among SIGHTING rows; they stand first."""
    return sightings[of_kind(sightings, FRAME)]


def told(sightings: npt.NDArray[np.void]) -> slice:
    """Where those stand that the kernel told of: everything but frames."""
    return slice(of_kind(sightings, FRAME).stop, sightings.size)


def rows_in_table(sightings: npt.NDArray[np.void], kind: int) -> npt.NDArray[np.int64]:
    """Per sighting: its row in the table of this kind, -1 where it is of another."""
    found = np.full(sightings.size, -1, np.int64)
    here = of_kind(sightings, kind)
    found[here] = np.arange(here.stop - here.start)
    return found
