"""What can become of a packet, and why; judges.py decides it."""

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt


class Outcome(IntEnum):
    """What became of a packet."""

    DELIVERED = 0
    DROPPED = 1
    LOST = 2
    UNKNOWN = 3


OUTCOMES: Final = tuple(outcome.name.lower() for outcome in Outcome)
"""The `outcome` of the JSON contract, by Outcome."""


class Reason(IntEnum):
    """Why a packet was not delivered, how far that can be said, or what the end did with it."""

    NONE = 0
    RULE = 1
    """A rule dropped it."""
    POLICY = 2
    """The policy of a chain dropped it."""
    HOOK = 3
    """It died inside a hook: a chain saw it, and ttrace's own chain behind all others did not."""
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
    SEGMENTED = 10
    """It went on in other segments (GSO, GRO), which were delivered."""
    ARRIVED = 11
    """It came in at its destination, untraced, and no answer came later: whether a rule dropped it there is not
    known."""
    FILTERED = 12
    """A capture filter may have hidden it where it would have been next."""
    ICMP = 13
    """The node that gave it up said so in an ICMP error."""
    BEHIND_HOOK = 14
    """All rules of a hook passed it, and no later hook saw it, though each has a chain of ttrace's."""
    UNPROVEN = 15
    """A chain was the last to see it; whether it went on behind that chain cannot be known."""
    HANDED_OVER = 16
    """A rule handed it to a program or took it itself: NFQUEUE, SYNPROXY."""
    REFUSED = 17
    """The end answered that nobody listens there: RST to a SYN, port unreachable to a datagram."""
    UNANSWERED = 18
    """It came to the last place there is, and nobody ever answered."""
    NOT_DECAPSULATED = 19
    """The datagram around it arrived, and it never appeared at the tunnel device."""
    INCOMPLETE = 20
    """A piece of the datagram is missing."""
    ACKNOWLEDGED = 21
    """It was not seen any further, but the other end has it: it acknowledged or answered it."""
    MAYBE_MISSED = 22
    """It was not seen where it would have been next, and nobody says whether that capture lost something."""
    ANSWERED = 23
    """It was not seen where it had to be next, but what follows may be the answer to it."""
    EQUAL_ELSEWHERE = 24
    """It was not seen where it had to be next, but an equal packet begins elsewhere, which may be this one."""
    PROXIED = 25
    """A proxy on the way led this handshake itself, and another one with the other end."""
    KERNEL_DROP = 26
    """The kernel says that it dropped it, and why."""


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
    Reason.BEHIND_HOOK: "behind-hook",
    Reason.UNPROVEN: "unproven",
    Reason.HANDED_OVER: "handed-to-program",
    Reason.REFUSED: "refused",
    Reason.UNANSWERED: "unanswered",
    Reason.NOT_DECAPSULATED: "not-decapsulated",
    Reason.INCOMPLETE: "incomplete",
    Reason.ACKNOWLEDGED: "acknowledged",
    Reason.MAYBE_MISSED: "maybe-missed",
    Reason.ANSWERED: "answered",
    Reason.EQUAL_ELSEWHERE: "equal-elsewhere",
    Reason.PROXIED: "proxied",
    Reason.KERNEL_DROP: "kernel-drop",
}
"""The `kind` of a reason in the JSON contract."""


@dataclass(frozen=True)
class Segments:
    """Which paths go on as which others."""

    packet: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Path (from 0) that ends, ascending."""
    piece: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """One that carries some of its bytes on."""

    @cached_property
    def by_piece(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(piece, packet) in the order of the pieces."""
        order = np.argsort(self.piece, kind="stable")
        return self.piece[order], self.packet[order]

    @cached_property
    def goes_on_as(self) -> dict[int, list[int]]:
        """The paths (from 0) that carry the bytes of a path on, of those that end so."""
        found: dict[int, list[int]] = {}
        for packet, piece in zip(self.packet.tolist(), self.piece.tolist(), strict=True):
            found.setdefault(packet, []).append(piece)
        return found

    @cached_property
    def comes_from(self) -> dict[int, list[int]]:
        """The paths (from 0) whose bytes a path carries on."""
        found: dict[int, list[int]] = {}
        for packet, piece in zip(self.packet.tolist(), self.piece.tolist(), strict=True):
            found.setdefault(piece, []).append(packet)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Per packet: what became of it. Nobody writes into a column; one of equal values may be stored as a single one."""

    outcome: npt.NDArray[np.uint8]
    """Outcome."""
    reason: npt.NDArray[np.uint8]
    """Reason."""
    rule: npt.NDArray[np.int32]
    """Index into the rules of the RuleBook of the rule that dropped it, else -1."""
    related: npt.NDArray[np.int64]
    """Path (from 0) of the ICMP error about it, else -1."""
    location: npt.NDArray[np.int32]
    """Where it was delivered: index into `locations`, -1 unknown."""
    confidence: npt.NDArray[np.float32]
    """How sure that is, 0 to 1, if its hops are right."""
    locations: list[tuple[str, str]]
    """(node, container name or namespace label)."""
    segments: Segments

    @classmethod
    def undecided(cls, paths: int, locations: list[tuple[str, str]]) -> "Outcomes":
        """Of paths of which nothing has been said: they go on where nothing is captured."""
        return cls(
            outcome=np.broadcast_to(np.uint8(Outcome.UNKNOWN), paths),
            reason=np.broadcast_to(np.uint8(Reason.NOT_CAPTURED), paths),
            rule=np.broadcast_to(np.int32(-1), paths),
            related=np.broadcast_to(np.int64(-1), paths),
            location=np.broadcast_to(np.int32(-1), paths),
            confidence=np.broadcast_to(np.float32(1), paths),
            locations=locations,
            segments=Segments(),
        )


def is_one_value(column: npt.NDArray[np.generic]) -> bool:
    """It is stored once for all its rows."""
    return column.size > 0 and column.strides == (0,)


Column = npt.NDArray[np.generic] | float
"""One value for each path, or one for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What a judge says of some paths, with what the reason needs to be told; the columns are those of Outcomes."""

    paths: npt.NDArray[np.int64]
    """From 0."""
    outcome: Column
    reason: Column
    rule: Column = -1
    related: Column = -1
    location: Column = -1
    confidence: Column = 1
    segments: Segments | None = None
    """Where it was looked for: which paths go on as which others."""

    @classmethod
    def none(cls) -> "Verdicts":
        """A judge with nothing to say."""
        return cls(paths=np.empty(0, np.int64), outcome=Outcome.UNKNOWN, reason=Reason.NONE)

    @classmethod
    def lost(cls, paths: npt.NDArray[np.int64], reason: Reason, unseen: npt.NDArray[np.uint8]) -> "Verdicts":
        """Lost for this reason, but unknown where `unseen` (see coverage.py) has one for not having been seen."""
        missed = unseen != Reason.NONE
        return cls(
            paths=paths,
            outcome=np.where(missed, Outcome.UNKNOWN, Outcome.LOST),
            reason=np.where(missed, unseen, reason),
        )

    def and_(self, other: "Verdicts") -> "Verdicts":
        """Both together, of different paths."""
        columns: dict[str, Any] = {
            name: np.concatenate([np.broadcast_to(getattr(one, name), one.paths.shape) for one in (self, other)])
            for name in COLUMNS
        }
        return Verdicts(paths=np.concatenate([self.paths, other.paths]), **columns)


COLUMNS: Final = ("outcome", "reason", "rule", "related", "location", "confidence")
"""What a verdict says of a path."""
