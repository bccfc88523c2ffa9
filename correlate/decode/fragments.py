"""Fragments: which belong to one datagram, and to the whole that conntrack makes of them.

Later fragments carry no ports: they take flow and ports from the first one (RFC 791, 3.2). Conntrack reassembles before
the hooks and the kernel fragments again on the way out, maybe elsewhere, so the packet that a path follows is the
datagram.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..protocols import FRAGMENT_OFFSET, UDP
from ..schema import NOTE_NO_FLOW

_DATAGRAM: Final = (
    "place",
    "direction",
    "protocol",
    "source_high",
    "source_low",
    "destination_high",
    "destination_low",
    "ip_id",
)
"""What fragments of one datagram have in common where they are seen."""


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
    pieces = observations.take(rows)
    order = np.lexsort([pieces["time_ns"], *(pieces[column] for column in reversed(_DATAGRAM))])
    rows, pieces = rows[order], pieces.take(order)
    source = _first_pieces(pieces)
    later = (source >= 0) & (source != np.arange(rows.size))
    for column in ("source_port", "destination_port", "flow", "flow_reverse"):
        observations[column][rows[later]] = pieces[column][source[later]]
    # The ports of a first one that was cut are as unknown as theirs.
    read = later & ((pieces["notes"][source] & NOTE_NO_FLOW) == 0)
    observations["notes"][rows[read]] &= 0xFF ^ NOTE_NO_FLOW
    # Over UDP, IPv6 pieces are known by what their first one says of the whole (transport.py).
    six = read & (pieces["ip_version"] == 6) & (pieces["protocol"] == UDP)
    observations["content"][rows[six]] = pieces["content"][source[six]]
    observations["payload"][rows[six]] = 0


def _first_pieces(pieces: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """Per fragment the index of the first one of its datagram, -1 where there is none. `pieces`: SIGHTING rows in order
    of the columns of _DATAGRAM and of time."""
    every = np.arange(pieces.size)
    new = np.zeros(pieces.size, np.bool_)
    new[0] = True
    for column in _DATAGRAM:
        new[1:] |= pieces[column][1:] != pieces[column][:-1]
    is_first = (pieces["fragment"] & FRAGMENT_OFFSET) == 0
    # A reused IP id begins a new datagram with its own first fragment; fragments that overtook the first look behind
    # them.
    start = np.maximum.accumulate(np.where(new, every, 0))
    before = np.maximum.accumulate(np.where(is_first, every, -1))
    behind = np.minimum.accumulate(np.where(is_first, every, pieces.size)[::-1])[::-1]
    near = np.minimum(behind, pieces.size - 1)
    found: npt.NDArray[np.int64] = np.where(
        before >= start, before, np.where((behind < pieces.size) & (start[near] == start), near, -1)
    )
    return found
