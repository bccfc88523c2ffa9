"""The evidence of findings in full, as text: what each rests on, and the ways of the packets that prove it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from ...correlate.findings.values import Evidence, Finding
from ...correlate.why.values import Fact, Proof, Why
from ...escaping import safe
from .findings import severity_word
from .layout import first_of, wrapped
from .path import path_text
from .units import plural
from .words import moment

_MOST_IDS: Final = 10
_WHAT: Final = 10
"""Width of the column that says what kind of evidence it is."""


def why_pieces(whys: Sequence[Why]) -> Iterator[str]:
    """A section for each finding, in pieces of whole lines."""
    for number, why in enumerate(whys):
        yield from _section(safe(why), "\n" if number else "")


def _section(why: Why, separator: str) -> Iterator[str]:
    finding = why.finding
    yield f"{separator}Why {finding.id}: {severity_word(finding)} {finding.kind}, confidence {finding.confidence:.2f}\n"
    yield from _lines(finding.text, "  ")
    if finding.advice:
        yield from _lines(finding.advice, "  > ")
    yield from _lines(_extent(finding), "  ")
    if finding.evidence:
        yield "  It rests on\n"
        for evidence in finding.evidence:
            yield from _lines(f"{evidence.what:<{_WHAT}}{evidence.text}{_source(evidence)}", "    ", _WHAT + 6)
    yield f"\n{_proved(why)}\n"
    told: dict[Fact, int] = {}
    for proof in why.proofs:
        yield "\n" + path_text(proof.path)
        yield from _facts(proof, told)


def _proved(why: Why) -> str:
    paths = plural(len(why.proofs), "path")
    if why.more > 0:
        return f"The first {paths} of those that prove it; {why.more:,} more are not shown"
    return f"The {paths} that prove{'s' if len(why.proofs) == 1 else ''} it"


def _extent(finding: Finding) -> str:
    of = first_of([f"[{number}]" for number in finding.connections], _MOST_IDS)
    many = f"{plural(finding.packets, 'packet')} of {plural(finding.connection_count, 'connection')}"
    node = f", on {finding.node}" if finding.node else ""
    return f"{many}{f': {of}' if of else ''}; the first at {moment(finding.time_ns)}{node}"


def _facts(proof: Proof, told: dict[Fact, int]) -> Iterator[str]:
    """What was recorded where it passed. `told`: facts that stand above, with the path that they stand at."""
    new = [fact for fact in proof.facts if fact not in told]
    if new:
        yield "  Recorded there\n"
    for fact in new:
        told[fact] = proof.path.id
        yield from _lines(f"{fact.what:<{_WHAT}}{fact.text}{_source(fact)}{_read(fact)}", "    ", _WHAT + 6)
    known = sorted({told[fact] for fact in proof.facts if fact not in new})
    if known:
        of = first_of([f"#{number}" for number in known], _MOST_IDS)
        yield f"  {plural(len(proof.facts) - len(new), 'fact')} that {'stand' if new else 'all stand'} at {of}\n"


def _source(one: Evidence | Fact) -> str:
    """`   (slave.pcapng:17, line 3)`: where it can be looked up."""
    if one.file is None:
        return ""
    frame = f":{one.frame}" if one.frame is not None else ""
    line = f", line {one.line}" if one.line is not None else ""
    return f"   ({one.file}{frame}{line})"


def _read(fact: Fact) -> str:
    if fact.read_ns is None:
        return ""
    return f" at {datetime.fromtimestamp(fact.read_ns / 1e9, UTC):%H:%M:%S.%f}"


def _lines(text: str, first: str, indent: int = 4) -> Iterator[str]:
    return (f"{line}\n" for line in wrapped(text, first, " " * indent))
