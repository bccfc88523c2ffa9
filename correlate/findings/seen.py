"""What a family sees in one part of a result: a finding before its packets are counted and its words are chosen."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from ..netfilter.rules import Rule
from .kinds import NOTICES, Kind, Severity
from .subject import Subject
from .values import Evidence

Tries = npt.NDArray[np.void]
TRY: Final = np.dtype([("pair", "u8"), ("server", "u8")])
"""A client's address asks for a port of an address (Facts.pair, Facts.server)."""
NO_TRIES: Final = np.empty(0, TRY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of it there is, in all parts, and whom it is about."""

    packets: int
    connections: int
    flow: str
    """`tcp 172.17.0.2:3456 (web1) -> 192.168.77.2:8080`."""
    source: str
    destination: str
    noun: str
    amounts: tuple[int, ...] = ()
    """Sums of what its parts say beside."""
    tried: int = 0
    """Ports, of all hosts, that were tried."""
    is_scan: bool = False
    """Who tried them tried many of each."""
    answers_others: bool = False
    """The server that was asked answers other connections."""

    @property
    def counted(self) -> str:
        """Its packets: `1 SYN`, `3 SYNs`, `2 times ICMP destination unreachable (port unreachable)`."""
        if " (" in self.noun:
            return f"{self.packets:,} times ICMP {self.noun}" if self.packets > 1 else f"ICMP {self.noun}"
        return many(self.packets, self.noun)


def many(count: int, noun: str) -> str:
    """`1 SYN`, `3 SYNs`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overall:
    """What is known of all parts, once all were looked at."""

    slowest_answer_ns: int | None
    """How long the slowest first answer to a packet took; None where there are too few to tell."""
    answers: int
    """Connections in which somebody answered: the captures show both directions."""
    opened: int
    """TCP connections that went on behind their SYN: the captures hold more than SYNs."""
    answering: npt.NDArray[np.uint64]
    """Servers that answered somebody (Facts.server), ascending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One finding of one part. What has the same kind, severity and `key` is one finding, in whichever parts it is: so
    a key holds what differs between the groups of a family, in words or numbers that are the same in each part."""

    kind: Kind
    key: tuple[object, ...]
    say: Callable[[Extent], str]
    """Its sentence."""
    paths: npt.NDArray[np.int64]
    """The packets it is about: indexes of the part, in order of time."""
    subject: Subject
    time_ns: int
    node: str | None = None
    rule: Rule | None = None
    advice: str | None = None
    confidence: float = 1.0
    harmless: bool = False
    """Nobody was kept from what they wanted, although findings of this kind are faults."""
    fatal: bool = False
    """A packet died of it, although findings of this kind are notices."""
    amounts: tuple[int, ...] = ()
    """What is to be summed up beside the packets."""
    evidence: tuple[Evidence, ...] = ()
    server: int | None = None
    """The one that was asked (Facts.server), where it matters whether it answers others."""
    tried: Tries = field(default_factory=lambda: NO_TRIES)
    """Which ports were tried by whom, where it matters whether it is a scan."""
    as_scan: bool = False
    """Told only if all of it is a scan, and then in place of what has the same kind and tells its ports one by one."""
    holds: Callable[[Overall], bool] | None = None
    """Whether it is said, where that depends on other parts."""

    @property
    def severity(self) -> Severity:
        """Whether it is a fault."""
        is_notice = self.harmless or (self.kind in NOTICES and not self.fatal)
        return Severity.NOTICE if is_notice else Severity.FAULT
