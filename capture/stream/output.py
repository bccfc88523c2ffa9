"""The stream being written: opened early, begun when the capture stands, cut to whole blocks when the disk is full."""

import errno
import fcntl
import os
import select
import stat
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ...errors import TtraceError
from .own_file import OwnFile, check_owner

if TYPE_CHECKING:
    from typing import Self

STDOUT = "-"
_STDOUT_NAMES = (STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
_READER_POLL_S = 0.05
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_PATIENCE_S = 3.0
"""How long a reader that does not read may keep a capture that was asked to end."""


class OutputFile:
    """A pcapng stream to a file that is made here, to a FIFO, a device or standard output."""

    def __init__(self, path: str, *, force: bool = False, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Make the file `path` (`force`: in the place of an old one), open the FIFO or device, or take stdout for `-`.

        `is_stopped` says that waiting for a reader is over. Raises TtraceError.
        """
        self.path = STDOUT if path in _STDOUT_NAMES else path
        self.written = 0
        """Bytes written, always a whole number of blocks."""
        self._is_stopped = is_stopped
        self.make_room: Callable[[], bool] = lambda: False
        """Called when the disk is full: frees some of it, or returns False."""
        self._file: OwnFile | None = None
        self._waiting: list[bytes] | None = None
        try:
            inherited = _inherited(path)
            if inherited is not None:
                self._fd = _open_inherited(inherited)
            elif _is_stream(path):
                self._fd = self._open_stream(path)
            else:
                self._file = OwnFile(path, force=force)
                self._fd = self._file.descriptor
                self._waiting = []
        except OSError as error:
            hint = "redirect it, or choose a file with `-w`" if path == STDOUT else "choose another file with `-w`"
            raise TtraceError(f"cannot write {self._name}: {error.strerror}", hint=hint) from error

    @property
    def descriptor(self) -> int:
        """Where compiled code writes after `begin`; it adds to `written`. Stays the same whatever file it leads to."""
        return self._fd

    def begin(self) -> None:
        """Write what waits and put the file in its place: called when nothing else can refuse the capture any more.

        Raises TtraceError.
        """
        if self._file is None or self._waiting is None:
            return
        try:
            self._file.begin()
            self.write_rest(memoryview(b"".join(self._waiting)), 0)
            self._file.put_in_place()
        except OSError as error:
            raise TtraceError(
                f"cannot replace `{self.path}`: {error.strerror}", hint="choose another file with `-w`"
            ) from error
        self._waiting = None

    @property
    def where(self) -> str | None:
        """A path that leads to what was written, `-` for stdout; None if none does any more."""
        return self._file.where if self._file else self.path

    def trouble(self) -> TtraceError | None:
        """Why nobody can read any more what is written, if so: somebody removed the file, the reader is gone."""
        if self._file:
            return self._file.trouble(self.written)
        poll = select.poll()
        poll.register(self._fd, 0)
        is_gone = any(events & select.POLLERR for _, events in poll.poll(0))
        return self._no_reader() if is_gone else None

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, blocks: bytes | memoryview) -> None:
        """Write whole blocks. Raises TtraceError when the disk is full or the reader of a pipe is gone."""
        if self._waiting is not None:
            self._waiting.append(bytes(blocks))
            return
        self.write_rest(memoryview(blocks), 0)

    def write_rest(self, blocks: memoryview, done: int) -> None:
        """Write whole blocks whose first `done` bytes are in the file already; raises as `append` does."""
        try:
            while done < len(blocks):
                try:
                    done += os.write(self._fd, blocks[done:])
                except BlockingIOError:
                    self._wait_for_room()
                except OSError as error:
                    if error.errno not in _NO_ROOM or not self.make_room():
                        raise
        except OSError as error:
            self._cut(blocks, done)
            if error.errno == errno.EPIPE:
                raise self._no_reader() from error
            raise TtraceError(
                f"cannot write to {self._name}: {error.strerror}",
                hint=f"the capture was stopped; its first {self.written:,} bytes are whole and readable",
            ) from error
        self.written += done

    def close(self) -> None:
        """Close the file; one made for a capture that never stood is removed."""
        if self._fd < 0:
            return
        if self._file:
            if self._waiting is not None:
                self._file.remove()
            self._file.close()
        elif self._fd > 1:
            os.close(self._fd)
        self._fd = -1

    def _no_reader(self) -> TtraceError:
        return TtraceError(f"the reader of {self._name} is gone")

    @property
    def _name(self) -> str:
        return "standard output" if self.path == STDOUT else f"`{self.path}`"

    def _open_stream(self, path: str) -> int:
        """Open a FIFO, whose reader may come later, or a device. Raises TtraceError, OSError."""
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
        while True:
            check_owner(path, os.lstat(path))
            try:
                descriptor = os.open(path, flags)
            except OSError as error:
                if error.errno != errno.ENXIO or not stat.S_ISFIFO(os.lstat(path).st_mode):
                    raise
                if self._is_stopped():
                    raise TtraceError(f"nobody has opened `{path}` for reading") from error
                time.sleep(_READER_POLL_S)
                continue
            # What was looked at may be another by now.
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise TtraceError(f"`{path}` became another file meanwhile", hint="choose another file with `-w`")
            return descriptor

    def _wait_for_room(self) -> None:
        """Wait for the reader of a pipe; once the capture is to end only for a while. Raises OSError."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        until: float | None = None
        while not poll.poll(_READER_POLL_S * 1000):
            if self._is_stopped():
                until = until or time.monotonic() + _PATIENCE_S
                if time.monotonic() > until:
                    raise OSError(errno.ETIMEDOUT, "its reader does not read")

    def _cut(self, blocks: memoryview, done: int) -> None:
        """After a write that ended inside a block: keep the whole ones."""
        end = 0
        while end + 12 <= done:
            (length,) = struct.unpack_from("<I", blocks, end + 4)
            if end + length > done:
                break
            end += length
        self.written += end
        with suppress(OSError):  # a disk that takes nothing at all any more
            # stdout may be a file too, which others may write as well: cut is what was written here last.
            status, position = os.fstat(self._fd), os.lseek(self._fd, 0, os.SEEK_CUR)
            if stat.S_ISREG(status.st_mode) and status.st_size == position:
                os.ftruncate(self._fd, position - (done - end))
                os.lseek(self._fd, position - (done - end), os.SEEK_SET)


def _inherited(path: str) -> int | None:
    """The descriptor of this process that the path means: `-`, and what a shell makes of `>(gzip > x.pcapng.gz)`."""
    if path in _STDOUT_NAMES:
        return 1
    folder, name = os.path.split(path)
    is_descriptor = name.isdecimal() and os.path.realpath(folder) == f"/proc/{os.getpid()}/fd"
    return int(name) if is_descriptor else None


def _open_inherited(number: int) -> int:
    """A descriptor for an inherited one; for a pipe one that does not block, of which nobody else notices anything.

    Raises OSError.
    """
    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "it is closed, or only to be read")
    if stat.S_ISFIFO(os.fstat(number).st_mode):
        with suppress(OSError):
            return os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return number


def _is_stream(path: str) -> bool:
    """Whether a FIFO or a device is there."""
    with suppress(OSError):
        mode = Path(path).lstat().st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
    return False
