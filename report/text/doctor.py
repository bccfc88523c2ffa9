"""What `ttrace doctor` and `ttrace lab status` say, as text."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...escaping import safe
from .units import plural, size

if TYPE_CHECKING:
    from ...capture.doctor import Diagnosis
    from ...kernels.folders import WarmUp
    from ...lab import NodeStatus

_MARKS = {"ok": "ok", "warning": "note", "missing": "MISSING"}


def diagnoses_text(diagnoses: "Sequence[Diagnosis]") -> str:
    """One line a diagnosis, its hint below it, and a verdict at the end."""
    diagnoses = safe(diagnoses)
    width = max((len(diagnosis.name) for diagnosis in diagnoses), default=0)
    lines = []
    for diagnosis in diagnoses:
        head = f"{_MARKS[str(diagnosis.state)]:<8}{diagnosis.name:<{width}}  "
        lines += textwrap.wrap(diagnosis.text, 120, initial_indent=head, subsequent_indent=" " * len(head)) or [head]
        if diagnosis.hint:
            lines += textwrap.wrap(
                diagnosis.hint, 120, initial_indent=" " * (width + 10) + "-> ", subsequent_indent=" " * (width + 13)
            )
    missing = [diagnosis.name for diagnosis in diagnoses if str(diagnosis.state) == "missing"]
    verdict = f"This machine cannot be traced yet: {', '.join(missing)}." if missing else "This machine can be traced."
    return "\n".join([*lines, "", verdict]) + "\n"


def lab_text(nodes: "Sequence[NodeStatus]") -> str:
    """The nodes of a lab with their containers; one line when it is down."""
    if not nodes:
        return "The lab is down.\n"
    lines = []
    for node in safe(nodes):
        lines.append(f"{node.name}  {node.state}  {node.address}  netns {node.netns}  {node.docker_host}".rstrip())
        lines += [f"  {name}  {address}" for name, address in node.containers.items()]
    return "\n".join(lines) + "\n"


def warm_up_text(done: "WarmUp") -> str:
    """Where the compiled kernels are, and what it took."""
    done = safe(done)
    where = f"{plural(done.kept, 'kernel')}, {size(done.bytes)}, in {done.folder}"
    if done.packaged:
        where += f"\n(what is not there is taken from {done.packaged})"
    took = f"{done.compiled} of them compiled" if done.compiled else "all of them were there"
    return f"{where}\n{took}, {done.elapsed_s:.1f} s\n"
