"""What packets are, as far as it decides over their way, and how far each connection came: in columns.

The first packet of a connection passes chains that the others do not, and an answer may be a refusal.
"""

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ..outcomes.kinds import Outcome, Reason
from ..protocols import TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from ..result.connection_state import COMPLETE, CUT, HALF_OPEN, REFUSED, RESET, UNANSWERED
from ..result.correlation import Correlation
from ..schema import NOTE_CUT, NOTE_ERROR, NOTE_NO_FLAGS


class PacketClass(IntEnum):
    """In the order in which they come."""

    FIRST = 0
    FIRST_ANSWER = 1
    REFUSAL = 2
    """RST."""
    ERROR = 3
    """An ICMP error about the connection."""
    OTHER = 4
    OTHER_ANSWER = 5


STATES: Final = (REFUSED, RESET, UNANSWERED, HALF_OPEN, COMPLETE, CUT)


def packet_classes(result: Correlation) -> npt.NDArray[np.int64]:
    """PacketClass of each path."""
    heads = result.sightings.take(result.head)
    forward, error = result.forward_of_path, (heads["notes"] & NOTE_ERROR) != 0
    tcp = _is_tcp(heads)
    found = np.where(forward, PacketClass.OTHER, PacketClass.OTHER_ANSWER).astype(np.int64)
    for way, kind in ((forward, PacketClass.FIRST), (~forward, PacketClass.FIRST_ANSWER)):
        of_others = np.flatnonzero(way & ~error & (heads["protocol"] != TCP))
        order = of_others[np.argsort(-result.times_ns[result.head[of_others]], kind="stable")]
        first = np.full(result.connections.count, -1, np.int64)
        first[result.connection_of_path[order]] = order
        found[first[first >= 0]] = kind
    flags = heads["tcp_flags"]
    found[tcp & ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)] = PacketClass.FIRST
    found[tcp & ((flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))] = PacketClass.FIRST_ANSWER
    found[tcp & ((flags & TCP_RST) != 0)] = PacketClass.REFUSAL
    found[error] = PacketClass.ERROR
    return found


def _is_tcp(heads: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    known = (heads["notes"] & (NOTE_NO_FLAGS | NOTE_CUT | NOTE_ERROR)) == 0
    return (heads["protocol"] == TCP) & known


def connection_outcomes(result: Correlation) -> npt.NDArray[np.int64]:
    """Outcome of each connection, as `connection_outcome` has it; by its own packets, where there are any."""
    paths = _own_or_all(result)
    found = np.full(result.connections.count, Outcome.UNKNOWN, np.int64)
    for outcome in (Outcome.DELIVERED, Outcome.LOST, Outcome.DROPPED):
        found[result.connection_of_path[paths[result.outcomes.outcome[paths] == outcome]]] = outcome
    return found


def _own_or_all(result: Correlation) -> npt.NDArray[np.int64]:
    own = (result.sightings["notes"][result.head] & NOTE_ERROR) == 0
    has_own = np.zeros(result.connections.count, np.bool_)
    has_own[result.connection_of_path[own]] = True
    return np.flatnonzero(own | ~has_own[result.connection_of_path])


def connection_states(result: Correlation) -> npt.NDArray[np.int64]:
    """Index into STATES of each connection, as `connection_state` has it (a test compares them)."""
    paths = _own_or_all(result)
    heads, connection = result.sightings.take(result.head[paths]), result.connection_of_path[paths]
    forward, flags = result.forward_of_path[paths], heads["tcp_flags"]

    def some(chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        found = np.zeros(result.connections.count, np.bool_)
        found[connection[chosen]] = True
        return found

    begins = (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN
    answers = (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)
    resets, ends = (flags & TCP_RST) != 0, (flags & TCP_FIN) != 0
    dropped = result.outcomes.outcome[paths] == Outcome.DROPPED
    there, back, began, answered = some(forward), some(~forward), some(begins), some(answers)
    refusal = began & ~answered & some(resets & ~forward) & ~some(forward & ~begins)
    one_way = ~(there & back)
    error_alone, other = some((heads["notes"] & NOTE_ERROR) != 0), ~some(heads["protocol"] == TCP)
    half = began & answered & ~some(forward & ~begins & ~dropped)
    whole = began & some(ends & forward) & some(ends & ~forward)
    refused = some(result.outcomes.reason[paths] == Reason.REFUSED)
    return np.select(
        [refused, error_alone, other & one_way, other, refusal, one_way & began, one_way, some(resets), half, whole],
        [STATES.index(one) for one in (REFUSED, CUT, UNANSWERED, COMPLETE, REFUSED, UNANSWERED, CUT, RESET, HALF_OPEN,
                                       COMPLETE)],
        STATES.index(CUT),
    )  # fmt: skip
