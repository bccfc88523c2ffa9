"""Fragments: which belong to one datagram, and to the whole that conntrack makes of them.

Later fragments carry no ports: they take flow and ports from the first one (RFC 791, 3.2). Conntrack reassembles before
the hooks and the kernel fragments again on the way out, maybe elsewhere, so the packet that a path follows is the
datagram.
"""

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..protocols import FRAGMENT_OFFSET, UDP
from ..schema import NOTE_NO_FLOW


def pieces_of(sightings: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """Rows of fragments."""
    return _find_pieces(sightings)


@njit(cache=True, nogil=True)
def _find_pieces(sightings):
    count = 0
    for i in range(sightings.size):
        count += sightings[i].fragment != 0
    found = np.empty(count, np.int64)
    count = 0
    for i in range(sightings.size if found.size else 0):
        if sightings[i].fragment != 0:
            found[count] = i
            count += 1
    return found


def adopt_first_fragment(observations: npt.NDArray[np.void]) -> None:
    """Give the later fragments in `observations` (SIGHTING rows, changed in place) the ports and flow of their first
    fragment.

    A fragment whose first one was not captured keeps the flow of its addresses alone.
    """
    rows = pieces_of(observations)
    rows = rows[observations["ip_version"][rows] > 0]
    if rows.size == 0:
        return
    piece = observations[rows]
    keys = [piece[c] for c in ("time_ns", "ip_id", "destination_low", "destination_high", "source_low", "source_high")]
    order = np.lexsort([*keys, piece["protocol"], piece["direction"], piece["place"]])
    rows, piece = rows[order], piece[order]
    new = np.zeros(rows.size, np.bool_)
    new[0] = True
    for column in (
        "place",
        "direction",
        "protocol",
        "source_high",
        "source_low",
        "destination_high",
        "destination_low",
        "ip_id",
    ):
        new[1:] |= piece[column][1:] != piece[column][:-1]
    is_first = (piece["fragment"] & FRAGMENT_OFFSET) == 0
    # A reused IP id begins a new datagram with its own first fragment; fragments that overtook the first look behind
    # them.
    start = np.maximum.accumulate(np.where(new, np.arange(rows.size), 0))
    source = np.maximum.accumulate(np.where(is_first, np.arange(rows.size), -1))
    reverse = np.minimum.accumulate(np.where(is_first, np.arange(rows.size), rows.size)[::-1])[::-1]
    behind = np.minimum(reverse, rows.size - 1)
    source = np.where(source >= start, source, np.where((reverse < rows.size) & (start[behind] == start), behind, -1))
    later = ~is_first & (source >= 0)
    for column in ("source_port", "destination_port", "flow", "flow_reverse"):
        observations[column][rows[later]] = piece[column][source[later]]
    # The ports of a first one that was cut are as unknown as theirs.
    read = later & ((piece["notes"][source] & NOTE_NO_FLOW) == 0)
    observations["notes"][rows[read]] &= 0xFF ^ NOTE_NO_FLOW
    # Over UDP, IPv6 pieces are known by what their first one says of the whole (dissect.py).
    six = read & (piece["ip_version"] == 6) & (piece["protocol"] == UDP)
    observations["content"][rows[six]] = piece["content"][source[six]]
    observations["payload"][rows[six]] = 0
