"""What `ttrace doctor` and `ttrace lab status` say, as text."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .units import plural, size

if TYPE_CHECKING:
    from ...capture.doctor import Finding
    from ...kernels.folders import WarmUp
    from ...lab import NodeStatus

_MARKS = {"ok": "ok", "warning": "note", "missing": "MISSING"}


def findings_text(findings: "Sequence[Finding]") -> str:
    """One line a finding, its hint below it, and a verdict at the end."""
    width = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        head = f"{_MARKS[str(finding.state)]:<8}{finding.name:<{width}}  "
        lines += textwrap.wrap(finding.text, 120, initial_indent=head, subsequent_indent=" " * len(head)) or [head]
        if finding.hint:
            lines += textwrap.wrap(
                finding.hint, 120, initial_indent=" " * (width + 10) + "-> ", subsequent_indent=" " * (width + 13)
            )
    missing = [finding.name for finding in findings if str(finding.state) == "missing"]
    verdict = f"This machine cannot be traced yet: {', '.join(missing)}." if missing else "This machine can be traced."
    return "\n".join([*lines, "", verdict]) + "\n"


def lab_text(nodes: "Sequence[NodeStatus]") -> str:
    """The nodes of a lab with their containers; one line when it is down."""
    if not nodes:
        return "The lab is down.\n"
    lines = []
    for node in nodes:
        lines.append(f"{node.name}  {node.state}  {node.address}  netns {node.netns}  {node.docker_host}".rstrip())
        lines += [f"  {name}  {address}" for name, address in node.containers.items()]
    return "\n".join(lines) + "\n"


def warm_up_text(done: "WarmUp") -> str:
    """Where the compiled kernels are, and what it took."""
    where = f"{plural(done.kept, 'kernel')}, {size(done.bytes)}, in {done.folder}"
    if done.packaged:
        where += f"\n(what is not there is taken from {done.packaged})"
    took = f"{done.compiled} of them compiled" if done.compiled else "all of them were there"
    return f"{where}\n{took}, {done.elapsed_s:.1f} s\n"
