"""What went into a result: its files with their losses and clocks, and what they have nothing in common with."""

from dataclasses import dataclass

from ...correlate.in_common.shared_packets import NothingInCommon, Scope
from ...correlate.result.correlation import Correlation
from ...correlate.summaries.captures import CaptureFacts, capture_facts, merged_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureTold:
    """One capture file."""

    facts: CaptureFacts
    nothing_in_common: NothingInCommon | None
    """Why it has nothing in common with the others, where that is to be said here: what holds for all files of a node
    is said of the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturesTold:
    """All capture files, in the order given."""

    files: tuple[CaptureTold, ...]
    headless: int
    """Trace events without a header: their chain is not known."""


class AllCaptures:
    """Finds them part by part."""

    def __init__(self) -> None:
        self._facts: list[list[CaptureFacts]] = []
        self._headless = 0

    def add(self, result: Correlation) -> None:
        """What one part has of all files."""
        self._facts.append(capture_facts(result))
        self._headless += result.evaluations.orphans

    def told(self) -> CapturesTold:
        """Those of all parts that were added."""
        said: set[str] = set()
        files = []
        for facts in merged_facts(self._facts):
            nothing = facts.nothing_in_common
            if nothing is not None and nothing.scope == Scope.NODE:
                if facts.node in said:
                    nothing = None
                said.add(facts.node)
            files.append(CaptureTold(facts=facts, nothing_in_common=nothing))
        return CapturesTold(files=tuple(files), headless=self._headless)
