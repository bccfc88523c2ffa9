"""How far a connection came: what its packets say of it, wherever each of them ended."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ..outcomes.kinds import Outcome, Reason
from ..protocols import TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from ..schema import NOTE_ERROR
from .columns import Columns

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


def connection_state(result: Columns, paths: npt.NDArray[np.int64]) -> str:
    """One of the words above. `paths`: those of one connection, by index, without ICMP errors about it, unless these
    are all there is of it."""
    if (result.outcomes.reason[paths] == Reason.REFUSED).any():
        return REFUSED
    forward = result.forward_of_path[paths]
    rows = result.sightings.take(result.head[paths])
    if rows["notes"][0] & NOTE_ERROR:
        return CUT  # what it is about was not seen
    if rows["protocol"][0] != TCP:
        return COMPLETE if forward.any() and not forward.all() else UNANSWERED
    return _state_of_tcp(rows["tcp_flags"], forward, result.outcomes.outcome[paths] == Outcome.DROPPED)


def _state_of_tcp(flags: npt.NDArray[np.uint16], forward: npt.NDArray[np.bool_], dropped: npt.NDArray[np.bool_]) -> str:
    begins = (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN
    answers = (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)
    resets, ends = (flags & TCP_RST) != 0, (flags & TCP_FIN) != 0
    opened = bool(answers.any() and (forward & ~begins & ~dropped).any())
    if begins.any() and not answers.any():
        if (resets & ~forward).any() and forward[~begins].sum() == 0:
            return REFUSED
        if forward.all():
            return UNANSWERED
    if forward.all() or not forward.any():
        return UNANSWERED if begins.any() else CUT
    if resets.any():
        return RESET
    if begins.any() and answers.any() and not opened:
        return HALF_OPEN
    if begins.any() and (ends & forward).any() and (ends & ~forward).any():
        return COMPLETE
    return CUT
