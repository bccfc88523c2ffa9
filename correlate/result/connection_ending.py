"""What became of a connection, in words: who refused it, who broke it off, what was sent in vain."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.rows import filtered
from ..protocols import TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from . import connection_state as states
from .columns import Columns
from .words import endpoint, packet_info

_IDLE_NS: Final = 5_000_000_000
"""So long without a packet, at the end of the capture, that an open connection has nothing to say."""


def connection_ending(result: Columns, paths: npt.NDArray[np.int64], state: str) -> str:
    """`refused by 172.17.0.2:80 (RST)`, `unanswered (SYN x4)`; its state alone where there is no more to say. `paths`:
    as for connection_state, which said `state`."""
    rows = result.sightings.take(result.head[paths])
    forward = result.forward_of_path[paths]
    match state:
        case states.REFUSED | states.RESET:
            return f"{state}{_by_whom(result, paths, rows, forward)}"
        case states.UNANSWERED:
            asked = filtered(rows, forward)
            syn = "SYN " if rows["protocol"][0] == TCP and asked.size else ""
            return f"{state} ({syn}x{asked.size:,})" if asked.size > 1 else state
        case states.HALF_OPEN:
            answers = int(_has(rows, TCP_SYN | TCP_ACK).sum())
            return f"{state} (SYN-ACK x{answers:,}, never acknowledged)"
        case states.CUT if rows["protocol"][0] == TCP:
            return _open_at_the_end(result, rows, paths)
    return state


def _has(rows: npt.NDArray[np.void], flags: int) -> npt.NDArray[np.bool_]:
    return (rows["tcp_flags"] & flags) == flags


def _by_whom(
    result: Columns, paths: npt.NDArray[np.int64], rows: npt.NDArray[np.void], forward: npt.NDArray[np.bool_]
) -> str:
    """The sender of the RST, or of the ICMP error; empty where neither was seen."""
    resets = np.flatnonzero(_has(rows, TCP_RST) & (rows["protocol"] == TCP))
    if resets.size:
        who = "client" if forward[resets[0]] else "server"
        return f" by the {who}, {endpoint(rows[resets[0]], 'source')} (RST)"
    errors = result.outcomes.related[paths]
    errors = errors[errors >= 0]
    if not errors.size:
        return ""
    error = result.sightings[int(result.head[errors[0]])]
    return f" by {endpoint(error, 'source')} (ICMP {packet_info(error)})"


def _open_at_the_end(result: Columns, rows: npt.NDArray[np.void], paths: npt.NDArray[np.int64]) -> str:
    """How it was cut: it began before the captures, or went on behind them."""
    if not ((rows["tcp_flags"] & (TCP_SYN | TCP_ACK)) == TCP_SYN).any():
        return "begun before the capture"
    node = result.topology.namespaces[int(rows["namespace"][0])].node
    silent_ns = result.coverage.end_ns.get(node, 0) - int(result.times_ns[result.head[paths]].max())
    if silent_ns >= _IDLE_NS and not _has(rows, TCP_FIN).any():
        return f"open, and idle for {silent_ns / 1e9:.0f} s at the end of the capture"
    return "cut by the end of the capture"
