"""A temporary file without a name for what cannot be mapped as it is, with a limit: to what comes out of a compressed
file, and to what is taken of the room of its folder."""

import os
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Final, Self, cast

from ..errors import TtraceError

UNSUSPICIOUS: Final = 1 << 30
"""Bytes that anything may expand to;"""
MOST_TIMES: Final = 100
"""beyond them, so many times what was read. Captures compress to a third or a tenth; a flood of equal packets, at most
by hundreds. Whoever has one says how much it may be (`--max-expanded`)."""
_LOOKED_AT: Final = 1 << 26
"""Bytes between two looks at the room that is left."""
_RESERVE: Final = 0.05
"""Part of the file system that stays free,"""
_MOST_RESERVE: Final = 1 << 30
"""and no more than so many bytes: a full /tmp is the end of others, and where it is memory, of this machine."""


class Spool:
    """The file, while it is written."""

    def __init__(self, name: str, max_expanded: int | None) -> None:
        """`name`: of what is copied, for messages. Raises TtraceError where no file can be made."""
        self._name, self._most = name, max_expanded
        self.size = 0
        """Bytes written."""
        self._read = 0
        self._compressed = False
        self._next_look = 0
        try:
            self._file = cast("BinaryIO", tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - __exit__ closes it
        except OSError as error:
            raise self._no_room(error.strerror or str(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def descriptor(self) -> int:
        """Of the file."""
        return self._file.fileno()

    def counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The pieces of a compressed file: how much is read of it says how much it may expand to."""
        self._compressed = True
        for piece in pieces:
            self._read += len(piece)
            yield piece

    def write(self, data: bytes) -> None:
        """Append the bytes. Raises TtraceError at a limit, and when the disk is full."""
        if self._compressed and self.size + len(data) > self._limit():
            raise self._too_much()
        if self.size + len(data) > self._next_look:
            self._look(len(data))
        view = memoryview(data)
        self.size += len(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise self._no_room(error.strerror or str(error)) from error

    def _limit(self) -> int:
        return max(UNSUSPICIOUS, MOST_TIMES * self._read) if self._most is None else self._most

    def _too_much(self) -> TtraceError:
        most, times = self._limit() >> 20, f", {MOST_TIMES} times its size" if self._most is None else ""
        return TtraceError(
            f"`{self._name}` expands to more than {most:,} MiB{times}",
            "it may be made to fill the disk; if you know what it is, say how many MiB it may be with `--max-expanded`",
        )

    def _look(self, size: int) -> None:
        self._next_look = self.size + _LOOKED_AT
        try:
            room = os.statvfs(self._file.fileno())
        except OSError:
            return  # writing will show it
        reserve = min(int(room.f_blocks * room.f_frsize * _RESERVE), _MOST_RESERVE)
        if room.f_blocks and room.f_bavail * room.f_frsize - reserve < size:
            raise self._no_room(f"{room.f_bavail * room.f_frsize >> 20:,} MiB are left")

    def _no_room(self, why: str) -> TtraceError:
        folder = os.environ.get("TMPDIR") or tempfile.tempdir or "/tmp"
        return TtraceError(
            f"no room in `{folder}` for what `{self._name}` holds: {why}", "set TMPDIR to a folder with more room"
        )
