"""What became of a connection, in words: who refused it, who broke it off, what was sent in vain."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ..protocols import TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from . import connection_state as states
from .members import Members
from .words import endpoint, packet_info

_IDLE_NS: Final = 5_000_000_000
"""So long without a packet, at the end of the capture, that an open connection has nothing to say."""


class Form(IntEnum):
    """How an ending is worded."""

    STATE = 0
    """Its state, and no more."""
    CLIENT_RESET = 1
    """By whom: the sender of the RST."""
    SERVER_RESET = 2
    ERROR = 3
    """By whom: the sender of an ICMP error."""
    SYNS = 4
    """How many were sent in vain."""
    PACKETS = 5
    ANSWERS = 6
    BEGUN_BEFORE = 7
    IDLE = 8
    """For how many seconds."""
    CUT_OFF = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """Of connections, in columns."""

    state: npt.NDArray[np.int64]
    """Index into STATES."""
    form: npt.NDArray[np.int64]
    """Form."""
    number: npt.NDArray[np.int64]
    """Packets or seconds, where the form has some."""
    sender: npt.NDArray[np.int64]
    """Row of the sighting whose source sent it, where the form says so; else -1."""

    def text(self, members: Members, row: int) -> str:
        """`refused by the client, 172.17.0.2:80 (RST)`, `unanswered (SYN x4)`; of the connection of a row."""
        before, behind = self.around(members, row)
        sender = int(self.sender[row])
        return before + (endpoint(members.result.sightings[sender], "source") if sender >= 0 else "") + behind

    def around(self, members: Members, row: int) -> tuple[str, str]:
        """The words before and behind the sender; all of them before, where none is named."""
        state, number = states.STATES[self.state[row]], int(self.number[row])
        match Form(int(self.form[row])):
            case Form.STATE:
                return state, ""
            case Form.CLIENT_RESET:
                return f"{state} by the client, ", " (RST)"
            case Form.SERVER_RESET:
                return f"{state} by the server, ", " (RST)"
            case Form.ERROR:
                return f"{state} by ", f" (ICMP {packet_info(members.result.sightings[self.sender[row]])})"
            case Form.SYNS:
                return f"{state} (SYN x{number:,})", ""
            case Form.PACKETS:
                return f"{state} (x{number:,})", ""
            case Form.ANSWERS:
                return f"{state} (SYN-ACK x{number:,}, never acknowledged)", ""
            case Form.BEGUN_BEFORE:
                return "begun before the capture", ""
            case Form.IDLE:
                return f"open, and idle for {number} s at the end of the capture", ""
            case Form.CUT_OFF:
                return "cut by the end of the capture", ""


def connection_endings(members: Members, state: npt.NDArray[np.int64]) -> Endings:
    """The endings of connections, by their counted paths; `state`: what connection_states says of them."""
    form = np.full(state.size, Form.STATE, np.int64)
    number, sender = np.zeros(state.size, np.int64), np.full(state.size, -1, np.int64)
    is_tcp = members.some(members.heads["protocol"] == TCP)
    _broken_off(members, np.isin(state, _states(states.REFUSED, states.RESET)), form, sender)
    asked = members.count(members.forward)
    unanswered = (state == _states(states.UNANSWERED)) & (asked > 1)
    form[unanswered] = np.where(is_tcp, Form.SYNS, Form.PACKETS)[unanswered]
    number[unanswered] = asked[unanswered]
    half_open = state == _states(states.HALF_OPEN)
    form[half_open] = Form.ANSWERS
    number[half_open] = members.count(_has(members, TCP_SYN | TCP_ACK))[half_open]
    cut = (state == _states(states.CUT)) & is_tcp
    if cut.any():
        _cut(members, cut, form, number)
    return Endings(state=state, form=form, number=number, sender=sender)


def _states(*names: str) -> npt.NDArray[np.int64]:
    return np.array([states.STATES.index(name) for name in names])


def _has(members: Members, flags: int) -> npt.NDArray[np.bool_]:
    return (members.heads["tcp_flags"] & flags) == flags


def _broken_off(
    members: Members, which: npt.NDArray[np.bool_], form: npt.NDArray[np.int64], sender: npt.NDArray[np.int64]
) -> None:
    """The sender of the RST, or of the ICMP error; none where neither was seen."""
    result = members.result
    counted = members.counted & which[members.of]
    resets = members.first_of(counted & _has(members, TCP_RST) & (members.heads["protocol"] == TCP))
    by_reset = resets >= 0
    row = resets[by_reset]
    form[by_reset] = np.where(members.forward[row], Form.CLIENT_RESET, Form.SERVER_RESET)
    sender[by_reset] = result.head[members.paths[row]]
    related = result.outcomes.related[members.paths]
    errors = members.first_of(counted & (related >= 0))
    by_error = (errors >= 0) & ~by_reset
    form[by_error] = Form.ERROR
    sender[by_error] = result.head[related[errors[by_error]]]


def _cut(
    members: Members, which: npt.NDArray[np.bool_], form: npt.NDArray[np.int64], number: npt.NDArray[np.int64]
) -> None:
    """How TCP was cut: it began before the captures, or went on behind them."""
    result, flags = members.result, members.heads["tcp_flags"]
    began = members.some((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
    rows = members.first_of(members.counted)
    end_of = np.array([result.coverage.end_ns.get(one.node, 0) for one in result.topology.namespaces], np.int64)
    times_ns = np.where(members.counted, result.times_ns[result.head[members.paths]], np.iinfo(np.int64).min)
    silent_ns = end_of[members.heads["namespace"][rows]] - np.maximum.reduceat(times_ns, members.first[:-1])
    idle = (silent_ns >= _IDLE_NS) & ~members.some(_has(members, TCP_FIN))
    form[which] = np.select([~began, idle], [Form.BEGUN_BEFORE, Form.IDLE], Form.CUT_OFF)[which]
    number[which & began & idle] = np.rint(silent_ns / 1e9).astype(np.int64)[which & began & idle]
