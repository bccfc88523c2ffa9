"""What joins sessions of the same address pair when no content does: every sequence number is shifted between them.

A proxy by cookies, or a firewall that chooses initial sequence numbers, leaves no packet equal on both sides. Addresses
alone join nothing; segments with equal payloads and IP ids do, that are all shifted by one number. Ties are pairs of
session ends, (n, 2) int64, as in ties_by_conntrack.py.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import group_ids, hashed
from ..protocols import FRAGMENT_OFFSET, TCP
from ..schema import NOTE_CUT, NOTE_ERROR, NOTE_NO_FLAGS
from ..sequences.pairs import Pairs, Segments, established, pair_segments, sides, votes_of
from ..sightings import FRAME, of_kind
from .sessions import Sessions

_UNREADABLE: Final = NOTE_ERROR | NOTE_CUT | NOTE_NO_FLAGS


def sequence_ties(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    sessions: Sessions,
    roots: npt.NDArray[np.int64],
    clock: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """`roots`: of each session end, by the other ties; `clock`: per namespace, the same number where times can be
    compared."""
    nothing = np.empty((0, 2), np.int64)
    pair_of = _pairs_in_question(sightings, sessions, roots)
    if pair_of is None:
        return nothing
    seen = of_kind(sightings, FRAME)
    rows = np.flatnonzero((pair_of[sessions.session[seen]] >= 0) & (sightings["protocol"][seen] == TCP))
    rows = rows[((sightings["notes"][rows] & _UNREADABLE) == 0) & (sightings["payload_length"][rows] > 0)]
    rows = rows[(sightings["fragment"][rows] & FRAGMENT_OFFSET) == 0]
    session, reply = sessions.session[rows].astype(np.int64), sessions.orientation[rows].astype(np.int64)
    place = sides(sightings["place"][rows], sightings["direction"][rows], reply)
    life, _ = group_ids(hashed(place, session))
    segments = Segments(
        rows, pair_of[session], reply, life.astype(np.int64), times_ns[rows], clock[sightings["namespace"][rows]]
    )
    pairs = _proven(sightings, segments, session, pair_segments(sightings, segments))
    tied = np.column_stack([session[pairs.near], session[pairs.far]])
    apart = sightings["namespace"][rows[pairs.near]] != sightings["namespace"][rows[pairs.far]]
    return _one_to_one(2 * tied[apart], sightings["namespace"][rows[pairs.far[apart]]])


def _pairs_in_question(
    sightings: npt.NDArray[np.void], sessions: Sessions, roots: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64] | None:
    """Per session: number of its address pair, where it has sessions in several namespaces that nothing has joined,
    else -1; None where no pair has."""
    known = np.flatnonzero(sessions.first >= 0)
    space = sightings["namespace"][sessions.first[known]].astype(np.int64)
    if known.size == 0 or space.min() == space.max():
        return None
    first = sessions.first[known]
    ids, example = group_ids(np.minimum(sightings["flow"][first], sightings["flow_reverse"][first]))
    joined = np.minimum(roots[2 * known], roots[2 * known + 1])
    alone = np.ones(example.size, np.bool_)
    for value in (joined, space):
        several = np.zeros(example.size, np.bool_)
        several[ids[value != value[example[ids]]]] = True
        alone &= several
    alone &= sightings["protocol"][first[example]] == TCP
    if not alone.any():
        return None
    found = np.full(sessions.first.size, -1, np.int64)
    found[known] = np.where(alone[ids], ids, -1)
    return found


def _proven(sightings: npt.NDArray[np.void], segments: Segments, session: npt.NDArray[np.int64], pairs: Pairs) -> Pairs:
    """Those that enough others agree with. Where they have no IP id, a router between the two must be seen by TTL."""
    near, far = segments.row[pairs.near], segments.row[pairs.far]
    pairs = pairs.take((sightings["ip_id"][far] != 0) | (sightings["ttl"][near] != sightings["ttl"][far]))
    between, _ = group_ids(hashed(session[pairs.near], session[pairs.far]))
    at = np.zeros(segments.row.size, np.int64)
    at[pairs.far] = between
    votes = votes_of(sightings, segments, pairs, at)
    sure = established(votes) & (votes.shift != 0)
    proven = np.zeros(int(between.max(initial=0)) + 1, np.bool_)
    proven[votes.place[sure]] = True
    return pairs.take(proven[between])


def _one_to_one(tied: npt.NDArray[np.int64], space: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Of the ties, with how many pairs say each of them: a session has one partner in a namespace, the one most agree
    on; none where two are as good."""
    if tied.size == 0:
        return tied
    ties, index, count = np.unique(tied, axis=0, return_index=True, return_counts=True)
    space = space[index]
    kept = np.ones(count.size, np.bool_)
    for mine, there in ((ties[:, 0], space), (ties[:, 1], np.zeros_like(space))):
        of, _ = group_ids(hashed(mine, there))
        most = np.zeros(of.size + 1, np.int64)
        np.maximum.at(most, of, count)
        best = count == most[of]
        kept &= best & (np.bincount(of[best], minlength=of.size + 1)[of] == 1)
    return ties[kept]
