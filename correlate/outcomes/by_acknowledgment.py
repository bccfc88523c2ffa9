"""Signs of arrival: what was not seen any further may have been missed by a capture; the other end tells.

TCP acknowledges every byte. Bytes that were acknowledged and sent only once arrived, whatever the captures saw; what
was sent again before it was acknowledged had been lost (RFC 9293, 3.8). An echo request that was answered had arrived.
Of other datagrams, what comes back next may be the answer: then nothing is claimed.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import runs_of_ids
from ..decode.icmp import are_queries
from ..protocols import ICMP, ICMPV6, TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, UDP
from ..schema import NOTE_CUT, NOTE_ERROR
from ..sequences.byte_stream import unwrapped
from .kinds import Outcome, Outcomes, Reason, Verdicts
from .tables import Tables

_LONGEST: Final = 65536
"""No segment holds more bytes; a super-packet does not either."""
_NEAREST: Final = 256
"""So many segments before and behind one in the stream are asked whether they carry some of its bytes."""
_MISSED: Final = (Reason.MAYBE_MISSED, Reason.CAPTURE_LOST, Reason.CAPTURE_ENDED, Reason.FILTERED)
"""Why a packet that went on may not have been seen."""


def arrived_all_the_same(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Packets that were not seen any further, where later ones show that they arrived, may have, or were lost."""
    lost = so_far.outcome == Outcome.LOST
    doubtful = lost | ((so_far.outcome == Outcome.UNKNOWN) & np.isin(so_far.reason, _MISSED))
    doubtful |= so_far.reason == Reason.KERNEL_DROP  # it may have been a copy
    doubtful[so_far.segments.packet] = False  # what became of their pieces is what became of them
    doubtful &= (tables.sightings["notes"][tables.first] & (NOTE_ERROR | NOTE_CUT)) == 0
    if not doubtful.any():
        return Verdicts.none()
    protocol = tables.sightings["protocol"][tables.first]
    streams = _by_acknowledgment(tables, so_far, np.flatnonzero(doubtful & (protocol == TCP)))
    queries = _by_reply(tables, np.flatnonzero(doubtful & ((protocol == ICMP) | (protocol == ICMPV6))))
    return streams.and_(queries).and_(_perhaps_answered(tables, np.flatnonzero(lost & (protocol == UDP))))


class _Stream(NamedTuple):
    """What some ways sent, by way and position, and what came back for it, by way and time."""

    way: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]
    """Of the first byte, in the stream of the way."""
    length: npt.NDArray[np.int64]
    """In sequence numbers: SYN and FIN count as one each."""
    begin_ns: npt.NDArray[np.int64]
    acknowledged_way: npt.NDArray[np.int64]
    acknowledged: npt.NDArray[np.int64]
    """Position up to which all had been acknowledged by then."""
    acknowledged_ns: npt.NDArray[np.int64]


def _by_acknowledgment(tables: Tables, so_far: Outcomes, doubtful: npt.NDArray[np.int64]) -> Verdicts:
    if doubtful.size == 0:
        return Verdicts.none()
    sightings, first = tables.sightings, tables.first
    way = tables.connections.connection[first] * 2 + tables.connections.forward[first]
    wanted = np.unique(way[doubtful] >> 1)
    paths = np.flatnonzero((sightings["protocol"][first] == TCP) & np.isin(way >> 1, wanted))
    paths = paths[(sightings["notes"][first[paths]] & (NOTE_ERROR | NOTE_CUT)) == 0]
    segments, stream = _stream(_comparable(tables, first[paths]), way[paths], tables.times_ns[first[paths]])
    place = np.full(first.size, -1, np.int64)
    place[paths[segments]] = np.arange(segments.size)
    doubtful = doubtful[place[doubtful] >= 0]
    verdict = np.zeros(doubtful.size, np.uint8)
    _weigh(place[doubtful], stream, verdict)
    arrived, resent = doubtful[verdict == _ARRIVED], doubtful[verdict == _SENT_AGAIN]
    # That it was sent again turns a doubt into a loss, where it had to be seen next and no other doubt is left.
    resent = resent[so_far.reason[resent] == Reason.MAYBE_MISSED]
    return Verdicts(paths=arrived, outcome=Outcome.DELIVERED, reason=Reason.ACKNOWLEDGED).and_(
        Verdicts(paths=resent, outcome=Outcome.LOST, reason=Reason.WIRE)
    )


def _comparable(tables: Tables, which: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """These sightings, with numbers that can be compared."""
    rows = tables.sightings.take(which)
    for name in ("sequence", "acknowledgment"):
        rows[name] = tables.numbers(name, which)
    return rows


def _stream(
    rows: npt.NDArray[np.void], way: npt.NDArray[np.int64], begin_ns: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], _Stream]:
    """(which of these packets carry something, in the order of the stream; the stream)."""
    flags = rows["tcp_flags"]
    length = rows["payload_length"].astype(np.int64) + ((flags & TCP_SYN) != 0) + ((flags & TCP_FIN) != 0)
    carry = np.flatnonzero(length > 0)
    # A reset acknowledges what it refuses.
    acks = np.flatnonzero(((flags & TCP_ACK) != 0) & ((flags & TCP_RST) == 0))
    numbers = np.concatenate([rows["sequence"][carry], rows["acknowledgment"][acks]]).astype(np.int64)
    ways, times = np.concatenate([way[carry], way[acks] ^ 1]), np.concatenate([begin_ns[carry], begin_ns[acks]])
    position = unwrapped(numbers, ways, times)
    most = int(ways.max(initial=-1)) + 1
    sent = runs_of_ids(way[carry], most).sorted_by(begin_ns[carry], position[: carry.size]).rows
    back = runs_of_ids(way[acks] ^ 1, most).sorted_by(begin_ns[acks]).rows
    of, known = (way[acks] ^ 1)[back], position[carry.size :][back]
    stream = _Stream(
        way[carry][sent], position[: carry.size][sent], length[carry][sent], begin_ns[carry][sent],
        of, _greatest_so_far(known, of), begin_ns[acks][back],
    )  # fmt: skip
    return carry[sent], stream


def _greatest_so_far(values: npt.NDArray[np.int64], group: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The running maximum within each run of equal groups, which ascend."""
    if values.size == 0:
        return values
    low = int(values.min())
    span = int(values.max()) - low + 1
    shift = np.append(0, np.cumsum(group[1:] != group[:-1])) * span - low
    return np.maximum.accumulate(values + shift) - shift


_ARRIVED: Final = 1
_SENT_AGAIN: Final = 2


@njit(cache=True)
def _weigh(doubtful, stream, verdict):
    """Per doubtful segment: _ARRIVED where its bytes were acknowledged, and sent no second time before that;
    _SENT_AGAIN where they were."""
    for i in range(doubtful.size):
        at = doubtful[i]
        again_ns, sent_before = _other_copies(at, stream)
        if sent_before:  # an acknowledgment may be one of the copy before it
            continue
        acknowledged_ns = _acknowledged_at(at, stream)
        if acknowledged_ns >= 0 and (again_ns < 0 or acknowledged_ns < again_ns):
            verdict[i] = _ARRIVED
        elif again_ns >= 0:
            verdict[i] = _SENT_AGAIN


@njit(cache=True)
def _acknowledged_at(at, stream):
    """When the other way first acknowledged all of a segment, -1 for never."""
    way, end = stream.way[at], stream.position[at] + stream.length[at]
    k = np.searchsorted(stream.acknowledged_way, way)
    stop = np.searchsorted(stream.acknowledged_way, way, side="right")
    k += np.searchsorted(stream.acknowledged[k:stop], end)
    while k < stop and stream.acknowledged_ns[k] < stream.begin_ns[at]:
        k += 1
    return stream.acknowledged_ns[k] if k < stop else np.int64(-1)


@njit(cache=True)
def _other_copies(at, stream):
    """(When some of its bytes were first sent again, -1 for never; whether some had been sent before.)"""
    again = np.int64(-1)
    sent_before = False
    for step in (-1, 1):
        k = at + step
        seen = 0
        while 0 <= k < stream.way.size and stream.way[k] == stream.way[at] and seen < _NEAREST:
            ahead = stream.position[k] - stream.position[at]
            if ahead >= stream.length[at] or -ahead >= _LONGEST:
                break
            if -ahead < stream.length[k]:
                later = stream.begin_ns[k] > stream.begin_ns[at]
                sent_before |= not later
                if later and (again < 0 or stream.begin_ns[k] < again):
                    again = stream.begin_ns[k]
            k += step
            seen += 1
    return again, sent_before


def _by_reply(tables: Tables, doubtful: npt.NDArray[np.int64]) -> Verdicts:
    """Echo requests that were answered, by their sequence number."""
    if doubtful.size == 0:
        return Verdicts.none()
    sightings, first, times_ns = tables.sightings, tables.first, tables.times_ns
    way = tables.connections.connection[first] * 2 + tables.connections.forward[first]
    replies = np.flatnonzero(np.isin(way, np.unique(way[doubtful] ^ 1)))
    replies = replies[(sightings["notes"][first[replies]] & NOTE_ERROR) == 0]
    asked = doubtful[are_queries(sightings.take(first[doubtful]))]
    key = (way[replies] << 16) | sightings["sequence"][first[replies]]
    order = np.argsort(key, kind="stable")
    wanted = ((way[asked] ^ 1) << 16) | sightings["sequence"][first[asked]]
    at = np.searchsorted(key[order], wanted)
    found = np.append(order, 0)[at]
    hit = (at < key.size) & (np.append(key, -1)[np.where(at < key.size, found, -1)] == wanted)
    answered = asked[hit]
    late = times_ns[first[replies[found[hit]]]] >= times_ns[first[answered]]
    return Verdicts(paths=answered[late], outcome=Outcome.DELIVERED, reason=Reason.ACKNOWLEDGED)


def _perhaps_answered(tables: Tables, lost: npt.NDArray[np.int64]) -> Verdicts:
    """Datagrams of UDP behind which more came back than was sent, or something came back next."""
    if lost.size == 0:
        return Verdicts.none()
    first = tables.first
    connection, forward = tables.connections.connection[first], tables.connections.forward[first]
    paths = np.flatnonzero(np.isin(connection, np.unique(connection[lost])))
    paths = paths[np.lexsort((tables.times_ns[first[paths]], connection[paths]))]
    place = np.empty(int(paths.max()) + 1, np.int64)
    place[paths] = np.arange(paths.size)
    answered = np.zeros(lost.size, np.bool_)
    _answered_next(place[lost], connection[paths], forward[paths], answered)
    return Verdicts(paths=lost[answered], outcome=Outcome.UNKNOWN, reason=Reason.ANSWERED)


@njit(cache=True)
def _answered_next(lost, connection, forward, answered):
    """`connection`, `forward`: of the paths by connection and time; `lost`: of some of these."""
    for i in range(lost.size):
        at = lost[i]
        balance = 0
        k = at + 1
        while k < connection.size and connection[k] == connection[at]:
            back = forward[k] != forward[at]
            if back and k == at + 1:
                answered[i] = True
                break
            balance += 1 if back else -1
            k += 1
        answered[i] |= balance > 0
