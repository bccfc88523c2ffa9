"""The findings, which a report begins with."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from ...correlate.findings.kinds import MOST_OF_A_KIND, Severity
from ...correlate.findings.values import Finding
from .layout import first_of
from .units import plural

_WIDTH: Final = 100
"""Of a terminal at night: the answer stands on its first screen."""
_MOST: Final = 12
_MOST_IDS: Final = 3
_INDENT: Final = " " * 13


def findings_text(findings: Sequence[Finding], well: str, lost: int, only: Sequence[str] = ()) -> Iterator[str]:
    """Lines of the findings, faults first; `well`: what there is to say where nothing is wrong; `lost`: paths that
    were, which only a fault explains; `only`: what was chosen of them, which tells nothing of the rest."""
    faults = sum(finding.severity == Severity.FAULT for finding in findings)
    if not faults:
        where = f"in what `--only {' '.join(only)}` chose" if only else "of the network"
        none = f"No fault {where} is seen: {well}"
        if lost and not only:
            none = (
                f"Findings: no fault that says why {plural(lost, 'path')} {'is' if lost == 1 else 'are'} lost: {well}"
            )
        yield from (f"{line}\n" for line in textwrap.wrap(none, _WIDTH))
    if findings:
        counts = [plural(faults, "fault")] if faults else []
        counts += [plural(len(findings) - faults, "notice")] if len(findings) > faults else []
        yield f"Findings: {', '.join(counts)}\n"
    for finding in findings[:_MOST]:
        yield from _lines(finding)
    if len(findings) > _MOST:
        yield f"  … and {len(findings) - _MOST:,} more: `--format json` has them\n"
    counts_of_kinds = Counter(finding.kind for finding in findings)
    for kind in [kind for kind, count in counts_of_kinds.items() if count >= MOST_OF_A_KIND]:
        yield f"  … {MOST_OF_A_KIND} of kind {kind} are told, the most of one kind: there may be more\n"
    yield "\n"


def _lines(finding: Finding) -> Iterator[str]:
    first = f"  {finding.id:>2} {severity_word(finding):<7} "
    yield from (f"{line}\n" for line in _wrapped(sentence(finding), first))
    shown = first_of([f"[{number}]" for number in finding.connections], _MOST_IDS)
    more = plural(finding.packets, "packet") if finding.packets != 1 else "the packet"
    way = f"path #{finding.paths[0]} shows the way" if finding.paths else ""
    yield from (f"{line}\n" for line in _wrapped(f"of {shown}, {more}; {way}", _INDENT[:-3] + "   "))
    if finding.advice:
        yield from (f"{line}\n" for line in _wrapped(finding.advice, _INDENT[:-2] + "> "))


_SURE: Final = 0.8
"""Below it a finding says that it may be wrong."""


def severity_word(finding: Finding) -> str:
    """`FAULT`, which nobody overlooks, or `notice`."""
    return finding.severity.upper() if finding.severity == Severity.FAULT else finding.severity


def sentence(finding: Finding) -> str:
    """What it says, and whether that may be wrong."""
    return finding.text if finding.confidence >= _SURE else f"probably: {finding.text}"


def _wrapped(text: str, first: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=_INDENT, break_on_hyphens=False)
