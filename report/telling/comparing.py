"""Two results of any size, compared part by part."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ...correlate.compare.comparison import Comparison, compare_runs
from ...correlate.compare.runs import RunOfParts
from ...correlate.result.correlation import Correlation

if TYPE_CHECKING:
    from ...correlate.in_parts.result import PartedCorrelation


def compare(good: "Correlation | PartedCorrelation", bad: "Correlation | PartedCorrelation") -> Comparison:
    """What a good run and a bad one differ in."""
    return compare_runs(_run(good), _run(bad))


def _run(result: "Correlation | PartedCorrelation") -> RunOfParts:
    each: Callable[[], Iterable[Correlation]]
    if isinstance(result, Correlation):
        first, each = result, lambda: [result]
    else:
        first, each = result.part(0), lambda: result
    return RunOfParts(topology=first.topology, surroundings=result.surroundings, files=first.files, each=each)
