"""What a family sees in one part of a result: a finding before its packets are counted and its words are chosen."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..netfilter.rules import Rule
from .kinds import NOTICES, Kind, Severity
from .values import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of it there is, in all parts."""

    packets: int
    connections: int

    def of(self, noun: str) -> str:
        """`1 SYN`, `3 SYNs`: its packets by a noun."""
        return f"{self.packets:,} {noun}" if self.packets == 1 else f"{self.packets:,} {noun}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One finding of one part. What has the same `key` and kind is one finding, in whichever parts it is."""

    kind: Kind
    key: tuple[object, ...]
    """What makes it the same finding: who did what to whom, without what differs from packet to packet."""
    say: Callable[[Extent], str]
    """Its sentence."""
    paths: npt.NDArray[np.int64]
    """The packets it is about: indexes of the part, in order of time."""
    time_ns: int
    node: str | None = None
    rule: Rule | None = None
    advice: str | None = None
    confidence: float = 1.0
    harmless: bool = False
    """Nobody was kept from what they wanted, although findings of this kind are faults."""
    fatal: bool = False
    """A packet died of it, although findings of this kind are notices."""
    evidence: tuple[Evidence, ...] = ()

    @property
    def severity(self) -> Severity:
        """Whether it is a fault."""
        is_notice = self.harmless or (self.kind in NOTICES and not self.fatal)
        return Severity.NOTICE if is_notice else Severity.FAULT
