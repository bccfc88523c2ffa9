"""Clues of the parts, gathered and joined: for findings about connections that may lie in different parts.

A result in memory is one part, and goes the same way.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ..nodes.topology import Topology
from ..result.columns import Numbers
from ..result.correlation import Correlation
from .by_proxy import joined, talks_of
from .by_return import both_ways
from .by_source import asked_in_vain, from_elsewhere, said_unasked
from .common import Clues, Common, Question
from .facts import Facts
from .neighbours import bounded, questions_of
from .waiting import Around, around, resolve


def clues_of(result: Correlation) -> Clues:
    """What one part brings."""
    return gather(Facts(result, Common.nothing(result.topology)))


def gather(facts: Facts) -> Clues:
    """The same, of a part whose columns are known."""
    return Clues(
        shows_both=both_ways(facts), asked=asked_in_vain(facts), said=said_unasked(facts), talks=talks_of(facts),
        questions=tuple(questions_of(facts)),
    )  # fmt: skip


def look_around(result: Correlation, questions: Sequence[Question]) -> Around:
    """What one part, which has its ids, shows around the questions of all."""
    return around(Facts(result, Common.nothing(result.topology)), questions)


class AllClues:
    """Those of all parts, one after the other; what is kept of them is bounded."""

    def __init__(self) -> None:
        self._clues: Clues | None = None
        self._parts = 0

    def add(self, clues: Clues) -> "AllClues":
        """Those of the next part."""
        self._clues = clues if self._clues is None else self._clues.with_(clues, self._parts)
        self._clues = replace(self._clues, questions=tuple(bounded(self._clues.questions)))
        self._parts += 1
        return self

    def joined(
        self, numbers: list[Numbers], topology: Topology, look: Callable[[Sequence[Question]], Iterable[Around]]
    ) -> Common:
        """What they show together. `numbers`: the ids in each part; `look`: goes through the parts once more, which is
        only done where there are questions left."""
        if self._clues is None:
            raise ValueError("add() comes first")
        clues = self._clues.numbered([one.paths for one in numbers], [one.connections for one in numbers])
        points = Counter(point.namespace for point in topology.points)
        return Common(
            shows_both=clues.shows_both,
            elsewhere=from_elsewhere(clues.asked, clues.said),
            passed_on=joined(clues.talks),
            unresolved=resolve(clues.questions, look(clues.questions), points) if clues.questions else (),
        )
