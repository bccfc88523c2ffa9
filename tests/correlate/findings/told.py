"""Findings of scenes, as a person reads them."""

from collections.abc import Sequence
from pathlib import Path

from ttrace.correlate import correlate_captures
from ttrace.correlate.findings.kinds import Kind
from ttrace.correlate.findings.values import Finding
from ttrace.correlate.in_parts.rounds import correlate_in_parts
from ttrace.correlate.nodes.snapshots import read_snapshots
from ttrace.pcapng.read import read_capture
from ttrace.report.telling import Telling
from ttrace.tests.correlate.scene import Node


def findings_of(folder: Path, *nodes: Node) -> tuple[Finding, ...]:
    """All that is found in what the nodes recorded."""
    return findings_in([node.write(folder) for node in nodes])


def findings_in(files: Sequence[str]) -> tuple[Finding, ...]:
    """All that is found in these files: in memory, and the same with nearly every group of flows in its own part."""
    found = Telling.chosen(correlate_captures(files)).head[0]
    parted = correlate_in_parts(files, lambda _stage, _done: None, most=1, workers=1)
    try:
        assert Telling.chosen(parted).head[0] == found
    finally:
        parted.close()
    return found


def of_kind(findings: Sequence[Finding], kind: Kind) -> list[Finding]:
    """Those of one kind."""
    return [finding for finding in findings if finding.kind == kind]


def assert_opens(finding: Finding) -> None:
    """A finding that a rule made: where its evidence says, a snapshot of the rules has its words."""
    (rule,) = (one for one in finding.evidence if one.what == "rule")
    assert rule.file is not None
    snapshots = read_snapshots(read_capture(rule.file))
    _, key, data = snapshots.found[snapshots.frames.index(rule.frame or 0)]
    assert key.kind == "ruleset"
    if rule.line is not None:
        saved = [text for kind in ("iptables", "legacy") for text in (data.get(kind) or {}).values() if text]
        lines = [text.splitlines()[rule.line - 1 : rule.line] for text in (data["nft"], *saved)]
        words = rule.text.split(": ", 1)[1]
        assert any(words in line for found in lines for line in found)
