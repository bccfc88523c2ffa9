"""Later fragments carry no ports: they take flow and ports from the first fragment of their datagram (RFC 791, 3.2)."""

from typing import Final

import numpy as np
import numpy.typing as npt

from .schema import NOTE_NO_FLOW

_OFFSET: Final = 0x1FFF


def adopt_first_fragment(observations: npt.NDArray[np.void]) -> None:
    """Give the later fragments in `observations` (SIGHTING rows, changed in place) the ports and flow of their first fragment.

    A fragment whose first one was not captured keeps the flow of its addresses alone.
    """
    rows = np.flatnonzero((observations["fragment"] != 0) & (observations["ip_version"] > 0))
    if rows.size == 0:
        return
    piece = observations[rows]
    keys = [piece[c] for c in ("time_ns", "ip_id", "destination_low", "destination_high", "source_low", "source_high")]
    order = np.lexsort([*keys, piece["protocol"], piece["direction"], piece["place"]])
    rows, piece = rows[order], piece[order]
    new = np.zeros(rows.size, np.bool_)
    new[0] = True
    for column in ("place", "direction", "protocol", "source_high", "source_low", "destination_high", "destination_low", "ip_id"):
        new[1:] |= piece[column][1:] != piece[column][:-1]
    is_first = (piece["fragment"] & _OFFSET) == 0
    # A reused IP id begins a new datagram with its own first fragment; fragments that overtook the first look behind them.
    start = np.maximum.accumulate(np.where(new, np.arange(rows.size), 0))
    source = np.maximum.accumulate(np.where(is_first, np.arange(rows.size), -1))
    reverse = np.minimum.accumulate(np.where(is_first, np.arange(rows.size), rows.size)[::-1])[::-1]
    behind = np.minimum(reverse, rows.size - 1)
    source = np.where(source >= start, source, np.where((reverse < rows.size) & (start[behind] == start), behind, -1))
    later = ~is_first & (source >= 0)
    for column in ("source_port", "destination_port", "flow", "flow_reverse"):
        observations[column][rows[later]] = piece[column][source[later]]
    observations["notes"][rows[later]] &= 0xFF ^ NOTE_NO_FLOW
