"""What the parts of a result see, put together: the same seen in several is one finding; faults first."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from ..result.correlation import Correlation
from .facts import Facts
from .families import FAMILIES
from .kinds import Severity
from .seen import Extent, Seen
from .values import Finding

_MOST_IDS: Final = 1000
"""Ids of connections and of paths that a finding carries: a flood has millions, and their first ones tell as much."""


@dataclass(slots=True)
class _Merged:
    """One finding in the parts that were looked at."""

    first: Seen
    packets: int = 0
    connection_count: int = 0
    connections: list[int] = field(default_factory=list)
    paths: list[int] = field(default_factory=list)


class AllFindings:
    """Finds them part by part."""

    def __init__(self) -> None:
        self._merged: dict[tuple[object, ...], _Merged] = {}

    def add(self, result: Correlation, told: npt.NDArray[np.bool_]) -> None:
        """What is seen in one part. `told`: per path, whether findings about it are wanted."""
        for seen in look(result):
            if told[seen.paths].any():
                self._add(result, seen)

    def _add(self, result: Correlation, seen: Seen) -> None:
        known = self._merged.setdefault((seen.kind, seen.severity, *seen.key), _Merged(seen))
        if seen.time_ns < known.first.time_ns:
            known.first = seen
        connections = np.unique(result.connection_of_path[seen.paths])
        known.packets += seen.paths.size
        known.connection_count += connections.size
        room = max(0, _MOST_IDS - len(known.connections))
        known.connections += result.ids.connections[connections[:room]].tolist()
        room = max(0, _MOST_IDS - len(known.paths))
        known.paths += result.ids.paths[seen.paths[:room]].tolist()

    def told(self) -> tuple[Finding, ...]:
        """Those of all parts that were added: faults first, then what explains most connections, then by time."""
        found = sorted(
            self._merged.values(),
            key=lambda one: (
                one.first.severity == Severity.NOTICE,
                -one.connection_count,
                one.first.time_ns,
                one.first.kind,
            ),
        )
        return tuple(_finding(number, one) for number, one in enumerate(found, 1))


def look(result: Correlation) -> list[Seen]:
    """What all families see in one part."""
    facts = Facts(result)
    found: list[Seen] = []
    for family in FAMILIES:
        seen = list(family(facts))
        found += seen
        for one in seen:
            if one.severity == Severity.FAULT:
                facts.explained[result.connection_of_path[one.paths]] = True
    return found


def _finding(number: int, one: _Merged) -> Finding:
    first = one.first
    extent = Extent(packets=one.packets, connections=one.connection_count)
    return Finding(
        id=number, kind=first.kind, severity=first.severity, text=first.say(extent), advice=first.advice,
        confidence=first.confidence, time_ns=first.time_ns, node=first.node, packets=one.packets,
        connection_count=one.connection_count, connections=tuple(sorted(one.connections)),
        paths=tuple(sorted(one.paths)), rule=first.rule, evidence=first.evidence,
    )  # fmt: skip
