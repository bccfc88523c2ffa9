"""`ttrace warm-up`: compiles every kernel before it is needed, by doing on small captures what users will do."""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..errors import TtraceError
from ..kernels.folders import CAPTURE, WarmUp, check_writable, kernel_folders
from ..lab.demo import RECORDED
from .tiny_captures import tiny_captures

_NODES: Final = ("master", "slave")
_FEW: Final = 60
"""Sightings in a part, when there are to be several."""

_KERNELS: Final = "*.nbc"
Say = Callable[[str], None]
"""Called with a line for whoever waits."""


def warm_up(say: Say) -> WarmUp:
    """Compile what is not compiled yet: capture, correlation in memory and in parts, reports.

    Raises TtraceError when nothing can be kept.
    """
    began = time.monotonic()
    folders = kernel_folders()
    folder = check_writable(folders)
    before = set(folder.glob(_KERNELS))
    with tempfile.TemporaryDirectory(prefix="ttrace-warm-up-") as scratch, _ahead(Path(scratch)):
        from ..kernels.jit import KernelCache  # this imports numba, so not before the fork

        for what, work in steps(Path(scratch)):
            begun, had = time.monotonic(), KernelCache.missed
            work()
            count = KernelCache.missed - had
            say(f"{what}: {count} kernels compiled, {time.monotonic() - begun:.1f} s")
        if KernelCache.failure:
            raise TtraceError(
                f"cannot keep kernels in `{folder}`: {KernelCache.failure.strerror or KernelCache.failure}",
                "make room there, or name another folder in NUMBA_CACHE_DIR",
            )
    folders.mark_complete(CAPTURE)
    # Meanwhile those of other sources may be cleared away.
    kept = {file: file.stat().st_size for file in folder.glob(_KERNELS)}
    return WarmUp(
        folder=folder, packaged=folders.packaged, compiled=len(set(kept) - before), kept=len(kept),
        bytes=sum(kept.values()), elapsed_s=time.monotonic() - began,
    )  # fmt: skip


def steps(scratch: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """(What it is, the work): on the recorded demo, and on captures that are made in `scratch`."""
    traced = [str(RECORDED / f"{node}.pcapng") for node in _NODES]
    yield "capture", _capture
    if all(Path(file).exists() for file in traced):
        yield "correlate, with trace", lambda: correlate_whole(traced)
        yield "correlate, in parts", lambda: correlate_parts(traced)
    plain = tiny_captures(scratch)
    yield "reading large files", _large
    yield "correlate, without trace", lambda: correlate_whole(plain)
    yield "correlate, without trace, in parts", lambda: correlate_parts(plain)


def _capture() -> None:
    """Also where kernels were compiled ahead: these are of the sources as they are, which may change."""
    from ..capture.stream.ready import compiled_here

    compiled_here()


def correlate_whole(files: Sequence[str]) -> None:
    """Correlate in memory, and render everything in every form."""
    from ..correlate import correlate_captures
    from ..correlate.sightings import frames
    from ..report import Form, render_explanations, render_telling
    from ..report.telling import Telling

    result = correlate_captures(files)
    telling = Telling.chosen(result, every_path=True)
    for form in (Form.text, Form.json):
        _spend(render_telling(telling, form))
        _spend(render_explanations(result, [0, frames(result.sightings).size - 1], form))


def correlate_parts(files: Sequence[str]) -> None:
    """Correlate in parts, and render the text."""
    from ..correlate.in_parts.rounds import correlate_in_parts
    from ..correlate.progress import unheard
    from ..report import Form, render_telling
    from ..report.telling import Telling

    result = correlate_in_parts(files, unheard, most=_FEW, workers=1)
    try:
        _spend(render_telling(Telling.chosen(result), Form.text))
    finally:
        result.close()


def _large() -> None:
    """What only large files need."""
    import numpy as np

    from ..correlate.decode.observations import number_outers
    from ..correlate.in_parts.number_table import NumberTable
    from ..correlate.schema import SIGHTING
    from ..pcapng.walk import find_block

    nothing = np.zeros(64, np.uint8)
    nothing.flags.writeable = False
    find_block(nothing, 0, nothing.size, False)
    number_outers(np.zeros(1, SIGHTING), 0)
    NumberTable().add(np.arange(1 << 17, dtype=np.uint64))


def _spend(pieces: Iterator[str]) -> None:
    for _ in pieces:
        pass


@contextmanager
def _ahead(scratch: Path) -> Iterator[None]:
    """Meanwhile, in a second process, compile the later stages, which need nothing of what earlier ones have found.

    What it has compiled, this process finds in the folder when it comes there.
    """
    if len(os.sched_getaffinity(0)) < 2:
        yield
        return
    other = multiprocessing.get_context("fork").Process(target=later_stages, args=(scratch,))
    other.start()
    try:
        yield
    finally:
        other.join()


def later_stages(scratch: Path) -> None:
    """The stages behind decoding, on packets that were not decoded but made up; nothing is said of what fails here."""
    import numpy as np

    from ..correlate.decode.compared_bytes import whole_reach
    from ..correlate.decode.observations import Observations
    from ..correlate.in_memory import correlate_decoded
    from ..correlate.netfilter.messages import KernelMessages
    from ..correlate.nodes.snapshots import gather_snapshots
    from ..correlate.nodes.sources import parse_sources
    from ..correlate.nodes.topology import build_topology
    from ..correlate.progress import unheard
    from ..correlate.schema import CONNTRACK, OUTER, SIGHTING, TRACE_EVENT
    from ..pcapng.read import read_capture

    sources = parse_sources(tiny_captures(scratch)[:2])
    captures = [read_capture(source.path) for source in sources]
    rows = np.zeros(8, SIGHTING)
    rows["time_ns"] = 1_700_000_000_000_000_000 + np.arange(8) * 1_000_000
    rows["file"] = rows["namespace"] = rows["place"] = np.repeat([0, 1], 4)
    rows["frame"] = rows["content"] = np.tile(np.arange(1, 5), 2)
    rows["flow"], rows["flow_reverse"] = np.tile([7, 9], 4), np.tile([9, 7], 4)
    rows["ip_version"], rows["protocol"], rows["source_port"] = 4, 6, 80
    nothing = KernelMessages(
        events=np.zeros(0, TRACE_EVENT), headers=np.zeros(0, SIGHTING), conntrack=np.zeros(0, CONNTRACK), names={},
        malformed=0,
    )  # fmt: skip
    decoded = Observations(rows=rows, outers=np.zeros(0, OUTER), kept=np.zeros((2, 21), np.int64))
    snapshots = gather_snapshots(captures, sources)
    topology = build_topology(captures, sources, snapshots)
    correlate_decoded(captures, snapshots, topology, decoded, [nothing, nothing], whole_reach(), unheard)
