"""How far a connection came: what its packets say of it, wherever each of them ended."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ..outcomes.kinds import Outcome, Reason
from ..protocols import TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from .members import Members

REFUSED: Final = "refused"
"""The first packet was answered with RST or port unreachable."""
RESET: Final = "reset"
"""It was open, and one side broke it off."""
UNANSWERED: Final = "unanswered"
"""Nothing ever came back."""
HALF_OPEN: Final = "half-open"
"""SYN and SYN-ACK were seen, and nothing of the client behind them."""
COMPLETE: Final = "complete"
"""Both sides said what they had to say: TCP with its FINs, anything else with an answer."""
CUT: Final = "cut"
"""The captures show a part of it: it began before them, or went on behind them."""
STATES_TO_TELL: Final = (REFUSED, RESET, UNANSWERED, HALF_OPEN)
"""Those that a person wants to hear of beside the outcome."""


STATES: Final = (REFUSED, RESET, UNANSWERED, HALF_OPEN, COMPLETE, CUT)


def connection_states(members: Members) -> npt.NDArray[np.int64]:
    """Index into STATES of each connection, by its counted paths."""
    some, forward, flags = members.some, members.forward, members.heads["tcp_flags"]
    begins = (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN
    answers = (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)
    resets, ends = (flags & TCP_RST) != 0, (flags & TCP_FIN) != 0
    dropped = members.outcome == Outcome.DROPPED
    there, back, began, answered = some(forward), some(~forward), some(begins), some(answers)
    refusal = began & ~answered & some(resets & ~forward) & ~some(forward & ~begins)
    one_way = ~(there & back)
    error_alone, other = some(~members.own), ~some(members.heads["protocol"] == TCP)
    half = began & answered & ~some(forward & ~begins & ~dropped)
    whole = began & some(ends & forward) & some(ends & ~forward)
    refused = some(members.result.outcomes.reason[members.paths] == Reason.REFUSED)
    return np.select(
        [refused, error_alone, other & one_way, other, refusal, one_way & began, one_way, some(resets), half, whole],
        [STATES.index(one) for one in (REFUSED, CUT, UNANSWERED, COMPLETE, REFUSED, UNANSWERED, CUT, RESET, HALF_OPEN,
                                       COMPLETE)],
        STATES.index(CUT),
    )  # fmt: skip
