"""The file being written: opened early, emptied when the capture stands, cut to whole blocks when the disk is full."""

import errno
import fcntl
import os
import stat
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

from ...errors import TtraceError

STDOUT = "-"


class OutputFile:
    """A pcapng stream to a file or to standard output."""

    def __init__(self, path: str) -> None:
        """Open `path` (overwritten if it exists, like tcpdump does), or standard output for `-`. Raises TtraceError."""
        self.path = path
        self.written = 0
        """Bytes written, always a whole number of blocks."""
        self._waiting: list[bytes] | None = None
        self._is_new = False
        if path == STDOUT:
            self._fd = 1
            return
        self._is_new = not os.path.lexists(path)
        try:
            # The file holds the node's rules and addresses: not for everyone to read.
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if stat.S_ISREG(os.fstat(self._fd).st_mode):
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._waiting = []
        except BlockingIOError as error:
            os.close(self._fd)
            raise TtraceError(f"another capture is writing `{path}`", hint="choose another file with `-w`") from error
        except OSError as error:
            raise TtraceError(
                f"cannot write `{path}`: {error.strerror}", hint="choose another file with `-w`"
            ) from error
        self._give_to_sudo_user()

    @property
    def descriptor(self) -> int:
        """Where compiled code writes after `begin`; it adds to `written`."""
        return self._fd

    def begin(self) -> None:
        """Empty the file and write what waits: called when nothing can refuse the capture any more."""
        if self._waiting is None:
            return
        waiting, self._waiting = self._waiting, None
        os.ftruncate(self._fd, 0)
        for blocks in waiting:
            self.append(blocks)

    def __enter__(self) -> Self:
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
                done += os.write(self._fd, blocks[done:])
        except OSError as error:
            self._cut(blocks, done)
            if error.errno == errno.EPIPE:
                what = "standard output" if self.path == STDOUT else f"`{self.path}`"
                raise TtraceError(f"the reader of {what} is gone") from error
            raise TtraceError(
                f"cannot write to `{self.path}`: {error.strerror}",
                hint=f"the capture was stopped; its first {self.written:,} bytes are whole and readable",
            ) from error
        self.written += done

    def close(self) -> None:
        """Close the file, unless it is standard output; one made for a capture that never stood is removed."""
        if self._fd > 1:
            if self._waiting is not None and self._is_new:
                Path(self.path).unlink(missing_ok=True)
            os.close(self._fd)
        self._fd = -1

    def _cut(self, blocks: memoryview, done: int) -> None:
        """After a write that ended inside a block: keep the whole ones."""
        end = 0
        while end + 12 <= done:
            (length,) = struct.unpack_from("<I", blocks, end + 4)
            if end + length > done:
                break
            end += length
        self.written += end
        if self._is_own_file():
            os.ftruncate(self._fd, self.written)

    def _give_to_sudo_user(self) -> None:
        """With `sudo ttrace capture` the file belongs to the person, who will correlate it without root."""
        user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
        if user.isdecimal() and group.isdecimal() and os.geteuid() == 0 and self._is_own_file():
            os.fchown(self._fd, int(user), int(group))

    def _is_own_file(self) -> bool:
        """Whether it is a file, made or emptied here; not a pipe, and not a device like /dev/null."""
        return self.path != STDOUT and stat.S_ISREG(os.fstat(self._fd).st_mode)
