"""Sightings that were told of in part only: what is not known of them, a frame lends that agrees in what both know.

Text of a saved trace or log has no TCP sequence numbers, and maybe no time. The notes of a sighting say so; addresses,
ports, lengths, flags and the IP id are there. Once it has the content of its frame, matching is the same for all.

A segment that the kernel dropped may have another window than was sent: while its socket is busy, TCP puts what comes
into a backlog, and the window of a later segment into the header of an earlier one (tcp_add_backlog in tcp_ipv4.c).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import hashed
from ..protocols import TCP
from ..schema import NOTE_NO_SEQUENCE, NOTE_NO_TIME
from ..sightings import DROP, frames, of_kind, told

_FAR_NS: Final = 1_000_000_000
"""A frame so far away is another packet that looks the same."""
_LENT: Final = ("content", "payload", "residue", "sequence", "acknowledgment")
_KNOWN: Final = ("flow", "namespace", "length", "ip_id", "fragment", "tcp_flags", "window", "icmp_type")
"""What frames and partial headers both know. The TTL is not among it: hooks see another one."""
_OF_BACKLOG: Final = ("flow", "namespace", "length", "ip_id", "tcp_flags", "sequence", "acknowledgment")
"""What a backlog leaves as it was."""


def complete_headers(sightings: npt.NDArray[np.void]) -> None:
    """Give each sighting without sequence numbers those, and the content, of the frame that is it (in place).

    That is the nearest frame in time of its namespace that agrees with it in all that both know; where no time is told,
    the n-th such sighting is the n-th such frame, if there are as many of both. Without one it keeps what it has.
    """
    _restore_windows(sightings)
    behind = told(sightings)
    partial = behind.start + np.flatnonzero(sightings["notes"][behind] & (NOTE_NO_SEQUENCE | NOTE_NO_TIME))
    if partial.size == 0:
        return
    seen = frames(sightings)
    wanted, key = _keys(sightings.take(partial), _KNOWN), _keys(seen, _KNOWN)
    candidates = np.flatnonzero(np.isin(key, wanted))
    candidates = candidates[np.lexsort((seen["time_ns"][candidates], key[candidates]))]
    key, times_ns = key[candidates], seen["time_ns"][candidates]
    timed = (sightings["notes"][partial] & NOTE_NO_TIME) == 0
    at = np.full(partial.size, -1, np.int64)
    at[timed] = _nearest(key, times_ns, wanted[timed], sightings["time_ns"][partial[timed]])
    at[~timed] = _one_after_the_other(key, wanted[~timed])
    lent, frame = partial[at >= 0], candidates[at[at >= 0]]
    for column in _LENT:
        sightings[column][lent] = sightings[column][frame]
    untimed = (sightings["notes"][lent] & NOTE_NO_TIME) != 0
    sightings["time_ns"][lent[untimed]] = sightings["time_ns"][frame[untimed]]


def _restore_windows(sightings: npt.NDArray[np.void]) -> None:
    """Give each bare acknowledgment that the kernel dropped the content and the window of the frame that it was, as far
    as there is one (in place)."""
    drops = of_kind(sightings, DROP)
    bare = (sightings["protocol"][drops] == TCP) & (sightings["payload_length"][drops] == 0)
    dropped = drops.start + np.flatnonzero(bare)
    if dropped.size == 0:
        return
    seen = frames(sightings)
    candidates = np.flatnonzero(np.isin(seen["flow"], sightings["flow"][dropped]))
    key = _keys(seen.take(candidates), _OF_BACKLOG)
    order = np.lexsort((seen["time_ns"][candidates], key))
    candidates, key = candidates[order], key[order]
    wanted = _keys(sightings.take(dropped), _OF_BACKLOG)
    at = _nearest(key, seen["time_ns"][candidates], wanted, sightings["time_ns"][dropped])
    lent, frame = dropped[at >= 0], candidates[at[at >= 0]]
    for column in (*_LENT, "window"):
        sightings[column][lent] = sightings[column][frame]


def _keys(rows: npt.NDArray[np.void], columns: Sequence[str]) -> npt.NDArray[np.uint64]:
    return hashed(*(rows[column] for column in columns))


@njit(cache=True, nogil=True)
def _nearest(key, times, wanted, wanted_ns):
    """Per wanted key: the row of the nearest frame, -1 where none is near; rows by (key, time)."""
    found = np.full(wanted.size, np.int64(-1))
    for i in range(wanted.size):
        best = np.int64(_FAR_NS)
        k = np.searchsorted(key, wanted[i])
        while k < key.size and key[k] == wanted[i]:
            distance = abs(times[k] - wanted_ns[i])
            if distance < best:
                best = distance
                found[i] = k
            k += 1
    return found


def _one_after_the_other(key: npt.NDArray[np.uint64], wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Per wanted key, in order: the row of the frame in its place among those with its key, -1 where their numbers
    differ."""
    first, last = np.searchsorted(key, wanted), np.searchsorted(key, wanted, side="right")
    order = np.argsort(wanted, kind="stable")
    ordered = wanted[order]
    start = np.searchsorted(ordered, ordered)
    count = np.searchsorted(ordered, ordered, side="right") - start
    place, as_many = np.empty(wanted.size, np.int64), np.empty(wanted.size, np.int64)
    place[order], as_many[order] = np.arange(wanted.size) - start, count
    return np.where(last - first == as_many, first + place, -1)
