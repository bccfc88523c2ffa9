"""`ttrace warm-up`: compiles every kernel before it is needed, by doing on small captures what users will do."""

import multiprocessing
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .demo import RECORDED
from .errors import TtraceError
from .kernels import COMPILED_CAPTURE, check_writable, kernel_folders
from .pcapng.blocks import LinkType
from .pcapng.write import enhanced_packet, interface_description, section_header

_NODES: Final = ("master", "slave")
_FEW: Final = 60
"""Sightings in a part, when there are to be several."""

Say = Callable[[str], None]
"""Called with a line for whoever waits."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What a warm-up has done."""

    folder: Path
    """Where the kernels are."""
    packaged: Path | None
    """Where those are that were there before, in a package that cannot be written."""
    compiled: int
    kept: int
    """Kernels in the folder."""
    bytes: int
    elapsed_s: float


def warm_up(say: Say) -> WarmUp:
    """Compile what is not compiled yet: capture, correlation in memory and in parts, reports.

    Raises TtraceError when nothing can be kept.
    """
    began = time.monotonic()
    folders = kernel_folders()
    folder = check_writable(folders)
    before = _count(folder)
    with tempfile.TemporaryDirectory(prefix="ttrace-warm-up-") as scratch, _ahead(Path(scratch)):
        from .compiled import KernelCache  # this imports numba, so not before the fork

        for what, work in _steps(Path(scratch)):
            begun, had = time.monotonic(), KernelCache.missed
            work()
            count = KernelCache.missed - had
            say(f"{what}: {count} kernels compiled, {time.monotonic() - begun:.1f} s")
        if KernelCache.failure:
            raise TtraceError(
                f"cannot keep kernels in `{folder}`: {KernelCache.failure.strerror}",
                "make room there, or name another folder in NUMBA_CACHE_DIR",
            )
    folders.mark(COMPILED_CAPTURE)
    kept = [file.stat().st_size for file in folder.glob("*.nbc")]
    return WarmUp(
        folder=folder, packaged=folders.packaged, compiled=len(kept) - before, kept=len(kept), bytes=sum(kept),
        elapsed_s=time.monotonic() - began,
    )  # fmt: skip


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.glob("*.nbc"))


def _steps(scratch: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    traced = [str(RECORDED / f"{node}.pcapng") for node in _NODES]
    yield "capture", _capture
    if all(Path(file).exists() for file in traced):
        yield "correlate, with trace", lambda: _correlate(traced)
        yield "correlate, in parts", lambda: _in_parts(traced)
    plain = _synthetic(scratch)
    yield "correlate, without trace", lambda: _correlate(plain)
    yield "correlate, without trace, in parts", lambda: _in_parts(plain)


def _capture() -> None:
    from .capture.stream import compile_kernels

    compile_kernels()


def _correlate(files: Sequence[str]) -> None:
    from .correlate import correlate_captures
    from .report import Views, render_explanations, render_views

    result = correlate_captures(files)
    views = Views.chosen(result, every_path=True)
    for form in ("text", "json"):
        _spend(render_views(views, form))
        _spend(render_explanations(result, [0, result.observed - 1], form))


def _in_parts(files: Sequence[str]) -> None:
    from .correlate.parts.run import correlate_in_parts
    from .report import Views, render_views

    result = correlate_in_parts(files, lambda _stage, _done: None, most=_FEW, workers=1)
    try:
        _spend(render_views(Views.chosen(result), "text"))
    finally:
        result.close()


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
    other = multiprocessing.get_context("fork").Process(target=_later_stages, args=(scratch,))
    other.start()
    try:
        yield
    finally:
        other.join()


def _later_stages(scratch: Path) -> None:
    """The stages behind decoding, on a few packets that nobody decoded."""
    del scratch


def _synthetic(scratch: Path) -> list[str]:
    """Captures of two nodes without trace: one connection through a translation, some of its segments twice, a ping."""
    files = []
    for number, node in enumerate(_NODES):
        blocks = section_header(node=node, system="", application="ttrace warm-up")
        blocks += interface_description(
            link_type=LinkType.ETHERNET,
            name="eth0",
            description="root:eth0",
            facts={"what": "packets", "netns": "root"},
        )
        for at, frame in enumerate(_frames(number)):
            time_ns = 1_700_000_000_000_000_000 + at * 1_000_000 + number * 50_000
            blocks += enhanced_packet(interface=0, time_ns=time_ns, data=frame)
        path = scratch / f"{node}.pcapng"
        path.write_bytes(blocks)
        files.append(str(path))
    return files


def _frames(node: int) -> Iterator[bytes]:
    client, server = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
    if node:
        server = bytes((172, 17, 0, 2))
    for turn in range(40):
        port = 40000 + turn // 8
        flags, data = ((0x02, b""), (0x12, b""), (0x10, b""), (0x18, b"question"))[min(turn % 8, 3)]
        back = turn % 8 == 1 or turn % 8 == 5
        at = 1000 + (8 * (turn % 8) if turn % 8 != 6 else 40)  # one is sent again
        ports = (80, port) if back else (port, 80)
        segment = struct.pack(">HHIIBBHHH", *ports, at, 0 if flags == 2 else 77, 0x50, flags, 512, turn, 0) + data
        yield _ip(server if back else client, client if back else server, 6, turn, 64 - node, segment)
    for turn in range(4):
        echo = struct.pack(">BBHHH", 8 if turn % 2 == 0 else 0, 0, 0, 9, turn // 2) + b"data"
        ends = (client, server) if turn % 2 == 0 else (server, client)
        yield _ip(*ends, 1, 100 + turn, 64 - node, echo)


def _ip(source: bytes, destination: bytes, protocol: int, number: int, ttl: int, payload: bytes) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), number, 0x4000, ttl, protocol, 0)
    return bytes(12) + b"\x08\x00" + head + source + destination + payload
