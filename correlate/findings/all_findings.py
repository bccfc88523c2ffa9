"""What the parts of a result see, put together: the same seen in several is one finding; faults first."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from ..nodes.topology import Topology
from ..result.correlation import Correlation
from .clues import AllClues, InMemory, gather
from .common import Common
from .counted import with_counted_drops
from .facts import Facts
from .families import FAMILIES
from .kinds import MOST_OF_A_KIND, Severity
from .scans import both, is_scan
from .seen import NO_TRIES, Extent, Overall, Seen, Tries
from .subject import Subject
from .values import Finding

MOST_IDS: Final = 1000
"""Ids of connections and of paths that a finding carries: a flood has millions, and their first ones tell as much."""
_ENOUGH_ANSWERS: Final = 2
"""Connections that have to have been answered before it is known how long an answer takes."""


@dataclass(slots=True)
class _Merged:
    """One finding in the parts that were looked at."""

    first: Seen
    first_path: int
    subject: Subject
    packets: int = 0
    connection_count: int = 0
    connections: list[int] = field(default_factory=list)
    paths: list[int] = field(default_factory=list)
    amounts: tuple[int, ...] = ()
    tried: Tries = field(default_factory=lambda: NO_TRIES)
    is_wanted: bool = False
    """Some of its packets, in whichever part, are among those that were asked for."""

    @property
    def severity(self) -> Severity:
        """Of all parts together: nobody waits for the answers to a scan."""
        return Severity.NOTICE if is_scan(self.tried) else self.first.severity


class AllFindings:
    """Finds them part by part."""

    def __init__(self, common: Common | None = None, *, most_ids: int = MOST_IDS) -> None:
        """`common`: what is known of all parts; None where the result is one. `most_ids`: connections that a finding
        carries."""
        self._common, self._most_ids = common, most_ids
        self._merged: dict[tuple[object, ...], _Merged] = {}
        self._topology: Topology | None = None
        self._answers, self._opened, self._slowest_ns = 0, 0, 0
        self._answering: list[npt.NDArray[np.uint64]] = []

    def add(self, result: Correlation, told: npt.NDArray[np.bool_]) -> None:
        """What is seen in one part. `told`: per path, whether findings about it are wanted."""
        self._topology = result.topology
        facts = Facts(result, self._common or Common.nothing(result.topology))
        if self._common is None:
            facts.common = AllClues().add(gather(facts)).joined([result.ids], result.topology, InMemory(facts))
        for seen in look(facts):
            self._add(result, seen, is_wanted=bool(told[seen.paths].any()))
        answered = facts.answer_ns[facts.answer_ns < np.iinfo(np.int64).max]
        self._answers += answered.size
        self._opened += int(facts.opened.sum())
        self._slowest_ns = max(self._slowest_ns, int(answered.max(initial=0)))
        asks = facts.own & facts.forward
        self._answering.append(np.unique(facts.server[asks & (facts.replies > 0)[result.connection_of_path]]))

    def _add(self, result: Correlation, seen: Seen, *, is_wanted: bool) -> None:
        path = int(result.ids.paths[seen.paths[0]])
        key = (seen.kind, seen.severity, *seen.key)
        known = self._merged.get(key)
        if known is None:
            known = self._merged[key] = _Merged(
                seen, path, seen.subject, amounts=(0,) * len(seen.amounts), tried=seen.tried
            )
        else:
            known.tried = both(known.tried, seen.tried)
            known.subject = known.subject.and_(seen.subject)
            if (seen.time_ns, path) < (known.first.time_ns, known.first_path):
                known.first, known.first_path = seen, path
        known.is_wanted |= is_wanted
        connections = np.unique(result.connection_of_path[seen.paths])
        known.packets += seen.paths.size
        known.connection_count += connections.size
        known.connections = sorted(known.connections + result.ids.connections[connections].tolist())[: self._most_ids]
        known.paths = sorted(known.paths + np.sort(result.ids.paths[seen.paths])[:MOST_IDS].tolist())[:MOST_IDS]
        known.amounts = tuple(a + b for a, b in zip(known.amounts, seen.amounts, strict=True))

    def told(self) -> tuple[Finding, ...]:
        """Those of all parts that were added: faults first, then what explains most connections, then by time."""
        overall = Overall(
            slowest_answer_ns=self._slowest_ns if self._answers >= _ENOUGH_ANSWERS else None,
            answers=self._answers,
            opened=self._opened,
            answering=np.unique(np.concatenate(self._answering)) if self._answering else np.empty(0, np.uint64),
        )
        found = [one for one in self._merged.values() if one.is_wanted]
        found = [one for one in found if one.first.holds is None or one.first.holds(overall)]
        found = _with_scans_as_one(found)
        found.sort(
            key=lambda one: (
                one.severity == Severity.NOTICE,
                -one.connection_count,
                one.first.time_ns,
                one.first_path,
                one.first.kind,
            )
        )
        return tuple(self._finding(number, one, overall) for number, one in enumerate(_first_of_each_kind(found), 1))

    def _finding(self, number: int, one: _Merged, overall: Overall) -> Finding:
        first, topology = one.first, self._topology
        if topology is None:
            raise ValueError("add() comes first")
        extent = Extent(
            packets=one.packets, connections=one.connection_count, flow=one.subject.flow(topology),
            source=one.subject.sources.text(topology), destination=one.subject.destinations.text(topology),
            noun=one.subject.noun, amounts=one.amounts, tried=one.tried.size, is_scan=is_scan(one.tried),
            answers_others=first.server is not None and bool(np.isin(np.uint64(first.server), overall.answering)),
        )  # fmt: skip
        return Finding(
            id=number, kind=first.kind, severity=one.severity, text=first.say(extent), advice=first.advice,
            confidence=first.confidence, time_ns=first.time_ns, node=first.node, packets=one.packets,
            connection_count=one.connection_count, connections=tuple(one.connections), paths=tuple(one.paths),
            rule=first.rule, evidence=first.evidence,
        )  # fmt: skip


def _with_scans_as_one(found: list[_Merged]) -> list[_Merged]:
    """Without what tells the ports of a scan one by one, where it is told as a scan."""
    scans = [one for one in found if one.first.as_scan and is_scan(one.tried)]
    pairs = {(one.first.kind, pair) for one in scans for pair in one.tried["pair"].tolist()}
    return scans + [
        one
        for one in found
        if not one.first.as_scan
        and not (one.tried.size and all((one.first.kind, pair) in pairs for pair in set(one.tried["pair"].tolist())))
    ]


def _first_of_each_kind(found: list[_Merged]) -> list[_Merged]:
    """As many of each kind as one part tells: a scan of all ports is in many parts."""
    counts: dict[tuple[object, object], int] = {}
    chosen = []
    for one in found:
        key = one.first.kind, one.severity
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= MOST_OF_A_KIND:
            chosen.append(one)
    return chosen


def look(facts: Facts) -> list[Seen]:
    """What all families see in one part."""
    found: list[Seen] = []
    for family in FAMILIES:
        seen = [with_counted_drops(facts, one) for one in family(facts)]
        found += seen
        for one in seen:
            if one.severity == Severity.FAULT and one.holds is None:
                facts.explained[facts.result.connection_of_path[one.paths]] = True
    return found
