"""What stands first in every form: the findings, and the captures they are of; with the rules that were asked for.

Why a rule did not match is a large room, which is opened when somebody asks.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...correlate.findings.all_findings import AllFindings
from ...correlate.findings.asked_rules import with_asked_rules
from ...correlate.findings.values import Finding
from ...correlate.result.correlation import Correlation
from ...correlate.result.select import Selection
from .captures import AllCaptures, CapturesTold
from .parts import Parts

if TYPE_CHECKING:
    from ...correlate.why_not.why_not import AllWhyNots, WhyNot


def check_rules(rules: Sequence[str]) -> None:
    """Raises UsageError for a rule that cannot be read."""
    _asked(rules)


def _asked(rules: Sequence[str]) -> "AllWhyNots | None":
    if not rules:
        return None
    from ...correlate.why_not.why_not import AllWhyNots

    return AllWhyNots(rules)


class AllHeads:
    """Finds it part by part."""

    def __init__(self, parts: Parts, rules: Sequence[str]) -> None:
        """`rules`: as people write them. Raises UsageError for one that cannot be read."""
        self._findings, self._captures, self._rules = AllFindings(parts.common), AllCaptures(), _asked(rules)

    def add(self, result: Correlation, selection: Selection) -> None:
        """Of one part."""
        self._findings.add(result, selection.paths)
        self._captures.add(result)
        if self._rules:
            self._rules.add(result, selection.paths)

    def told(self) -> "tuple[tuple[Finding, ...], tuple[WhyNot, ...], CapturesTold]":
        """Of all parts that were added: findings, the rules that were asked for among them; these; the captures."""
        rules = tuple(self._rules.told()) if self._rules else ()
        return with_asked_rules(self._findings.told(), rules), rules, self._captures.told()
