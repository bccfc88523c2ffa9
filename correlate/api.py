"""Captures of any size: in memory where they fit, in parts where not."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import TtraceError
from ..pcapng.source import is_read_once
from .in_memory import correlate_captures
from .in_parts.memory import bytes_needed, memory_budget, most_sightings, sightings_per_part
from .nodes.sources import Source, parse_sources
from .progress import Progress, unheard
from .result.correlation import Correlation

if TYPE_CHECKING:
    from .in_parts.result import PartedCorrelation

_COMPRESSED: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"\x04\x22\x4d\x18")
"""What begins so is larger than it looks (pcapng/source.py)."""
_EXPANDS: Final = 12
"""Times, as a rule."""


def correlate_files(
    files: Sequence[str | Source],
    progress: Progress = unheard,
    *,
    vxlan_ports: Sequence[int] = (),
    memory: int | None = None,
    max_expanded: int | None = None,
) -> "Correlation | PartedCorrelation":
    """As `correlate_captures`, for captures of any size.

    `memory`: bytes that may be resident; default: half of what is available. What does not fit is correlated in parts,
    through temporary files (TMPDIR), with the same result.
    """
    sources = parse_sources(files)
    budget = memory_budget() if memory is None else memory
    size = _size(sources)
    read_once = any(is_read_once(source.path) for source in sources)
    if not (read_once and memory is not None) and bytes_needed(most_sightings(size), size) <= budget:
        return correlate_captures(sources, progress, vxlan_ports=vxlan_ports, max_expanded=max_expanded)
    from .in_parts.rounds import correlate_in_parts, open_files

    opened = open_files(sources, progress, max_expanded)
    records = sum(file.size for file in opened)
    if not read_once and bytes_needed(records, sum(file.capture.data.size for file in opened)) <= budget:
        del opened
        return correlate_captures(sources, progress, vxlan_ports=vxlan_ports, max_expanded=max_expanded)
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = sightings_per_part(budget, workers)
    return correlate_in_parts(sources, progress, most=most, workers=workers, vxlan_ports=vxlan_ports, opened=opened)


def correlate_both(
    good: Sequence[str],
    bad: Sequence[str],
    progress: Progress = unheard,
    *,
    vxlan_ports: Sequence[int] = (),
    memory: int | None = None,
    max_expanded: int | None = None,
) -> "tuple[Correlation | PartedCorrelation, Correlation | PartedCorrelation]":
    """Two runs, each with half of the memory. Raises TtraceError for a pipe that both name: it is read once."""
    _refuse_one_pipe_for_both(parse_sources(good), parse_sources(bad))
    half = (memory_budget() if memory is None else memory) // 2
    one, other = (
        correlate_files(files, progress, vxlan_ports=vxlan_ports, memory=half, max_expanded=max_expanded)
        for files in (good, bad)
    )
    return one, other


def _refuse_one_pipe_for_both(good: Sequence[Source], bad: Sequence[Source]) -> None:
    read_once = {source.path for source in good if is_read_once(source.path)}
    for source in bad:
        if source.path in read_once:
            name = "stdin" if source.path == "-" else source.path
            raise TtraceError(f"`{name}` is named for both runs, and can be read once", "write one run into a file")


def _size(sources: Sequence[Source]) -> int:
    """Bytes that the captures have, or will have without their compression."""
    total = 0
    for source in sources:
        if is_read_once(source.path):
            continue  # nobody knows, and opening a named pipe may never end
        with suppress(OSError), Path(source.path).open("rb") as file:  # reading it will say what is wrong
            factor = _EXPANDS if file.read(4).startswith(_COMPRESSED) else 1
            total += file.seek(0, os.SEEK_END) * factor
    return total
