"""What is told of a result, and in which order: the value that every form of output renders.

What fits on a screen, however large the result is, is its outline. What may be too much for the memory comes one by
one: each form says how one connection or path is written, and gets the texts in order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...correlate.findings.values import Finding
from ...correlate.result.correlation import Correlation
from ...correlate.result.select import Selection
from ...correlate.result.values import Path
from ...errors import UsageError
from ...kernels.threads import side_by_side
from .captures import CapturesTold
from .connections import ConnectionsTold, ConnectionTold, FirstConnections, tell_connections
from .head import AllHeads, check_rules
from .in_order import Texts, in_order_of_ids, texts_in_order
from .only import check_only
from .only import only as left_by
from .parts import Parts
from .routes import FirstRoutes, RoutesTold

if TYPE_CHECKING:
    from ...correlate.in_parts.result import PartedCorrelation
    from ...correlate.why.values import Why
    from ...correlate.why_not.why_not import WhyNot


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What is told first, of a result of any size, in this order."""

    findings: tuple[Finding, ...]
    """All of them: those that say the same are one."""
    why_not: "tuple[WhyNot, ...]"
    """The rules that were asked for, which are findings too."""
    captures: CapturesTold
    connections: ConnectionsTold
    routes: RoutesTold | None
    """None where each path is told instead."""
    untold: int
    """Chosen paths that are left out: what links say among themselves, unless there is nothing else."""


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What is told of a result. What it is asked for, it finds then: part by part, with one in memory."""

    parts: Parts
    why_not: Sequence[str] = ()
    """Rules, of which is asked why they did not match."""
    only: Sequence[str] = ()
    """Outcomes, kinds and severities, by which `parts` were chosen."""
    why: Sequence[int] = ()
    """Findings, by their ids, of which the evidence is told instead of all else."""

    @classmethod
    def of(cls, result: Correlation, selection: Selection) -> "Telling":
        """What is selected of a result in memory."""
        return cls(parts=Parts.of_one(result, selection))

    @classmethod
    def chosen(
        cls,
        result: "Correlation | PartedCorrelation",
        *,
        expression: str | None = None,
        connections: Sequence[int] = (),
        paths: Sequence[int] = (),
        every_path: bool = False,
        why_not: Sequence[str] = (),
        only: Sequence[str] = (),
        why: Sequence[int] = (),
    ) -> "Telling":
        """What is chosen of a result of any size; arguments and errors as for `select`, and for `why_not` as for
        AllWhyNots. Raises UsageError where `why` is none of the findings about what is chosen."""
        check_rules(why_not)  # what cannot be read is said before anything is written
        check_only(only)
        parts = Parts.chosen(result, expression=expression, connections=connections, paths=paths, every_path=every_path)
        telling = cls(parts=left_by(parts, only) if only else parts, why_not=why_not, only=only, why=why)
        telling._check_why()
        return telling

    def _check_why(self) -> None:
        """Before anything is written."""
        count = len(self.head[0]) if self.why else 0
        for number in self.why:
            if not 1 <= number <= count:
                hint = f"they are numbered 1 to {count}" if count else "nothing was found about what was chosen"
                raise UsageError(f"there is no finding {number}", hint)

    @cached_property
    def outline(self) -> Outline:
        """What fits on a screen."""
        without_chatter = self._outline(chatter=False)
        nothing_else = without_chatter.connections.count == 0 and without_chatter.untold > 0
        return self._outline(chatter=True) if nothing_else else without_chatter

    def _outline(self, *, chatter: bool) -> Outline:
        head, connections, routes, untold = AllHeads(self.parts, self.why_not), FirstConnections(), FirstRoutes(), 0
        for result, selection in self.parts.each():
            told = selection.paths if self.parts.in_full or chatter else selection.paths & ~result.chatter
            untold += int((selection.paths & ~told).sum())
            in_short = partial(_add, result, selection, told, connections, None if self.parts.in_full else routes)
            side_by_side(partial(head.add, result, selection), in_short)
        findings, rules, captures = head.told()
        return Outline(
            findings=findings,
            why_not=rules,
            captures=captures,
            connections=connections.told(),
            routes=None if self.parts.in_full else routes.told(findings),
            untold=untold,
        )

    @cached_property
    def head(self) -> tuple[tuple[Finding, ...], CapturesTold]:
        """The findings and the captures of the outline, for who needs nothing else of it."""
        head = AllHeads(self.parts, self.why_not)
        for result, selection in self.parts.each():
            head.add(result, selection)
        findings, _, captures = head.told()
        return findings, captures

    @cached_property
    def whys(self) -> "list[Why]":
        """The findings of `why` with their evidence, in that order."""
        from ...correlate.why.why import AllWhys

        findings = {finding.id: finding for finding in self.head[0]}
        found = AllWhys([findings[number] for number in dict.fromkeys(self.why)])
        for result, _ in self.parts.each():
            found.add(result)
        return found.told()

    def each_connection(self, write: Callable[[ConnectionTold], str], separator: str = "") -> Iterator[str]:
        """The text of every chosen connection, in the order of their ids. Raises TtraceError when there is no room for
        what has to be put in order."""

        def pieces(result: Correlation, selection: Selection) -> Iterator[tuple[int, str]]:
            for told in tell_connections(result, selection, np.flatnonzero(selection.connections)):
                yield told.connection.id, write(told)

        return in_order_of_ids(self.parts, pieces, separator)

    def each_path(self, write: Callable[[Path], str], separator: str = "") -> Iterator[str]:
        """The text of every chosen path, in the order of their ids. Raises TtraceError as `each_connection`."""

        def pieces(result: Correlation, selection: Selection) -> Iterator[tuple[int, str]]:
            for index in np.flatnonzero(selection.paths).tolist():
                yield int(result.ids.paths[index]), write(result.path_at(index))

        return in_order_of_ids(self.parts, pieces, separator)

    def in_order(self, texts_of: Callable[[Correlation, Selection], Iterator[Texts]]) -> Iterator[memoryview]:
        """The texts of everything in the order of the ids, of a format that writes many at once: `texts_of` gives those
        of a part, ascending. Raises TtraceError as `each_connection`."""
        return texts_in_order(self.parts, texts_of)


def _add(
    result: Correlation,
    selection: Selection,
    told: npt.NDArray[np.bool_],
    connections: FirstConnections,
    routes: FirstRoutes | None,
) -> None:
    """One part, to what of it is told in short."""
    connections.add(result, selection, told)
    if routes:
        routes.add(result, told)
