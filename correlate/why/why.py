"""The packets that findings rest on, collected part by part: the first of each, by the ids that findings name."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from ..findings.values import Finding
from ..result.correlation import Correlation
from .kernel_facts import conntrack_facts, drop_facts, icmp_facts, trace_facts
from .mac_facts import mac_facts
from .passages import passages_of
from .routing_facts import routing_facts
from .values import Fact, Proof, Why

MOST_PROOFS: Final = 20
"""Packets of a finding that are shown with their ways; the rest are counted."""


class AllWhys:
    """Finds them part by part."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        """`findings`: those that are asked for."""
        self._findings = findings
        self._proofs: dict[int, Proof] = {}
        wanted = {number for finding in findings for number in finding.paths[:MOST_PROOFS]}
        self._wanted = np.array(sorted(wanted), np.int64)

    def add(self, part: Correlation) -> None:
        """The packets of one part."""
        for index in np.flatnonzero(np.isin(part.ids.paths, self._wanted)).tolist():
            proof = Proof(path=part.path_at(index), facts=tuple(dict.fromkeys(_facts(part, index))))
            self._proofs[proof.path.id] = proof

    def told(self) -> list[Why]:
        """One for each finding, in the order asked for."""
        return [Why(finding=finding, proofs=tuple(self._of(finding.paths[:MOST_PROOFS]))) for finding in self._findings]

    def _of(self, paths: Iterable[int]) -> Iterator[Proof]:
        return (self._proofs[number] for number in paths if number in self._proofs)


def _facts(part: Correlation, index: int) -> Iterator[Fact]:
    """What was recorded where a packet passed, in the order of its way."""
    passages = passages_of(part, index)
    for passage in passages:
        yield from trace_facts(part, passage)
        yield from drop_facts(part, passage)
        yield from conntrack_facts(part, passage)
        yield from routing_facts(part, passage)
    yield from mac_facts(part, passages)
    yield from icmp_facts(part, index)
