"""What packets are, as far as it decides over their way, and how far each connection came: in columns.

The first packet of a connection passes chains that the others do not, and an answer may be a refusal.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ..protocols import TCP, TCP_ACK, TCP_RST, TCP_SYN
from ..result.connection_state import connection_states as result_states
from ..result.correlation import Correlation
from ..result.members import Members
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
    """Outcome of each connection, as the report has it."""
    return _all(result).outcomes()


def connection_states(result: Correlation) -> npt.NDArray[np.int64]:
    """Index into STATES (result/connection_state.py) of each connection, as the report has it."""
    return result_states(_all(result))


def _all(result: Correlation) -> Members:
    return Members.of_connections(result, np.arange(result.connections.count))
