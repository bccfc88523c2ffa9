"""Segments that two places saw with other sequence numbers: the same payload, under the same IP id.

A place here is one side of a capture point: what comes in from a client has the client's numbers, and so has what goes
out to it, whatever the same interface sees of the way behind.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import Direction
from ..arrays.grouping import first_with, group_ids, hashed
from ..protocols import TCP_ACK, TCP_SYN
from ..schema import ONE_PACKET_NS

_FEWEST: Final = 2
"""So many packets must say the same of a shift: one with an equal payload may be another."""
_NO_DIRECTION: Final = 2


class Segments(NamedTuple):
    """Frames of TCP whose places are compared: a row of each column per frame."""

    row: npt.NDArray[np.int64]
    """In the sightings."""
    connection: npt.NDArray[np.int64]
    """Or what could be one."""
    reply: npt.NDArray[np.int64]
    """0 or 1: which of its two ways."""
    place: npt.NDArray[np.int64]
    """See `sides`."""
    time_ns: npt.NDArray[np.int64]
    """On the reference clock."""
    clock: npt.NDArray[np.int64]
    """The same number where times can be compared."""

    def take(self, which: npt.NDArray[np.integer]) -> "Segments":
        """Some of them, by their index."""
        return Segments(*(column[which] for column in self))


class Pairs(NamedTuple):
    """Two places' frames of one segment: indexes into the Segments."""

    near: npt.NDArray[np.int64]
    """At the place that the others of its connection are compared with."""
    far: npt.NDArray[np.int64]

    def take(self, which: npt.NDArray[np.bool_]) -> "Pairs":
        """Some of them."""
        return Pairs(self.near[which], self.far[which])


class Votes(NamedTuple):
    """What pairs say of shifts: a row per stream of bytes that a pair tells a number of."""

    place: npt.NDArray[np.int64]
    """The far one, and its connection: index of the first of the Segments with both."""
    stream: npt.NDArray[np.int64]
    """Way of the connection that the bytes go."""
    number: npt.NDArray[np.int64]
    """As the far place saw it."""
    shift: npt.NDArray[np.int64]
    """How much more that is than the near place saw."""
    length: npt.NDArray[np.int64]
    """Bytes from there on that have the same shift; 0 of an acknowledgment."""
    time_ns: npt.NDArray[np.int64]


def sides(
    place: npt.NDArray[np.integer], direction: npt.NDArray[np.integer], reply: npt.NDArray[np.integer]
) -> npt.NDArray[np.int64]:
    """Capture points, with the side of the connection that a frame shows there; for ones that tell no directions there
    is only one. `direction`: pcapng Direction; `reply`: which way the frame goes."""
    side = np.where(direction == 0, _NO_DIRECTION, (direction == int(Direction.OUT)) ^ (reply == 1))
    return place.astype(np.int64) * 4 + side


def difference(later: npt.NDArray[np.integer], earlier: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Between sequence numbers, from -2**31 on (RFC 9293, 3.4)."""
    return (later.astype(np.int64) - earlier.astype(np.int64) + 2**31) % 2**32 - 2**31


def pair_segments(sightings: npt.NDArray[np.void], segments: Segments) -> Pairs:
    """Frames with equal payload, length, IP id, flags and window in one way at two places, as far as each place shows
    them with one sequence number only."""
    payload, length, ip_id, flags = (
        sightings[name][segments.row] for name in ("payload", "payload_length", "ip_id", "tcp_flags")
    )
    cut = np.zeros(int(segments.connection.max(initial=0)) + 1, np.bool_)
    cut[segments.connection[payload == 0]] = True  # then the payloads of none of its frames are compared by hash
    known = np.where(cut[segments.connection], 0, payload)
    telling = np.flatnonzero((length > 0) & ((flags & TCP_SYN) == 0) & ((known != 0) | (ip_id != 0)))
    if telling.size == 0:
        return Pairs(telling, telling)
    some = segments.take(telling)
    like = hashed(
        some.connection * 2 + some.reply, known[telling], length[telling], ip_id[telling], flags[telling],
        sightings["window"][some.row], sightings["length"][some.row],
    )  # fmt: skip
    ids, _ = group_ids(like)
    heads = _clear_heads(ids, some, sightings["sequence"][some.row])
    pairs = _beside_the_busiest(heads, ids, some)
    pairs = Pairs(telling[pairs.near], telling[pairs.far])
    one, other = payload[pairs.near], payload[pairs.far]
    return pairs.take(_near_in_time(segments, pairs) & ((one == other) | (one == 0) | (other == 0)))


def _clear_heads(
    ids: npt.NDArray[np.int32], some: Segments, sequence: npt.NDArray[np.integer]
) -> npt.NDArray[np.int64]:
    """The first of each place's equal frames, where all of these have one sequence number."""
    order = np.lexsort((some.time_ns, some.place, ids))
    key, place, number = ids[order], some.place[order], sequence[order]
    start = np.flatnonzero(np.append(True, (key[1:] != key[:-1]) | (place[1:] != place[:-1])))
    same = np.minimum.reduceat(number, start) == np.maximum.reduceat(number, start)
    heads = order[start[same]]
    shared = np.bincount(ids[heads], minlength=int(ids.max()) + 1) > 1
    found: npt.NDArray[np.int64] = heads[shared[ids[heads]]]
    return found


def _beside_the_busiest(heads: npt.NDArray[np.int64], ids: npt.NDArray[np.int32], some: Segments) -> Pairs:
    """Each place beside that place of its connection which has most of them."""
    connection, place = some.connection[heads], some.place[heads]
    both, example = group_ids(hashed(connection, place))
    count = np.bincount(both, minlength=example.size)
    order = np.lexsort((place[example], -count, connection[example]))
    first = np.append(True, np.diff(connection[example][order]) != 0)[: order.size]
    chosen = np.zeros(example.size, np.bool_)
    chosen[order[first]] = True
    is_near = chosen[both]
    near_of = np.full(int(ids.max()) + 1, -1, np.int64)
    near_of[ids[heads[is_near]]] = heads[is_near]
    others = heads[~is_near]
    near = near_of[ids[others]]
    return Pairs(near[near >= 0], others[near >= 0])


def _near_in_time(segments: Segments, pairs: Pairs) -> npt.NDArray[np.bool_]:
    apart = np.abs(segments.time_ns[pairs.near] - segments.time_ns[pairs.far])
    comparable = segments.clock[pairs.near] == segments.clock[pairs.far]
    found: npt.NDArray[np.bool_] = ~comparable | (apart <= ONE_PACKET_NS)
    return found


def votes_of(sightings: npt.NDArray[np.void], segments: Segments, pairs: Pairs, place: npt.NDArray[np.int64]) -> Votes:
    """What pairs say: of their own stream by sequence numbers, of the other by acknowledgments. `place`: of each of the
    Segments, see Votes."""
    near, far = segments.row[pairs.near], segments.row[pairs.far]
    number, other = sightings["sequence"][far].astype(np.int64), sightings["sequence"][near]
    own = difference(number, other)
    acks = np.flatnonzero((sightings["tcp_flags"][near] & sightings["tcp_flags"][far] & TCP_ACK) != 0)
    theirs = sightings["acknowledgment"][far[acks]].astype(np.int64)
    shift = difference(theirs, sightings["acknowledgment"][near[acks]])
    length = sightings["payload_length"][far].astype(np.int64)
    reply, at, time_ns = segments.reply[pairs.far], place[pairs.far], segments.time_ns[pairs.far]
    return Votes(
        np.concatenate([at, at[acks]]), np.concatenate([reply, reply[acks] ^ 1]), np.concatenate([number, theirs]),
        np.concatenate([own, shift]), np.concatenate([length, np.zeros(acks.size, np.int64)]),
        np.concatenate([time_ns, time_ns[acks]]),
    )  # fmt: skip


def established(votes: Votes, more: Votes | None = None) -> npt.NDArray[np.bool_]:
    """Per vote: enough packets say so, `more` among them. That nothing is shifted needs none."""
    columns = [np.concatenate([a, b]) for a, b in zip(votes, more, strict=True)] if more is not None else list(votes)
    ids, _ = group_ids(hashed(columns[0], columns[1], columns[3]))
    # A segment sent twice says it once: by the number, not by the frame.
    _, once = group_ids(hashed(ids, columns[2], columns[4] == 0))
    count = np.bincount(ids[once], minlength=ids.size + 1)
    said = votes.shift.size
    found: npt.NDArray[np.bool_] = (votes.shift == 0) | (count[ids[:said]] >= _FEWEST)
    return found


def unshifted(
    sightings: npt.NDArray[np.void], segments: Segments, at: npt.NDArray[np.int64], shifted: npt.NDArray[np.int64]
) -> Votes:
    """What segments say that a `shifted` place saw just as another did: nothing is shifted there, or not yet."""
    far_side = np.isin(at, shifted)
    far, near = np.flatnonzero(far_side), np.flatnonzero(~far_side)
    keys = hashed(segments.connection * 2 + segments.reply, sightings["content"][segments.row])
    far = far[first_with(keys[near], keys[far]) >= 0]
    rows = sightings.take(segments.row[far])
    flags = rows["tcp_flags"]
    acks = np.flatnonzero((flags & TCP_ACK) != 0)
    length = rows["payload_length"].astype(np.int64) + ((flags & TCP_SYN) != 0)
    place, reply, time_ns = at[far], segments.reply[far], segments.time_ns[far]
    return Votes(
        np.concatenate([place, place[acks]]), np.concatenate([reply, reply[acks] ^ 1]),
        np.concatenate([rows["sequence"], rows["acknowledgment"][acks]]).astype(np.int64),
        np.zeros(far.size + acks.size, np.int64), np.concatenate([length, np.zeros(acks.size, np.int64)]),
        np.concatenate([time_ns, time_ns[acks]]),
    )  # fmt: skip
