"""Fragments: which belong to one datagram, and to the whole that conntrack makes of them.

Later fragments carry no ports: they take flow and ports from the first one (RFC 791, 3.2). Conntrack reassembles before
the hooks and the kernel fragments again on the way out, maybe elsewhere, so the packet that a path follows is the
datagram.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..schema import NOTE_NO_FLOW

_OFFSET: Final = 0x1FFF
_DATAGRAM: Final = np.uint64(0xF4A6 << 48)
"""Marks the content of a fragmented datagram."""
_DATAGRAM_6: Final = np.uint64(0xF4A60006 << 32)
"""The same for IPv6 over UDP."""
_UDP: Final = 17
_REASSEMBLY_NS: Final = 2_000_000_000
_MOST_PIECES: Final = 64
"""Pieces with the same IP id that a whole is compared with."""


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
    is_first = (piece["fragment"] & _OFFSET) == 0
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
    six = read & (piece["ip_version"] == 6) & (piece["protocol"] == _UDP)
    observations["content"][rows[six]] = piece["content"][source[six]]
    observations["payload"][rows[six]] = 0


def join_datagrams(
    sightings: npt.NDArray[np.void], times_ns: npt.NDArray[np.int64], direction_group: npt.NDArray[np.int64]
) -> bool:
    """Give all sightings of a fragmented datagram one `content`, whole or in pieces (SIGHTING rows, changed in place).

    `times_ns`, `direction_group`: per sighting, from the clocks and from link_connections. False when there is nothing
    to do.
    """
    if pieces_of(sightings).size == 0:
        return False
    by_first = (sightings["ip_version"] == 6) & (sightings["protocol"] == _UDP)
    by_first &= (sightings["notes"] & NOTE_NO_FLOW) == 0
    _join_by_first_piece(sightings, direction_group, by_first)
    pieces = np.flatnonzero((sightings["fragment"] != 0) & ~by_first)
    if pieces.size == 0:
        return True
    key = (direction_group << 16) | sightings["ip_id"]
    pieces = pieces[np.lexsort((times_ns[pieces], key[pieces]))]
    candidates = np.flatnonzero((sightings["fragment"] == 0) & np.isin(key, key[pieces]))
    at = np.searchsorted(key[pieces], key[candidates])
    # The wholes near in time to a piece with their IP id: 16 bits come again.
    near = np.zeros(candidates.size, np.bool_)
    for step in range(_MOST_PIECES):
        index = np.minimum(at + step, pieces.size - 1)
        same = key[pieces[index]] == key[candidates]
        near |= same & (np.abs(times_ns[pieces[index]] - times_ns[candidates]) < _REASSEMBLY_NS)
    members = np.concatenate([pieces, candidates[near]])
    sightings["content"][members] = sightings["ip_id"][members].astype(np.uint64) | _DATAGRAM
    sightings["payload"][members] = 0
    return True


def _join_by_first_piece(
    sightings: npt.NDArray[np.void], direction_group: npt.NDArray[np.int64], rows: npt.NDArray[np.bool_]
) -> None:
    """IPv6 over UDP: pieces and whole have one content already; mark it as that of a datagram in pieces."""
    pieces = np.flatnonzero(rows & (sightings["fragment"] != 0))
    if pieces.size == 0:
        return
    key = sightings["content"] ^ (direction_group.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    members = np.flatnonzero(rows & np.isin(key, key[pieces]))
    sightings["content"][members] = (sightings["content"][members] & np.uint64(0xFFFFFFFF)) | _DATAGRAM_6
    sightings["payload"][members] = 0


def is_datagram(row: np.void) -> bool:
    """Whether `join_datagrams` gave this sighting the content of a fragmented datagram: its IP id, or what the first
    piece of an IPv6 datagram says of the whole."""
    if row["ip_version"] == 6 and row["protocol"] == _UDP:
        return bool(row["content"] & ~np.uint64(0xFFFFFFFF) == _DATAGRAM_6)
    return bool(row["content"] == np.uint64(row["ip_id"]) | _DATAGRAM)
