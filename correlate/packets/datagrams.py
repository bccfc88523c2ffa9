"""Fragmented datagrams: their pieces and the whole that conntrack makes of them are one packet."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ..arrays.hashing import spread
from ..decode.fragments import pieces_of
from ..protocols import UDP
from ..schema import NOTE_NO_FLOW

_DATAGRAM: Final = np.uint64(0xF4A6 << 48)
"""Marks the content of a fragmented datagram."""


_DATAGRAM_6: Final = np.uint64(0xF4A60006 << 32)
"""The same for IPv6 over UDP."""


_REASSEMBLY_NS: Final = 2_000_000_000


_MOST_PIECES: Final = 64
"""Pieces with the same IP id that a whole is compared with."""


def join_datagrams(
    sightings: npt.NDArray[np.void], times_ns: npt.NDArray[np.int64], way: npt.NDArray[np.int64]
) -> bool:
    """Give all sightings of a fragmented datagram one `content`, whole or in pieces (SIGHTING rows, changed in place).

    `times_ns`, `way`: per sighting, from the clocks and from find_connections. False when there is nothing
    to do.
    """
    if pieces_of(sightings).size == 0:
        return False
    by_first = _by_first_piece(sightings)
    _join_by_first_piece(sightings, way, by_first)
    pieces = np.flatnonzero((sightings["fragment"] != 0) & ~by_first)
    if pieces.size == 0:
        return True
    key = (way << 16) | sightings["ip_id"]
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
    sightings["content"][members] = datagram_contents(sightings.take(members))
    sightings["payload"][members] = 0
    return True


def datagram_contents(pieces: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """The content that `join_datagrams` gives pieces of fragmented datagrams (SIGHTING rows)."""
    by_first = _by_first_piece(pieces)
    of_first = (pieces["content"] & np.uint64(0xFFFFFFFF)) | _DATAGRAM_6
    return np.where(by_first, of_first, pieces["ip_id"].astype(np.uint64) | _DATAGRAM)


def _by_first_piece(sightings: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """IPv6 over UDP: pieces and whole have one content already."""
    found: npt.NDArray[np.bool_] = (sightings["ip_version"] == 6) & (sightings["protocol"] == UDP)
    found &= (sightings["notes"] & NOTE_NO_FLOW) == 0
    return found


def _join_by_first_piece(
    sightings: npt.NDArray[np.void], way: npt.NDArray[np.int64], rows: npt.NDArray[np.bool_]
) -> None:
    """Mark the content that pieces and whole have already as that of a datagram in pieces."""
    pieces = np.flatnonzero(rows & (sightings["fragment"] != 0))
    if pieces.size == 0:
        return
    key = sightings["content"] ^ spread(way)
    members = np.flatnonzero(rows & np.isin(key, key[pieces]))
    sightings["content"][members] = datagram_contents(sightings.take(members))
    sightings["payload"][members] = 0


def is_datagram(row: np.void) -> bool:
    """Whether `join_datagrams` gave this sighting the content of a fragmented datagram: its IP id, or what the first
    piece of an IPv6 datagram says of the whole."""
    if row["ip_version"] == 6 and row["protocol"] == UDP:
        return bool(row["content"] & ~np.uint64(0xFFFFFFFF) == _DATAGRAM_6)
    return bool(row["content"] == np.uint64(row["ip_id"]) | _DATAGRAM)
