"""The file that is written, and those of its ring that are written already."""

import fcntl
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ...errors import TtraceError
from ..options import CaptureOptions
from ..stream.output import OutputFile
from ..stream.own_file import sudo_user
from .names import FoundFile, RingNames

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True, slots=True)
class RingFile:
    """A whole file of the ring."""

    path: str
    bytes: int
    identity: tuple[int, int]
    """Device and inode: what stands in its place by now is not removed."""
    ended_ns: int
    """Until when it has what was recorded."""

    @classmethod
    def of(cls, output: OutputFile, ended_ns: int) -> "RingFile":
        """The file that is written, which is whole now."""
        status = os.fstat(output.descriptor)
        return cls(output.path, output.written, (status.st_dev, status.st_ino), ended_ns)

    def is_there(self) -> bool:
        """Whether its path still leads to it. Raises OSError where it leads to nothing."""
        status = os.lstat(self.path)
        # The number of a file that was deleted is soon that of another.
        return ((status.st_dev, status.st_ino), status.st_size) == (self.identity, self.bytes)


class CaptureFiles:
    """What a capture writes: a single file, or with rotation a ring of them."""

    def __init__(self, options: CaptureOptions, node: str, *, is_stopped: Callable[[], bool]) -> None:
        """Open the first one; `is_stopped` says that waiting for the reader of a pipe is over. Raises TtraceError."""
        self._is_stopped = is_stopped
        self.ring: str | None = None
        """Tells the files of one run from those of all others."""
        self.number = 1
        """Of the current file."""
        self.whole: deque[RingFile] = deque()
        """Those before the current one that are still there, the oldest first."""
        self.written_before = 0
        """Bytes written to earlier files of this run."""
        self.removed = 0
        self.warnings: list[str] = []
        """What could not be done, said nowhere yet."""
        self._names: RingNames | None = None
        if options.rotates:
            self._names = RingNames.of(options, node)
            self.ring = os.urandom(8).hex()
            self._adopt(self._names.found())
            path = self._names.path(self.number)
        else:
            path = options.output or time.strftime(f"{node.replace('/', '_')}-%Y%m%d-%H%M%S.pcapng")
        self.may_remove = options.rotates and (options.keep is not None or options.max_size is not None)
        """Whether it was said that old files may go."""
        self.current = self._open(path, force=options.force)

    def _adopt(self, found: list[FoundFile]) -> None:
        """Go on behind what an earlier run left under this name: it counts as the oldest of the ring, so that a capture
        that is started again and again does not fill the disk. What others own is not ours to remove."""
        if not found:
            return
        self.number = found[-1].number + 1
        _refuse_running(found[-1].path)
        own = {os.geteuid(), sudo_user()[0]}
        for file in found:
            with suppress(OSError):
                if os.lstat(file.path).st_uid in own:
                    self.whole.append(RingFile(file.path, file.bytes, file.identity, file.changed_ns))

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.current.close()

    @property
    def written(self) -> int:
        """Bytes written in all by this run."""
        return self.written_before + self.current.written

    @property
    def kept_bytes(self) -> int:
        """Bytes of all files that are there."""
        return self.current.written + sum(file.bytes for file in self.whole)

    def open_next(self) -> OutputFile:
        """A file to go on in, which is not the current one yet. Raises TtraceError."""
        assert self._names is not None
        return self._open(self._names.path(self.number + 1))

    def _open(self, path: str, *, force: bool = False) -> OutputFile:
        output = OutputFile(path, force=force, is_stopped=self._is_stopped)
        output.make_room = lambda: self.may_remove and self.remove_oldest()
        return output

    def go_on_in(self, following: OutputFile, ended_ns: int) -> None:
        """Close the current file, to which all until `ended_ns` is written, and make another the current one."""
        self.whole.append(RingFile.of(self.current, ended_ns))
        self.written_before += self.current.written
        self.current.close()
        self.current = following
        self.number += 1

    def frozen_folder(self, name: str) -> Path:
        """What a folder for a part of the ring is to be called."""
        assert self._names is not None
        return self._names.frozen(name)

    def frozen_folders(self) -> list[Path]:
        """Those that are there."""
        return self._names.frozen_folders() if self._names else []

    def remove_oldest(self) -> bool:
        """Remove the oldest whole file; returns whether there was one."""
        if not self.whole:
            return False
        oldest = self.whole.popleft()
        try:
            if oldest.is_there():
                Path(oldest.path).unlink()
                self.removed += 1
        except FileNotFoundError:
            pass  # somebody took it away
        except OSError as error:
            self.warnings.append(f"`{oldest.path}` could not be removed from the ring: {error.strerror}")
        return True


def _refuse_running(path: str) -> None:
    """Two captures in one ring would remove each other's files."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TtraceError(
            f"another capture is writing `{path}` of this ring", hint="choose another name with `-w`"
        ) from error
    finally:
        os.close(descriptor)
