"""TCP bytes that a direction sends again, at the first point that sees it.

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
from .ways import Ways

_MOST_RANGES: Final = 64
"""Ranges of bytes with holes between them that one direction remembers; the oldest is forgotten first."""

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
        ("at_first", "u1"),  # seen at the first point of its direction
        ("delivered", "u1"),
    ],
    align=True,
)
"""A TCP packet that is sent, or that arrives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retransmissions:
    """What is told of each path, from 0."""

    again: npt.NDArray[np.bool_]
    """It carries bytes (or a SYN or FIN) that the first point of its direction had seen before."""
    spurious: npt.NDArray[np.bool_]
    """All its bytes had been delivered by earlier packets."""


def find_retransmissions(result: Correlation, ways: Ways) -> Retransmissions:
    """The retransmissions among the paths of `ways`."""
    count = result.packets.count
    found = Retransmissions(again=np.zeros(count, np.bool_), spurious=np.zeros(count, np.bool_))
    events = _events(result, ways)
    if events.size:
        _follow(events, found.again, found.spurious)
    return found


def _events(result: Correlation, ways: Ways) -> npt.NDArray[np.void]:
    """EVENT rows, connection by connection in order of time."""
    first, last = ways.first, ways.last
    seen = result.sightings
    head = ways.sighting[first]
    tcp = (
        (seen["protocol"][head] == TCP)
        & ((seen["notes"][head] & (NOTE_ERROR | NOTE_CUT)) == 0)
        & ((seen["fragment"][head] & FRAGMENT_OFFSET) == 0)
    )
    first, last, head = first[tcp], last[tcp], head[tcp]
    nearest = np.full(2 * result.connections.count, np.iinfo(np.int64).max)
    np.minimum.at(nearest, ways.travel, ways.rank)
    sent = np.zeros(first.size, EVENT)
    outcome = result.outcomes.outcome[ways.path[first]]
    flags = seen["tcp_flags"][head]
    sent["path"] = ways.path[first]
    sent["connection"], sent["reply"] = np.divmod(ways.travel[first], 2)
    sent["time_ns"] = ways.time_ns[first]
    sent["flags"] = flags
    sent["sequence"], sent["acknowledgment"] = seen["sequence"][head], seen["acknowledgment"][head]
    sent["length"] = seen["payload_length"][head] + ((flags & TCP_SYN) > 0) + ((flags & TCP_FIN) > 0)
    sent["window"] = seen["window"][head]
    sent["at_first"] = ways.rank[first] == nearest[ways.travel[first]]
    sent["delivered"] = outcome == Outcome.DELIVERED
    gone = np.isin(outcome, (Outcome.DROPPED, Outcome.LOST))
    arrived = sent[~gone]
    arrived["arrival"] = 1
    arrived["time_ns"] = ways.time_ns[last[~gone]]
    events = np.concatenate([sent, arrived])
    return events[np.lexsort((events["arrival"] == 0, events["time_ns"], events["connection"]))]


@njit(cache=True)
def _follow(events, again, spurious):
    """Both directions of each connection, packet by packet. Positions are sequence numbers that do not wrap."""
    begun = np.zeros(2, np.bool_)
    high = np.zeros(2, np.int64)  # behind the last byte sent
    acknowledged = np.zeros(2, np.int64)  # behind the last byte that the other side acknowledged
    answered = np.zeros(2, np.bool_)  # the other side acknowledged anything
    closed = np.zeros(2, np.bool_)  # the other side's window is closed
    # Ranges of bytes: [direction, seen or delivered, low or high, which].
    ranges = np.zeros((2, 2, 2, _MOST_RANGES), np.int64)
    used = np.zeros((2, 2), np.int64)
    for i in range(events.size):
        event = events[i]
        if i == 0 or event.connection != events[i - 1].connection:
            begun[:], answered[:], closed[:] = False, False, False
            used[:] = 0
        if event.flags & TCP_RST:
            continue
        if event.arrival:
            other = 1 - event.reply
            if event.flags & TCP_ACK:
                if not begun[other]:
                    begun[other] = True
                    high[other] = acknowledged[other] = np.int64(event.acknowledgment)
                position = _unwrapped(event.acknowledgment, max(high[other], acknowledged[other]))
                acknowledged[other] = max(acknowledged[other], position)
                answered[other] = True
            closed[other] = event.window == 0
            continue
        own = event.reply
        position = _unwrapped(event.sequence, max(high[own], acknowledged[own]))
        if not begun[own] or (
            event.flags & TCP_SYN and not _overlaps(ranges[own, 0], used[own, 0], position, position + 1)
        ):
            # The first packet, or a connection begins anew between the same ports.
            begun[own] = True
            position = np.int64(event.sequence)
            high[own] = acknowledged[own] = position
            answered[own] = False
            used[own] = 0
        if event.length == 0:
            continue
        stop = position + event.length
        following = max(high[own], acknowledged[own])
        if event.length == 1 and not event.flags & (TCP_SYN | TCP_FIN):
            idle = acknowledged[own] >= following or not answered[own]
            if position == following - 1 and idle:
                continue  # a keep-alive
            if closed[own] and acknowledged[own] <= position <= following:
                continue  # a probe of the closed window
        if event.at_first:
            if _overlaps(ranges[own, 0], used[own, 0], position, stop):
                again[event.path] = True
                spurious[event.path] = _covers(ranges[own, 1], used[own, 1], position, stop)
            used[own, 0] = _add(ranges[own, 0], used[own, 0], position, stop)
            high[own] = max(high[own], stop)
        if event.delivered:
            used[own, 1] = _add(ranges[own, 1], used[own, 1], position, stop)


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
        ranges[:, : used - 1] = ranges[:, 1:used].copy()
        used, below, above = used - 1, below - 1, above - 1
    if above != below + 1:
        ranges[:, below + 1 : below + 1 + used - above] = ranges[:, above:used].copy()
    ranges[0, below], ranges[1, below] = begin, end
    return used - (above - below) + 1
