"""Findings of scenes, as a person reads them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ttrace.correlate import correlate_captures
from ttrace.correlate.findings.all_findings import AllFindings
from ttrace.correlate.findings.kinds import Kind
from ttrace.correlate.findings.values import Finding
from ttrace.tests.correlate.same_in_parts import assert_same_in_parts
from ttrace.tests.correlate.scene import Node


def findings_of(folder: Path, *nodes: Node) -> tuple[Finding, ...]:
    """All that is found in what the nodes recorded, in memory and in parts."""
    return findings_in([node.write(folder) for node in nodes])


def findings_in(files: Sequence[str]) -> tuple[Finding, ...]:
    """All that is found in these files, in memory and with nearly every group of flows in a part of its own."""
    result = correlate_captures(files)
    assert_same_in_parts(files, result, most=1)
    found = AllFindings()
    found.add(result, np.ones(result.packets.count, np.bool_))
    return found.told()


def of_kind(findings: Sequence[Finding], kind: Kind) -> list[Finding]:
    """Those of one kind."""
    return [finding for finding in findings if finding.kind == kind]
