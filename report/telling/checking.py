"""Whether a result of any size is as expected."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...correlate.expectations.evaluation import AllExpectations, Judged
from ...correlate.expectations.grammar import Expectation
from ...correlate.findings.all_findings import AllFindings
from ...correlate.result.correlation import Correlation
from .parts import Parts

if TYPE_CHECKING:
    from ...correlate.in_parts.result import PartedCorrelation


def judge(result: "Correlation | PartedCorrelation", expectations: Sequence[Expectation]) -> list[Judged]:
    """Each of the expectations, in their order: the findings are made first, for they are of all parts."""
    parts = Parts.chosen(result)
    findings = AllFindings(parts.common, most_ids=sys.maxsize)
    for part, selection in parts.each():
        findings.add(part, selection.paths)
    judged = AllExpectations(expectations, findings.told())
    for part, _ in parts.each():
        judged.add(part)
    return judged.told()
