"""TCP bytes that are sent again, at the first point that sees the packets of their way.

Told apart as Wireshark does, but with what became of each packet: a retransmission is spurious when its bytes had been
delivered before, not when an acknowledgment happened to be seen. A keep-alive repeats the last byte of an idle
connection (RFC 9293, 3.8.4), a probe carries one byte to a closed window (3.8.6.1): neither is a retransmission. What
first appears further on is a cut of a super-packet (GSO), not a second try.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..outcomes.kinds import Outcome
from ..protocols import FRAGMENT_OFFSET, TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from ..result.correlation import Correlation
from ..schema import NOTE_CUT, NOTE_ERROR
from .steps import Steps

_MOST_RANGES: Final = 64
"""Ranges of bytes with holes between them that are remembered of one way; the oldest is forgotten first."""

EVENT: Final = np.dtype(
    [
        ("path", "i8"),
        ("connection", "i8"),
        ("time_ns", "i8"),
        ("arrival", "u1"),  # 1: it came to the last point that saw it; 0: the first point saw it
        ("reply", "u1"),
        ("flags", "u2"),
        ("sequence", "u4"),
        ("acknowledgment", "u4"),
        ("length", "u4"),  # bytes of the sequence space: payload, SYN and FIN
        ("window", "u2"),
        ("at_first", "u1"),  # seen at the first point of its way
        ("delivered", "u1"),
    ],
    align=True,
)
"""A TCP packet that is sent, or that arrives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retransmissions:
    """What is told of each path, from 0."""

    again: npt.NDArray[np.bool_]
    """It carries bytes (or a SYN or FIN) that the first point of its way had seen before."""
    spurious: npt.NDArray[np.bool_]
    """All its bytes had been delivered by earlier packets."""


def find_retransmissions(result: Correlation, steps: Steps) -> Retransmissions:
    """The retransmissions among the paths of `steps`."""
    count = result.packets.count
    found = Retransmissions(again=np.zeros(count, np.bool_), spurious=np.zeros(count, np.bool_))
    events = _events(result, steps)
    if events.size:
        _follow(events, found.again, found.spurious)
    return found


def _events(result: Correlation, steps: Steps) -> npt.NDArray[np.void]:
    """EVENT rows, connection by connection in order of time."""
    first, last = steps.first, steps.last
    seen = result.sightings
    head = steps.sighting[first]
    tcp = (
        (seen["protocol"][head] == TCP)
        & ((seen["notes"][head] & (NOTE_ERROR | NOTE_CUT)) == 0)
        & ((seen["fragment"][head] & FRAGMENT_OFFSET) == 0)
    )
    first, last, head = first[tcp], last[tcp], head[tcp]
    nearest = np.full(2 * result.connections.count, np.iinfo(np.int64).max)
    np.minimum.at(nearest, steps.way, steps.rank)
    sent = np.zeros(first.size, EVENT)
    outcome = result.outcomes.outcome[steps.path[first]]
    flags = seen["tcp_flags"][head]
    sent["path"] = steps.path[first]
    sent["connection"], sent["reply"] = np.divmod(steps.way[first], 2)
    sent["time_ns"] = steps.time_ns[first]
    sent["flags"] = flags
    for name in ("sequence", "acknowledgment"):
        sent[name] = result.shifts.numbers(seen, name, head)
    sent["length"] = seen["payload_length"][head] + ((flags & TCP_SYN) > 0) + ((flags & TCP_FIN) > 0)
    sent["window"] = seen["window"][head]
    sent["at_first"] = steps.rank[first] == nearest[steps.way[first]]
    sent["delivered"] = outcome == Outcome.DELIVERED
    gone = np.isin(outcome, (Outcome.DROPPED, Outcome.LOST))
    arrived = sent[~gone]
    arrived["arrival"] = 1
    arrived["time_ns"] = steps.time_ns[last[~gone]]
    events = np.concatenate([sent, arrived])
    return events[np.lexsort((events["arrival"] == 0, events["time_ns"], events["connection"]))]


_SENDER: Final = np.dtype(
    [
        ("high", "i8"),  # behind the last byte it sent
        ("acknowledged", "i8"),  # behind the last byte that the other side acknowledged
        ("seen", "i8"),  # ranges of bytes that were seen, and of those that were delivered
        ("delivered", "i8"),
        ("begun", "u1"),
        ("answered", "u1"),  # the other side acknowledged anything
        ("closed", "u1"),  # the other side's window is closed
    ],
    align=True,
)
"""What is known of one side of a connection. Positions are sequence numbers that do not wrap."""


@njit(cache=True)
def _follow(events, again, spurious):
    """Both ways of each connection, packet by packet."""
    senders = np.zeros(2, _SENDER)
    # Ranges of bytes: [way, seen or delivered, low or high, which].
    ranges = np.zeros((2, 2, 2, _MOST_RANGES), np.int64)
    for i in range(events.size):
        event = events[i]
        if i == 0 or event.connection != events[i - 1].connection:
            _forget(senders[0])
            _forget(senders[1])
        if event.flags & TCP_RST:
            continue
        if event.arrival:
            _acknowledge(senders[1 - event.reply], event)
        else:
            _send(senders[event.reply], ranges[event.reply, 0], ranges[event.reply, 1], event, again, spurious)


@njit(cache=True, forceinline=True)
def _forget(sender):
    sender.begun = sender.answered = sender.closed = False
    sender.seen = sender.delivered = 0


@njit(cache=True, forceinline=True)
def _acknowledge(sender, event):
    """A packet arrives that the other side sent."""
    if event.flags & TCP_ACK:
        if not sender.begun:
            sender.begun = True
            sender.high = sender.acknowledged = np.int64(event.acknowledgment)
        position = _unwrapped(event.acknowledgment, max(sender.high, sender.acknowledged))
        sender.acknowledged = max(sender.acknowledged, position)
        sender.answered = True
    sender.closed = event.window == 0


@njit(cache=True, forceinline=True)
def _send(sender, seen, delivered, event, again, spurious):
    """A packet is sent. `seen`, `delivered`: ranges of bytes."""
    position = _unwrapped(event.sequence, max(sender.high, sender.acknowledged))
    reopens = event.flags & TCP_SYN and not _overlaps(seen, sender.seen, position, position + 1)
    if not sender.begun or reopens:
        # The first packet, or a connection begins anew between the same ports.
        position = np.int64(event.sequence)
        sender.high = sender.acknowledged = position
        sender.begun = True
        sender.answered = False
        sender.seen = sender.delivered = 0
    if event.length == 0 or _asks_only(sender, event, position):
        return
    stop = position + event.length
    if event.at_first:
        if _overlaps(seen, sender.seen, position, stop):
            again[event.path] = True
            spurious[event.path] = _covers(delivered, sender.delivered, position, stop)
        sender.seen = _add(seen, sender.seen, position, stop)
        sender.high = max(sender.high, stop)
    if event.delivered:
        sender.delivered = _add(delivered, sender.delivered, position, stop)


@njit(cache=True, forceinline=True)
def _asks_only(sender, event, position):
    """A keep-alive, or a probe of a closed window."""
    if event.length != 1 or event.flags & (TCP_SYN | TCP_FIN):
        return False
    following = max(sender.high, sender.acknowledged)
    idle = sender.acknowledged >= following or not sender.answered
    if position == following - 1 and idle:
        return True
    return sender.closed and sender.acknowledged <= position <= following


@njit(cache=True)
def _unwrapped(number, near):
    """The position nearest to `near` with these 32 bits."""
    difference = (np.int64(number) - near) & 0xFFFFFFFF
    return near + (difference - 2**32 if difference >= 2**31 else difference)


@njit(cache=True)
def _overlaps(ranges, used, begin, end):
    found = False
    for k in range(used):
        found = found or (ranges[0, k] < end and begin < ranges[1, k])
    return found


@njit(cache=True)
def _covers(ranges, used, begin, end):
    found = False
    for k in range(used):
        found = found or (ranges[0, k] <= begin and end <= ranges[1, k])
    return found


@njit(cache=True)
def _add(ranges, used, begin, end):
    """Put a range into the sorted, separate ones; returns how many there are."""
    above = used
    while above > 0 and ranges[0, above - 1] > end:
        above -= 1
    below = above
    while below > 0 and ranges[1, below - 1] >= begin:
        below -= 1
        begin = min(begin, ranges[0, below])
        end = max(end, ranges[1, below])
    if below == above and used == ranges.shape[1]:
        if below == 0:
            return used  # older than all that is remembered
        _move(ranges, np.int64(1), used, np.int64(-1))
        used, below, above = used - 1, below - 1, above - 1
    _move(ranges, above, used, below + 1 - above)
    ranges[0, below], ranges[1, below] = begin, end
    return used - (above - below) + 1


@njit(cache=True)
def _move(ranges, begin, end, by):
    """The ranges from `begin` to `end`, `by` places on."""
    # One by one: what copies slices of two dimensions takes numba eight seconds, for every place it is inlined to.
    for i in range(end - begin):
        k = begin + i if by < 0 else end - 1 - i
        ranges[0, k + by], ranges[1, k + by] = ranges[0, k], ranges[1, k]
