"""Clues of the parts, gathered and joined: for findings about connections that may lie in different parts.

A result in memory is one part, and goes the same way.
"""

from ..result.columns import Numbers
from ..result.correlation import Correlation
from .by_proxy import joined, talks_of
from .by_return import both_ways
from .by_source import asked_in_vain, from_elsewhere, said_unasked
from .common import Clues, Common
from .facts import Facts


def clues_of(result: Correlation) -> Clues:
    """What one part brings."""
    return gather(Facts(result, Common.nothing(result.topology)))


def gather(facts: Facts) -> Clues:
    """The same, of a part whose columns are known."""
    return Clues(
        shows_both=both_ways(facts), asked=asked_in_vain(facts), said=said_unasked(facts), talks=talks_of(facts)
    )


class AllClues:
    """Those of all parts, one after the other; what is kept of them is bounded."""

    def __init__(self) -> None:
        self._clues: Clues | None = None
        self._parts = 0

    def add(self, clues: Clues) -> "AllClues":
        """Those of the next part."""
        self._clues = clues if self._clues is None else self._clues.with_(clues, self._parts)
        self._parts += 1
        return self

    def joined(self, numbers: list[Numbers]) -> Common:
        """What they show together. `numbers`: the ids in each part."""
        if self._clues is None:
            raise ValueError("add() comes first")
        clues = self._clues.numbered([one.paths for one in numbers], [one.connections for one in numbers])
        return Common(
            shows_both=clues.shows_both,
            elsewhere=from_elsewhere(clues.asked, clues.said),
            passed_on=joined(clues.talks),
        )
