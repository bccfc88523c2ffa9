"""What findings or outcomes leave of a choice: `--only`."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ...correlate.findings.all_findings import AllFindings
from ...correlate.findings.kinds import Kind, Severity
from ...correlate.outcomes.kinds import OUTCOMES
from ...correlate.result.correlation import Correlation
from ...correlate.result.select import Selection
from ...errors import UsageError
from .parts import Parts

_WORDS: Final = frozenset({*OUTCOMES, *Severity, *Kind})


def check_only(words: Sequence[str]) -> None:
    """Raises UsageError for what is no outcome, kind or severity."""
    for word in words:
        if word not in _WORDS:
            raise UsageError(
                f"`--only {word}`: no outcome, and no kind or severity of findings",
                f"{', '.join((*OUTCOMES, *Severity))}, or a kind of docs/findings.md",
            )


def only(parts: Parts, words: Sequence[str]) -> Parts:
    """Of the chosen paths those that came to one of these outcomes, and those of connections with such findings."""
    findings = AllFindings(parts.common, most_ids=sys.maxsize)
    if not set(words) <= set(OUTCOMES):
        for result, selection in parts.each():
            findings.add(result, selection.paths)
    about = [one.connections for one in findings.told() if one.kind in words or one.severity in words]
    wanted = np.unique(np.concatenate([np.array(ids, np.int64) for ids in about])) if about else np.empty(0, np.int64)
    outcomes = [number for number, name in enumerate(OUTCOMES) if name in words]

    def each() -> Iterator[tuple[Correlation, Selection]]:
        for result, selection in parts.each():
            paths = np.isin(result.ids.connections, wanted)[result.connection_of_path]
            paths |= np.isin(result.outcomes.outcome, outcomes)
            paths &= selection.paths
            connections = np.zeros(result.connections.count, np.bool_)
            connections[result.connection_of_path[paths]] = True
            yield result, replace(selection, paths=paths, connections=connections & selection.connections)

    return Parts(count=parts.count, in_full=parts.in_full, common=parts.common, each=each)
