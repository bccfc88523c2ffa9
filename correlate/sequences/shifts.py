"""Connections whose sequence numbers something on the way shifts, and the frames of them in one numbering.

SYNPROXY and firewalls that choose initial sequence numbers shift a direction by one number, a NAT helper that makes a
payload longer shifts what follows it. So a shift holds from one position in the stream on: between two positions of
which something tells that it is the same, and behind the last one. Matching compares contents, so the frames of one
side get the content that they would have with the numbers of the other.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...kernels.threads import run_all, threads
from ...pcapng.blocks import Direction
from ...pcapng.rows import filtered, joined
from ..arrays.grouping import Runs, first_with, group_ids, hashed
from ..decode.renumbered import renumbered_contents
from ..protocols import FRAGMENT_OFFSET, TCP
from ..schema import NOTE_CUT, NOTE_ERROR, NOTE_NO_FLAGS
from ..sightings import FRAME, of_kind, told
from .handshakes import Handshakes, find_handshakes
from .pairs import Segments, Votes, established, pair_segments, sides, unshifted, votes_of
from .positions import shift_at
from .rewritten import are_traced, find_rewritten

_UNREADABLE: Final = NOTE_ERROR | NOTE_CUT | NOTE_NO_FLAGS
_PLACES: Final = 60
"""Bits for places in the masks of `_find_divided`; the others are for sides."""

_OUT: Final = int(Direction.OUT)
_OWN: Final = np.uint64(0x5DEECE66D5DEECE6)
"""Makes another content of what a proxy sent in the name of an end, which may send just the same."""


class Ways(NamedTuple):
    """Which way of which connection the sightings go."""

    way: npt.NDArray[np.int64]
    connection: npt.NDArray[np.int64]
    forward: npt.NDArray[np.bool_]


def _none() -> npt.NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifts:
    """Sightings that show other sequence numbers than the rest of their connection."""

    rows: npt.NDArray[np.int64] = field(default_factory=_none)
    """In the sightings, ascending."""
    sequence: npt.NDArray[np.int64] = field(default_factory=_none)
    """How much more than elsewhere theirs is, from -2**31 on."""
    acknowledgment: npt.NDArray[np.int64] = field(default_factory=_none)
    content: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    """What `content` they would have with the numbers of the others; exchanged with theirs by `exchange`."""
    residue: npt.NDArray[np.uint16] = field(default_factory=lambda: np.empty(0, np.uint16))
    payload: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    answered: npt.NDArray[np.int64] = field(default_factory=_none)
    """Sightings, ascending: what ends sent for handshakes that a proxy on the way led itself with each of them."""
    rewritten: npt.NDArray[np.int64] = field(default_factory=_none)
    """Sightings, ascending: segments of which a helper on the way changed the payload, before that and behind it."""

    def exchange(self, sightings: npt.NDArray[np.void]) -> None:
        """Put their contents into the rows, and what was there in here; the same once more puts it back."""
        for name in ("content", "residue", "payload"):
            mine, column = getattr(self, name), sightings[name]
            column[self.rows], mine[:] = mine.copy(), column[self.rows]

    def numbers(
        self, sightings: npt.NDArray[np.void], name: str, which: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.uint32]:
        """`sequence` or `acknowledgment` of some sightings, such that they can be compared within a connection."""
        column: npt.NDArray[np.uint32] = sightings[name][which]
        if self.rows.size:
            at = np.minimum(np.searchsorted(self.rows, which), self.rows.size - 1)
            here = self.rows[at] == which
            column[here] -= (getattr(self, name)[at[here]] % 2**32).astype(np.uint32)
        return column

    def of(self, sightings: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(n, 2): the shifts of sequence and acknowledgment of some sightings, 0 where they have none."""
        found = np.zeros((sightings.size, 2), np.int64)
        if self.rows.size:
            at = np.minimum(np.searchsorted(self.rows, sightings), self.rows.size - 1)
            here = self.rows[at] == sightings
            found[here, 0], found[here, 1] = self.sequence[at[here]], self.acknowledgment[at[here]]
        return found


def find_shifts(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    ways: Ways,
    clocks: npt.NDArray[np.int64],
    contents: Runs,
) -> Shifts:
    """The shifts of all connections; almost always there are none, which one look at the contents tells.

    `sightings`: SIGHTING rows; `times_ns`: of each, on the reference clock; `clocks`: per namespace, the same number
    where times can be compared; `contents`: sightings with equal content.
    """
    connection, forward = ways.connection, ways.forward
    doubtful = _divided(sightings, ways, contents)
    if not doubtful.any():
        return Shifts()
    seen = of_kind(sightings, FRAME)
    rows = np.flatnonzero(doubtful[connection[seen]] & (sightings["protocol"][seen] == TCP))
    rows = rows[(sightings["notes"][rows] & _UNREADABLE) == 0]
    rows = rows[(sightings["fragment"][rows] & FRAGMENT_OFFSET) == 0]
    reply = (~forward[rows]).astype(np.int64)
    place = sides(sightings["place"][rows], sightings["direction"][rows], reply)
    segments = Segments(rows, connection[rows], reply, place, times_ns[rows], clocks[sightings["namespace"][rows]])
    at = _places_of(segments)
    pairs = pair_segments(sightings, segments)
    if pairs.near.size == 0:
        return Shifts()
    votes = votes_of(sightings, segments, pairs, at)
    handshakes = find_handshakes(sightings, segments, at, np.column_stack([at[pairs.near], at[pairs.far]]))
    sure = established(votes, handshakes.votes)
    votes = Votes(*(column[sure] for column in votes))
    shifted = np.unique(votes.place[votes.shift != 0])
    if shifted.size == 0:
        return Shifts()
    equal = unshifted(sightings, segments, at, shifted)
    votes = Votes(*(np.concatenate(columns) for columns in zip(votes, equal, strict=True)))
    return _shifts_of(sightings, segments, at, shifted, votes, handshakes, connection, forward)


def _divided(sightings: npt.NDArray[np.void], ways: Ways, contents: Runs) -> npt.NDArray[np.bool_]:
    """Per connection: there is no place that shows all segments of one of its ways."""
    frames = of_kind(sightings, FRAME).stop
    count = int(ways.way.max()) + 1 if ways.way.size else 0

    def common_in(pieces: list[Runs]) -> npt.NDArray[np.uint64]:
        found = np.full(count, ~np.uint64(0))
        for piece in pieces:
            _find_divided(piece.rows, piece.start, sightings, ways, frames, found)
        return found

    pieces = contents.pieces()
    common = np.bitwise_and.reduce(run_all(common_in, [pieces[i :: threads()] for i in range(threads())]))
    places = np.uint64((1 << _PLACES) - 1)
    found = ((common & places) == 0) | ((common & ~places) == 0)
    divided = np.zeros(int(ways.connection.max()) + 1 if ways.way.size else 0, np.bool_)
    if found.any():
        divided[ways.connection[found[ways.way]]] = True
    return divided


@njit(cache=True, nogil=True)
def _find_divided(rows, start, sightings, ways, frames, common):
    """Per way: places, and sides of it, that show all of its segments with a payload, as bits. `frames`: how many of
    the sightings are frames."""
    for g in range(start.size - 1):
        if start[g] == start[g + 1]:
            continue
        head = rows[start[g]]
        row = sightings[head]
        if row.protocol != TCP or row.payload_length == 0 or head >= frames or row.notes & _UNREADABLE:
            continue  # so are those that have the same content, or nothing depends on them
        way = ways.way[head]
        seen = _bits(row, ways.forward[head])
        single = True
        for k in range(start[g] + 1, start[g + 1]):
            i = rows[k]
            if i >= frames:
                break
            if ways.way[i] == way:
                seen |= _bits(sightings[i], ways.forward[i])
            else:
                single = False
        common[way] &= seen
        if not single:
            _divide_others(rows[start[g] : start[g + 1]], way, sightings, ways, frames, common)


@njit(cache=True, nogil=True, inline="always")
def _bits(row, forward):
    side = 2 if row.direction == 0 else np.int64((row.direction == _OUT) == forward)
    return (np.uint64(1) << np.uint64(row.place % _PLACES)) | (np.uint64(1) << np.uint64(_PLACES + side))


@njit(cache=True, nogil=True)
def _divide_others(rows, done, sightings, ways, frames, common):
    """The same for all ways of one content but the one that is `done`."""
    for k in range(1, rows.size):
        way = ways.way[rows[k]]
        if rows[k] >= frames or way == done:
            continue
        seen = np.uint64(0)
        for m in range(rows.size):
            if rows[m] < frames and ways.way[rows[m]] == way:
                if m < k:
                    seen = ~np.uint64(0)  # counted before
                    break
                seen |= _bits(sightings[rows[m]], ways.forward[rows[m]])
        common[way] &= seen


def _places_of(segments: Segments) -> npt.NDArray[np.int64]:
    """Of each: index of the first of its connection at its place."""
    ids, example = group_ids(hashed(segments.connection, segments.place))
    return example[ids]


def _shifts_of(
    sightings: npt.NDArray[np.void],
    segments: Segments,
    at: npt.NDArray[np.int64],
    shifted: npt.NDArray[np.int64],
    votes: Votes,
    handshakes: Handshakes,
    connection: npt.NDArray[np.int64],
    forward: npt.NDArray[np.bool_],
) -> Shifts:
    """`shifted`: the places (see Votes) that have other numbers."""
    own = segments.row[handshakes.own(sightings, segments, at, shifted)]
    changed = find_rewritten(sightings, segments, at, shifted, votes)
    traced = changed[are_traced(sightings, segments, changed)]
    wanted = np.isin(at, shifted) & ~handshakes.apart(sightings, segments, at) & ~np.isin(segments.row, own)
    found = _renumbered(sightings, segments, at, np.flatnonzero(wanted), votes)
    same = _with_content_of(sightings, segments.row[traced], found)
    found = joined(_NUMBERED, (filtered(found, ~np.isin(found["row"], same["row"])), same))
    behind, which = _told_of(sightings, found["row"], connection, forward)
    told_rows = found.take(which)
    told_rows["row"], told_rows["payload"] = behind, sightings["payload"][behind]
    distinct = np.zeros(own.size, _NUMBERED)
    distinct["row"], distinct["content"], distinct["payload"] = own, sightings["content"][own] ^ _OWN, 0
    found = joined(_NUMBERED, (found, told_rows, distinct))
    found = found.take(np.argsort(found["row"]))
    return Shifts(
        rows=found["row"].copy(), sequence=found["sequence"].copy(), acknowledgment=found["acknowledgment"].copy(),
        content=found["content"].copy(), residue=np.zeros(found.size, np.uint16), payload=found["payload"].copy(),
        answered=np.sort(segments.row[handshakes.answered(sightings, segments, at, shifted)]),
        rewritten=np.sort(segments.row[changed.reshape(-1)]),
    )  # fmt: skip


_NUMBERED: Final = np.dtype(
    [("row", "i8"), ("sequence", "i8"), ("acknowledgment", "i8"), ("content", "u8"), ("payload", "u8")]
)
"""The columns of Shifts."""


def _renumbered(
    sightings: npt.NDArray[np.void],
    segments: Segments,
    at: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.int64],
    votes: Votes,
) -> npt.NDArray[np.void]:
    """NUMBERED rows of the `wanted` segments, as far as their shift is known and they have one."""
    rows, times_ns, reply = segments.row[wanted], segments.time_ns[wanted], segments.reply[wanted]
    sequence, known = shift_at(votes, at[wanted], reply, sightings["sequence"][rows], times_ns)
    acknowledgment, known_too = shift_at(votes, at[wanted], reply ^ 1, sightings["acknowledgment"][rows], times_ns)
    acknowledgment[sightings["acknowledgment"][rows] == 0] = 0
    content, same = renumbered_contents(sightings.take(rows), sequence, acknowledgment)
    found = np.empty(rows.size, _NUMBERED)
    found["row"], found["sequence"], found["acknowledgment"], found["content"] = rows, sequence, acknowledgment, content
    found["payload"] = sightings["payload"][rows]
    return found[known & known_too & same & ((sequence != 0) | (acknowledgment != 0))]


def _with_content_of(
    sightings: npt.NDArray[np.void], pairs: npt.NDArray[np.int64], numbered: npt.NDArray[np.void]
) -> npt.NDArray[np.void]:
    """NUMBERED rows of the second of each two sightings: as if they were the first."""
    found = np.zeros(pairs.shape[0], _NUMBERED)
    at = first_with(numbered["row"].astype(np.uint64), pairs[:, 1].astype(np.uint64))
    for name in ("sequence", "acknowledgment"):
        found[name][at >= 0] = numbered[name][at[at >= 0]]
    found["row"] = pairs[:, 1]
    found["content"], found["payload"] = sightings["content"][pairs[:, 0]], sightings["payload"][pairs[:, 0]]
    return found


def _told_of(
    sightings: npt.NDArray[np.void],
    rows: npt.NDArray[np.int64],
    connection: npt.NDArray[np.int64],
    forward: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(what the kernel told of frames with other numbers, index of the first such frame among `rows`)."""
    behind = np.arange(sightings.size)[told(sightings)]
    if behind.size == 0 or rows.size == 0:
        return _none(), _none()

    def keys(which: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        return hashed(
            connection[which] * 2 + forward[which], sightings["content"][which], sightings["namespace"][which]
        )

    found = first_with(keys(rows), keys(behind))
    return behind[found >= 0], found[found >= 0]
