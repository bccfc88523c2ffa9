"""What can become of a packet, and why; judge.py decides it."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt


class Outcome(StrEnum):
    """What became of a packet."""

    DELIVERED = "delivered"
    DROPPED = "dropped"
    LOST = "lost"
    UNKNOWN = "unknown"


class Reason(IntEnum):
    """Why a packet was not delivered, or how far that can be said."""

    NONE = 0
    RULE = 1
    """A rule dropped it."""
    POLICY = 2
    """The policy of a chain dropped it."""
    HOOK = 3
    """A hook accepted it, and it was not seen again in a namespace where it would have been."""
    INSIDE = 4
    """It came in and never went out again, with every way out captured."""
    WIRE = 5
    """It left for another captured node and did not come in there."""
    NOT_CAPTURED = 6
    """It went where nothing is captured."""
    CAPTURE_LOST = 7
    """The capture lost packets or messages where it would have been seen."""
    CAPTURE_ENDED = 8
    """A capture began later or ended before it could be seen there."""
    TTL = 9
    """Its time to live ran out where it would have been forwarded."""
    ARRIVED = 11
    """It came in at its destination, untraced and unanswered: whether a rule dropped it there is not known."""
    ICMP = 13
    """The node that gave it up said so in an ICMP error."""
    FILTERED = 12
    """A capture filter may have hidden it where it would have been next."""
    SEGMENTED = 10
    """It went on in other segments (GSO, GRO), which were delivered."""


REASON_KIND: Final = {
    Reason.RULE: "rule",
    Reason.POLICY: "policy",
    Reason.HOOK: "hook",
    Reason.INSIDE: "inside",
    Reason.WIRE: "wire",
    Reason.NOT_CAPTURED: "not-captured",
    Reason.CAPTURE_LOST: "capture-lost",
    Reason.CAPTURE_ENDED: "capture-ended",
    Reason.TTL: "ttl",
    Reason.SEGMENTED: "segmented",
    Reason.ARRIVED: "arrived",
    Reason.FILTERED: "filtered",
    Reason.ICMP: "icmp",
}
"""The `kind` of a reason in the JSON contract."""

OUTCOMES: Final = tuple(Outcome)
DELIVERED, DROPPED, LOST, UNKNOWN = range(4)
"""Indexes into OUTCOMES."""


@dataclass(slots=True, kw_only=True)
class Outcomes:
    """Per packet: what became of it."""

    outcome: npt.NDArray[np.uint8]
    """Index into OUTCOMES."""
    reason: npt.NDArray[np.uint8]
    """Reason."""
    rule: npt.NDArray[np.int32]
    """Index into the rules of the RuleBook of the rule that dropped it, else -1."""
    related: npt.NDArray[np.int64]
    """Path (from 0) of the ICMP error about it, else -1."""
    location: npt.NDArray[np.int32]
    """Where it was delivered: index into `locations`, -1 unknown."""
    locations: list[tuple[str, str]]
    """(node, container name or namespace label)."""
