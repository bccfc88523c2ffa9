"""In which order packets and connections appear, so that their numbers do not depend on how they were found."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import Runs
from ..flows.connections import Connections
from ..sightings import FRAME

_BEHIND_FRAMES: Final = 1 << 62


def order_of_appearance(
    group: npt.NDArray[np.int64],
    groups: int,
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
) -> npt.NDArray[np.int32]:
    """Groups of sightings by the time of their first one, those of one time by where they begin in the files.

    `group`, `times_ns`: of each SIGHTING row; what the kernel told of stands behind all captured frames.
    """
    first_ns, place = first_of_each(group, groups, sightings, times_ns)
    order = np.argsort(first_ns, kind="stable").astype(np.int32)
    ordered = first_ns[order]
    start = np.append(np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])), groups)
    return Runs(order, start).sorted_by(place).rows


def number_connections(
    connections: Connections, sightings: npt.NDArray[np.void], times_ns: npt.NDArray[np.int64]
) -> None:
    """Number them in order of appearance by the final clocks (in place)."""
    rank = np.empty(connections.count, np.int64)
    order = order_of_appearance(connections.connection, connections.count, sightings, times_ns)
    rank[order] = np.arange(connections.count)
    connections.connection = rank[connections.connection]


@njit(cache=True, nogil=True)
def first_of_each(group, groups, sightings, times):
    """(Least time, least place in the files) of each of `groups` groups; arguments as for order_of_appearance. A
    place is file << 32 | frame, and more than that of any frame for what the kernel told of."""
    first_ns = np.full(groups, np.int64(2**63 - 1))
    place = np.full(groups, np.int64(2**63 - 1))
    for i in range(group.size):
        g = group[i]
        row = sightings[i]
        here = (np.int64(row.file) << 32) | np.int64(row.frame)
        if row.kind != FRAME:
            here |= np.int64(_BEHIND_FRAMES)
        first_ns[g] = min(first_ns[g], times[i])
        place[g] = min(place[g], here)
    return first_ns, place


def in_order_of_time(times_ns: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rows by time, and those of one time by their place in the files; as from first_of_each."""
    return np.lexsort((places, times_ns))
