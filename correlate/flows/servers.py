"""Which addresses and ports serve: they take connections somewhere, or several others talk to them.

That is found out from all packets together, and then says of each connection that begins before its capture which end
of it is the client (roles.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...pcapng.rows import joined
from ..arrays.grouping import group_ids, hashed
from ..arrays.hashing import mix
from ..protocols import DCCP, SCTP, TCP, TCP_ACK, TCP_RST, TCP_SYN, UDP, UDP_LITE
from ..schema import NOTE_CUT, NOTE_ERROR, NOTE_NO_FLOW

_CACHE: Final = 1 << 14
"""Flows that are remembered, so as not to be noted again for each of their packets."""
_UNREADABLE: Final = NOTE_ERROR | NOTE_NO_FLOW | NOTE_CUT

_TALK: Final = np.dtype(
    [
        ("flow", "u8"),  # of the address pair, whichever of its two is less
        ("first", "u8"),  # the end that sends packets of that flow
        ("second", "u8"),
        ("place", "u4"),
        ("listening", "u4"),  # 1: the first end, 2: the second
    ]
)
"""Two ends that a capture point saw talking to each other."""


@njit(cache=True, nogil=True)
def end_key(protocol, high, low, port):
    """One number for an address and a port of a protocol, for kernels. Never 0."""
    return mix(mix(np.uint64(high), np.uint64(low)), (np.uint64(protocol) << np.uint64(16)) | np.uint64(port)) | (
        np.uint64(1)
    )


@njit(cache=True, nogil=True)
def source_key(row):
    """The same of a SIGHTING row's source; without a port where the protocol has none."""
    return end_key(row.protocol, row.source_high, row.source_low, row.source_port if _has_ports(row) else 0)


@njit(cache=True, nogil=True)
def destination_key(row):
    """The same of its destination."""
    port = row.destination_port if _has_ports(row) else 0
    return end_key(row.protocol, row.destination_high, row.destination_low, port)


@njit(cache=True, nogil=True, inline="always")
def _has_ports(row):
    return row.protocol in (TCP, UDP, DCCP, SCTP, UDP_LITE)


def end_pairs(sightings: npt.NDArray[np.void], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """(n, 2) keys of source and destination of these rows."""
    found = np.empty((rows.size, 2), np.uint64)
    _fill_end_pairs(sightings, rows, found)
    return found


@njit(cache=True, nogil=True)
def _fill_end_pairs(sightings, rows, found):
    for i in range(rows.size):
        found[i, 0] = source_key(sightings[rows[i]])
        found[i, 1] = destination_key(sightings[rows[i]])


@dataclass(frozen=True, slots=True)
class Talks:
    """Who talked to whom, each once per capture point."""

    rows: npt.NDArray[np.void] = field(default_factory=lambda: np.empty(0, _TALK))

    @classmethod
    def of(cls, observations: npt.NDArray[np.void]) -> "Talks":
        """From SIGHTING rows of captured frames."""
        return cls(_find_talks(observations)).merged()

    def merged(self, *others: "Talks") -> "Talks":
        """All of these together."""
        rows = joined(_TALK, (self.rows, *(other.rows for other in others)))
        _, first = group_ids(hashed(rows["flow"], rows["place"], rows["listening"]))
        return Talks(rows.take(first))


@njit(cache=True, nogil=True)
def _find_talks(observations):
    cache = np.zeros(_CACHE, np.uint64)
    found = np.empty(1024, _TALK)
    count = 0
    for i in range(observations.size):
        row = observations[i]
        if row.protocol != TCP and row.protocol != UDP:
            continue
        flow = min(row.flow, row.flow_reverse)
        listening = _listening(row) if row.protocol == TCP else 0
        key = flow + np.uint64(row.place) * np.uint64(4) + np.uint64(listening)
        slot = np.int64(key & np.uint64(_CACHE - 1))
        if cache[slot] == key or (row.notes & np.uint8(_UNREADABLE)):
            continue
        cache[slot] = key
        if count == found.size:
            longer = np.empty(2 * count, _TALK)
            for k in range(count):
                longer[k] = found[k]
            found = longer
        one = found[count]
        one.flow = flow
        source, destination = source_key(row), destination_key(row)
        one.first = source if flow == row.flow else destination
        one.second = destination if flow == row.flow else source
        one.place = row.place
        one.listening = listening
        count += 1
    return found[:count].copy()


@njit(cache=True, nogil=True, inline="always")
def _listening(row):
    """Which end a segment says that it listens, as in _TALK; 0 when it says nothing. A SYN that is answered by a
    refusal says it too, until then: whoever connects to it takes it for a server."""
    flags = row.tcp_flags & np.uint16(TCP_SYN | TCP_ACK | TCP_RST)
    first = 1 if row.flow <= row.flow_reverse else 2
    if flags == TCP_SYN:
        return 3 - first
    return first if flags == TCP_SYN | TCP_ACK else 0


@dataclass(frozen=True, slots=True)
class Servers:
    """What is known of ends (end_key), ascending."""

    listening: npt.NDArray[np.uint64]
    """Those that were asked for a connection, or took one."""
    asked: npt.NDArray[np.uint64]
    """Those that more than one other talked with at one capture point, ..."""
    by: npt.NDArray[np.int64]
    """... and how many did."""

    @classmethod
    def of(cls, talks: Sequence[Talks]) -> "Servers":
        """By all of these."""
        rows = Talks().merged(*talks).rows
        listening = [rows["first"][rows["listening"] == 1], rows["second"][rows["listening"] == 2]]
        _, once = group_ids(hashed(rows["flow"], rows["place"]))
        pairs = rows.take(once)
        ends, places = np.concatenate([pairs["first"], pairs["second"]]), np.tile(pairs["place"], 2)
        at, first = group_ids(hashed(ends, places))
        others = np.bincount(at, minlength=first.size)
        several = np.flatnonzero(others > 1)
        # Of an end that several points saw: as many as the one that saw the most.
        order = np.lexsort((-others[several], ends[first][several]))
        asked, most = np.unique(ends[first][several][order], return_index=True)
        return cls(np.unique(np.concatenate(listening)), asked, others[several][order][most].astype(np.int64))
