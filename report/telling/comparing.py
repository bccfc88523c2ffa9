"""Two results of any size, compared part by part."""

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
    if isinstance(result, Correlation):
        return RunOfParts(
            topology=result.topology, surroundings=result.surroundings, files=result.files, common=None,
            each=lambda: [result],
        )  # fmt: skip
    first = result.part(0)
    return RunOfParts(
        topology=first.topology, surroundings=result.surroundings, files=first.files, common=result.common,
        each=lambda: result,
    )  # fmt: skip
