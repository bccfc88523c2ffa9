"""Equal answers over many packets: what is told of a rule, collected over packets and parts."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np

from ..netfilter.rules import Rule
from .looks import Looks, Rows

MOST_IDS: Final = 1_000
"""Paths that an answer names; it counts all."""
_MOST_VALUES: Final = 3


class Kind(StrEnum):
    """What became of packets at a rule."""

    FAILED = "failed"
    """A condition did not hold."""
    MATCHED = "matched"
    LEFT_BEFORE = "left-before"
    """A rule before it ended the chain."""
    UNKNOWN = "unknown"
    """What can be evaluated holds; or the rule is not known as it was."""
    ELSEWHERE = "elsewhere"
    """It never came to the chain."""
    UNTRACED = "untraced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A trace message of one of the packets."""

    path: int
    """Its id."""
    file: str
    frame: int
    time_ns: int
    """On the reference clock."""
    conditions: tuple[str, ...] = ()
    """What became of each condition there, in words."""


@dataclass(slots=True, kw_only=True)
class Group:
    """Packets with the same answer."""

    kind: Kind
    head: str
    """The sentence up to the value that differs from packet to packet,"""
    tail: str = ""
    """and what stands behind it."""
    closeness: float
    """How near the packets came to matching; 0 is nearest."""
    rule: Rule | None
    """That was asked for, as it was then."""
    cause: Rule | None = None
    """Another one, which is the reason."""
    was: Counter[str] = field(default_factory=Counter)
    """Values, with their number of packets; empty where the sentence has none."""
    paths: set[int] = field(default_factory=set)
    """Ids; the first of them only."""
    connections: set[int] = field(default_factory=set)
    packets: int = 0
    connection_count: int = 0
    example: Example

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for what is said alike."""
        return self.kind, self.head, self.tail, self.rule

    @property
    def sentence(self) -> str:
        """The answer, without the number of packets."""
        return f"{self.head}{self._values()}{self.tail}"

    def _values(self) -> str:
        if not self.was:
            return ""
        common = self.was.most_common(_MOST_VALUES)
        if len(self.was) == 1:
            return f" {common[0][0]}"
        said = ", ".join(f"{value} ({count:,})" for value, count in common)
        more = len(self.was) - len(common)
        return f" {said}" + (f" and {more:,} other{'' if more == 1 else 's'}" if more else "")

    def add(self, other: "Group") -> None:
        """The same answer for other packets."""
        self.was.update(other.was)
        self.packets += other.packets
        self.connection_count += other.connection_count
        self.paths = set(sorted(self.paths | other.paths)[:MOST_IDS])
        self.connections = set(sorted(self.connections | other.connections)[:MOST_IDS])
        self.closeness = min(self.closeness, other.closeness)
        if other.example.path < self.example.path:
            self.example = other.example


def of_looks(looks: Looks, which: Rows, event: Rows, group: Group) -> Group:
    """Fill in the packets: `which` of the looks; `event`: of each of those the trace event that shows it."""
    part = looks.part
    packets, first = np.unique(looks.of(which).packets, return_index=True)
    group.packets = int(packets.size)
    group.paths = set(part.ids.paths[packets[:MOST_IDS]].tolist())
    connections = np.unique(part.connection_of_path[packets])
    group.connection_count = int(connections.size)
    group.connections = set(part.ids.connections[connections[:MOST_IDS]].tolist())
    shown = part.evaluations.events[event[first[0]]]
    group.example = Example(
        path=int(part.ids.paths[packets[0]]), file=part.files[int(shown["file"])].path, frame=int(shown["frame"]),
        time_ns=int(part.times_ns[part.hops["sighting"][looks.hop[which[first[0]]]]]),
        conditions=group.example.conditions,
    )  # fmt: skip
    return group


NO_EXAMPLE: Final = Example(path=0, file="", frame=0, time_ns=0)


def merged(groups: Iterable[Group]) -> list[Group]:
    """What is said alike once, the nearest first."""
    found: dict[tuple[object, ...], Group] = {}
    for group in groups:
        same = found.setdefault(group.key, group)
        if same is not group:
            same.add(group)
    return sorted(found.values(), key=lambda one: (one.closeness, -one.packets, one.example.path))
