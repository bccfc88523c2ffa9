"""Rules that somebody asked for (`--why-not`), as findings beside those that are made unasked."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from .kinds import Kind, Severity
from .values import Evidence, Finding

if TYPE_CHECKING:
    from ..why_not.why_not import WhyNot


def with_asked_rules(findings: Iterable[Finding], asked: "Iterable[WhyNot]") -> tuple[Finding, ...]:
    """The findings, with one for each rule that was asked for: behind the faults, and before what nobody asked for."""
    known = list(findings)
    faults = [finding for finding in known if finding.severity == Severity.FAULT]
    notices = [finding for finding in known if finding.severity != Severity.FAULT]
    in_order = chain(faults, _findings(asked), notices)
    return tuple(replace(finding, id=number) for number, finding in enumerate(in_order, 1))


def _findings(asked: "Iterable[WhyNot]") -> Iterator[Finding]:
    for one in asked:
        yield Finding(
            id=0, kind=Kind.RULE_NOT_MATCHED, severity=Severity.NOTICE, text=one.text, advice=None,
            confidence=one.confidence, time_ns=one.time_ns, node=one.node, packets=one.packets,
            connection_count=one.connection_count, connections=one.connections, paths=one.paths, rule=one.rule,
            evidence=tuple(
                Evidence(what=line.what, text=line.text, file=line.file, frame=line.frame, line=line.line)
                for line in one.evidence
            ),
        )  # fmt: skip
