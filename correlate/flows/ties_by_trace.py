"""What joins sessions across a translation that the trace shows: one packet in one namespace, under two flows."""

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import distinct_pairs, hashed, runs_of_keys
from ..sightings import told


def trace_ties(
    ends: npt.NDArray[np.int64], sightings: npt.NDArray[np.void], said: npt.NDArray[np.void]
) -> npt.NDArray[np.int64]:
    """Pairs of session ends ((n, 2), session * 2 + orientation, each once): a packet that the kernel told of under two
    flows, with one conntrack id, was translated between them.

    Only for the same packet: the id is a hash over the address of the entry, so a reused port can bring the id of the
    last entry. Kernels before Linux 6.16 name no entry: there the trace id says the same. It is no proof that two
    messages are about one packet (a flow's next packet may have it, and it may change on the way), but equal content in
    the same namespace is, where it is equal too: a packet of another flow hashes to another one.

    `ends`, `said` (TOLD): of the sightings that are no frames.
    """
    traced = sightings[told(sightings)]
    by_entry, by_trace = said["conntrack_id"] != 0, (said["conntrack_id"] == 0) & (said["trace_id"] != 0)
    return distinct_pairs(
        np.concatenate(
            [
                _of_one_packet(np.flatnonzero(by_entry), ends, traced, said, "conntrack_id", "conntrack_direction"),
                _of_one_packet(np.flatnonzero(by_trace), ends, traced, said, "trace_id"),
            ]
        )
    )


def _of_one_packet(
    rows: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    traced: npt.NDArray[np.void],
    said: npt.NDArray[np.void],
    *columns: str,
) -> npt.NDArray[np.int64]:
    """Ends that follow each other where these columns of `said` are equal too."""
    key = hashed(traced["namespace"][rows], traced["content"][rows], *(said[column][rows] for column in columns))
    runs = runs_of_keys(key).sorted_by(said["order"][rows])
    return _neighbours(runs.rows, runs.start, ends[rows])


@njit(cache=True, nogil=True)
def _neighbours(rows, start, ends):
    """Two ends that follow each other in a run."""
    pairs = np.empty((rows.size, 2), np.int64)
    count = 0
    for g in range(start.size - 1):
        for i in range(start[g] + 1, start[g + 1]):
            a, b = ends[rows[i - 1]], ends[rows[i]]
            if a != b:
                pairs[count, 0] = a
                pairs[count, 1] = b
                count += 1
    return pairs[:count].copy()
