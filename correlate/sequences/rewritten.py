"""Segments of which a helper on the way changed the payload, and with its length the numbers of all that follow it."""

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import first_with, group_ids, hashed
from ..sightings import told
from .pairs import Segments, Votes
from .positions import shift_at


def find_rewritten(
    sightings: npt.NDArray[np.void],
    segments: Segments,
    at: npt.NDArray[np.int64],
    shifted: npt.NDArray[np.int64],
    votes: Votes,
) -> npt.NDArray[np.int64]:
    """(n, 2) segments, elsewhere and at one of the `shifted` places: the same position in the stream, the same IP id,
    acknowledgment, flags and window, and other lengths, by which the shift behind it differs from that before it.

    `at`: place of each segment, as in Votes.
    """
    carries = (sightings["payload_length"][segments.row] > 0) & (sightings["ip_id"][segments.row] != 0)
    far_side = np.isin(at, shifted)
    far, near = np.flatnonzero(carries & far_side), np.flatnonzero(carries & ~far_side)
    rows, times_ns, reply = segments.row[far], segments.time_ns[far], segments.reply[far]
    begin, length = sightings["sequence"][rows].astype(np.int64), sightings["payload_length"][rows].astype(np.int64)
    before, known = shift_at(votes, at[far], reply, begin, times_ns)
    behind, known_too = shift_at(votes, at[far], reply, (begin + length) % 2**32, times_ns)
    backward, told_of = shift_at(votes, at[far], reply ^ 1, sightings["acknowledgment"][rows], times_ns)
    changed = np.flatnonzero(known & known_too & told_of & (before != behind))
    far = far[changed]
    keys = _keys(sightings, segments, far, before[changed], backward[changed])
    others = _keys(sightings, segments, near, np.zeros(near.size, np.int64), np.zeros(near.size, np.int64))
    found = first_with(others, keys)
    single = (found >= 0) & _once(hashed(keys, at[far])) & np.isin(keys, others[_once(hashed(others, at[near]))])
    pairs = np.column_stack([near[found[single]], far[single]])
    longer = sightings["payload_length"][segments.row[pairs]].astype(np.int64)
    fits = longer[:, 1] - longer[:, 0] == (behind - before)[changed][single]
    kept: npt.NDArray[np.int64] = pairs[fits]
    return kept


def are_traced(
    sightings: npt.NDArray[np.void], segments: Segments, pairs: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Per pair: the kernel told of the one that was seen first, and the other left the same namespace later, with no
    higher TTL."""
    behind = np.arange(sightings.size)[told(sightings)]
    late = segments.time_ns[pairs[:, 0]] > segments.time_ns[pairs[:, 1]]
    first = segments.row[np.where(late, pairs[:, 1], pairs[:, 0])]
    last = segments.row[np.where(late, pairs[:, 0], pairs[:, 1])]

    def keys(which: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        return hashed(*(sightings[name][which] for name in ("content", "flow", "namespace")))

    same = sightings["namespace"][first] == sightings["namespace"][last]
    same &= sightings["ttl"][first] >= sightings["ttl"][last]
    found: npt.NDArray[np.bool_] = same & (first_with(keys(behind), keys(first)) >= 0)
    return found


def _keys(
    sightings: npt.NDArray[np.void],
    segments: Segments,
    which: npt.NDArray[np.int64],
    shift: npt.NDArray[np.int64],
    backward: npt.NDArray[np.int64],
) -> npt.NDArray[np.uint64]:
    rows = sightings.take(segments.row[which])
    sequence, acknowledgment = rows["sequence"] - shift, rows["acknowledgment"] - backward
    return hashed(
        segments.connection[which] * 2 + segments.reply[which], sequence % 2**32, acknowledgment % 2**32,
        rows["ip_id"], rows["tcp_flags"], rows["window"],
    )  # fmt: skip


def _once(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    ids, first = group_ids(keys)
    once: npt.NDArray[np.bool_] = np.bincount(ids, minlength=first.size)[ids] == 1
    return once
