"""Copies that a mirror port makes of frames: they are hops of the packet that they are copies of.

A copy has the IP id of its original, or the bytes of a TCP stream that nobody sends again so soon. A network doubles a
packet now and then, a mirror port all of them: only in a session of which nearly every packet is there twice are they
copies. Of what has neither, the others of its session tell.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import Runs, group_ids, hashed
from ..arrays.hashing import mix
from ..decode.copies import COPY_NS, alike, has_own_id
from ..protocols import FRAGMENT_OFFSET, MORE_FRAGMENTS, TCP
from ..sightings import FRAME

_RECENT: Final = 1 << 12
"""Frames that are remembered to find out whether there are any copies."""
_LOOK_BACK: Final = 16
"""Equal frames before it that one is compared with."""
_OFTEN: Final = 2 / 3
"""Of so much of what is sent once in a session there are copies, where a mirror makes them: it would be all."""
_FEWEST: Final = 2
"""One packet that is there twice may be any network's doing, or that of somebody who sends it over and over; at however
many points."""


class _Seen(NamedTuple):
    """Columns of all sightings."""

    sightings: npt.NDArray[np.void]
    times_ns: npt.NDArray[np.int64]
    session: npt.NDArray[np.int64]
    network: npt.NDArray[np.int64]
    """See _networks."""
    once: npt.NDArray[np.bool_]
    """See _is_sent_once."""


def find_copies(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    session: npt.NDArray[np.int64],
    runs: Runs,
    outers: npt.NDArray[np.void],
) -> npt.NDArray[np.int64] | None:
    """Per sighting the row of which it is a copy, -1 where it is none; None where there are no copies at all.

    `session`: of each sighting; `runs`: those of equal content, by way and time; `outers`: OUTER rows.
    """
    if not _any_copies(sightings):
        return None
    copy_of = np.full(sightings.size, -1, np.int64)
    once = np.empty(sightings.size, np.bool_)
    _mark_sent_once(sightings, once)
    seen = np.bincount(session, weights=once)
    most = np.zeros(seen.size, np.int64)
    of_all = _Seen(sightings, times_ns, session, _networks(sightings, outers), once)
    _mark(runs.rows, runs.start, of_all, most, copy_of)
    copies = np.bincount(session[copy_of >= 0], minlength=seen.size)
    copied = np.zeros(sightings.size, np.bool_)
    copied[copy_of[copy_of >= 0]] = True
    doubled = np.bincount(session[copied], minlength=seen.size)
    originals = np.flatnonzero(copied)
    _, once_each = group_ids(hashed(session[originals], sightings["content"][originals]))
    packets = np.bincount(session[originals[once_each]], minlength=seen.size)
    mirrored = (packets >= _FEWEST) & (doubled >= _OFTEN * (seen - copies))
    copy_of[~mirrored[session]] = -1
    if (copy_of < 0).all():
        return None
    most[~mirrored] = 0
    _mark_others(runs.rows, runs.start, of_all, most, copy_of)
    return copy_of


def passing_ns(copy_of: npt.NDArray[np.int64] | None, times_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Times for the order of hops: a copy was at its point when its original was. `copy_of`: see find_copies."""
    return times_ns if copy_of is None else np.where(copy_of >= 0, times_ns[copy_of], times_ns)


def _networks(sightings: npt.NDArray[np.void], outers: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """Per sighting: what tells whose packet it is where tenants use the same addresses, 0 outside tunnels."""
    outer = sightings["outer"]
    if not outer.any():
        return np.zeros(sightings.size, np.int64)
    keys = np.append(np.int64(-2), outers["key"])
    found: npt.NDArray[np.int64] = keys[outer] + 2
    return found


@njit(cache=True, nogil=True)
def _any_copies(sightings):
    """Whether a frame that is sent once comes again soon at its point. Cheap; it may miss some where there are many."""
    keys = np.zeros(_RECENT, np.uint64)
    times = np.zeros(_RECENT, np.int64)
    for i in range(sightings.size):
        row = sightings[i]
        if row.kind != FRAME:
            break
        if not _is_sent_once(row):
            continue
        key = mix(row.content ^ row.flow, (np.uint64(row.place) << np.uint64(2)) | np.uint64(row.direction))
        slot = np.int64(key & np.uint64(_RECENT - 1))
        if keys[slot] == key and abs(row.time_ns - times[slot]) <= COPY_NS:
            return True
        keys[slot] = key
        times[slot] = row.time_ns
    return False


@njit(cache=True, nogil=True)
def _mark_sent_once(sightings, once):
    for i in range(sightings.size):
        once[i] = sightings[i].kind == FRAME and _is_sent_once(sightings[i])


@njit(cache=True, nogil=True)
def _is_sent_once(row):
    """Whether nobody sends it a second time within COPY_NS: by its IP id, or as TCP's own repetitions come later. In a
    network that is fast enough for them to come sooner, they are few."""
    if has_own_id(row):
        return True
    is_whole = row.fragment & np.uint16(FRAGMENT_OFFSET | MORE_FRAGMENTS) == 0
    return row.protocol == TCP and is_whole and row.payload_length > 0


@njit(cache=True, nogil=True)
def _mark(rows, start, seen, most, copy_of):
    """Find the copies of what is sent once, and the `most` of one frame in each session."""
    sightings, times, session, network, once = seen
    count = np.zeros(sightings.size, np.int32)
    for g in range(start.size - 1):
        for k in range(start[g] + 1, start[g + 1]):
            row = sightings[rows[k]]
            if not once[rows[k]]:
                continue
            for back in range(k - 1, max(start[g], k - _LOOK_BACK) - 1, -1):
                i = rows[back]
                if times[rows[k]] - times[i] > COPY_NS or times[rows[k]] < times[i]:
                    break
                if network[i] == network[rows[k]] and alike(sightings[i], row):
                    original = copy_of[i] if copy_of[i] >= 0 else i
                    copy_of[rows[k]] = original
                    count[original] += 1
                    most[session[original]] = max(most[session[original]], count[original])
                    break


@njit(cache=True, nogil=True)
def _mark_others(rows, start, seen, most, copy_of):
    """Find the copies of the rest, where sessions show up to `most` copies of a frame: the earliest that has not
    had so many yet is copied."""
    sightings, times, session, network, once = seen
    count = np.zeros(sightings.size, np.int32)
    for g in range(start.size - 1):
        for k in range(start[g] + 1, start[g + 1]):
            row = sightings[rows[k]]
            copies = most[session[rows[k]]]
            if row.kind != FRAME or once[rows[k]] or copies == 0:
                continue
            for back in range(max(start[g], k - _LOOK_BACK), k):
                i = rows[back]
                near = 0 <= times[rows[k]] - times[i] <= COPY_NS and network[i] == network[rows[k]]
                if near and copy_of[i] < 0 and count[i] < copies and alike(sightings[i], row):
                    copy_of[rows[k]] = i
                    count[i] += 1
                    break
