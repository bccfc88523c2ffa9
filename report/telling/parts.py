"""A result of any size, and what is chosen of it: part by part, one in memory at a time; a small one is a part."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...correlate.findings.common import Common
from ...correlate.result.correlation import Correlation
from ...correlate.result.select import Selection, check_numbers, select

if TYPE_CHECKING:
    from ...correlate.in_parts.result import PartedCorrelation


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a result, with what is chosen of each."""

    count: int
    in_full: bool
    """Each chosen path is asked for, not one per route."""
    common: Common | None = None
    """What findings have to know of all parts; None where there is one."""
    each: Callable[[], Iterator[tuple[Correlation, Selection]]]
    """Goes through all of them from the start."""

    @classmethod
    def of_one(cls, result: Correlation, selection: Selection) -> "Parts":
        """A result that is a single part."""
        return cls(count=1, in_full=selection.in_full, common=None, each=lambda: iter([(result, selection)]))

    @classmethod
    def chosen(
        cls,
        result: "Correlation | PartedCorrelation",
        *,
        expression: str | None = None,
        connections: Sequence[int] = (),
        paths: Sequence[int] = (),
        every_path: bool = False,
    ) -> "Parts":
        """What is chosen of a result of any size; arguments and errors as for `select`."""

        def choose(part: Correlation) -> Selection:
            return select(part, expression=expression, connections=connections, paths=paths, every_path=every_path)

        if isinstance(result, Correlation):
            return cls.of_one(result, choose(result))
        check_numbers(connections, result.connections, "connection")
        check_numbers(paths, result.paths, "path")
        first = choose(result.part(0))  # what is wrong with the expression is said before anything is written
        return cls(
            count=result.count,
            in_full=first.in_full,
            common=result.common,
            each=lambda: ((part, choose(part)) for part in result),
        )
