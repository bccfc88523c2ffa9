"""Datagrams in pieces: one of which a piece is missing was not delivered, whatever became of the others."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ..decode.fragments import pieces_of
from ..protocols import FRAGMENT_OFFSET
from ..sightings import FRAME
from .kinds import Outcome, Outcomes, Reason, Verdicts
from .tables import Tables

_MORE: Final = 0x2000
"""The flag of a fragment that is not the last (RFC 791, 3.1)."""
_UNIT: Final = 8
"""Bytes that the fragment offset counts in."""
_HEADER: Final = {4: 20, 6: 48}
"""Least bytes in front of a piece, by IP version."""


def arrived_without_a_piece(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Turns `delivered` into `unknown` where the pieces that came to the last place do not make a whole datagram."""
    if pieces_of(tables.sightings).size == 0:
        return Verdicts.none()
    begin, last = tables.bounds
    hops = tables.hops
    rows = hops["sighting"]
    shown = np.flatnonzero((tables.sightings["fragment"][rows] != 0) & (tables.sightings["kind"][rows] == FRAME))
    final = tables.sightings.take(rows[last])
    path = hops["packet"][shown]
    in_question = (so_far.outcome == Outcome.DELIVERED) & (final["fragment"] != 0) & (final["kind"] == FRAME)
    seen = tables.sightings.take(rows[shown])
    here = in_question[path] & (seen["place"] == final["place"][path]) & (seen["direction"] == final["direction"][path])
    path, seen = path[here], seen.take(np.flatnonzero(here))
    if path.size == 0:
        return Verdicts.none()
    complete = np.zeros(begin.size, np.bool_)
    complete[_complete(path, seen)] = True
    missing = np.setdiff1d(path, np.flatnonzero(complete))
    return Verdicts(paths=missing, outcome=Outcome.UNKNOWN, reason=Reason.INCOMPLETE)


def _complete(path: npt.NDArray[np.int64], pieces: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """The paths whose pieces, SIGHTING rows of one place, follow each other from the first byte to the last."""
    start = (pieces["fragment"] & FRAGMENT_OFFSET).astype(np.int64) * _UNIT
    header = np.where(pieces["ip_version"] == 4, _HEADER[4], _HEADER[6])
    stop = start + pieces["length"] - header
    order = np.lexsort((stop, start, path))
    path, start, stop = path[order], start[order], stop[order]
    new = np.append(True, path[1:] != path[:-1])
    end = np.append(path[1:] != path[:-1], True)
    joined = np.append(False, start[1:] <= stop[:-1]) | new
    whole = joined & np.where(new, start == 0, True) & np.where(end, (pieces["fragment"][order] & _MORE) == 0, True)
    heads = np.flatnonzero(new)
    return path[heads][np.logical_and.reduceat(whole, heads)]
