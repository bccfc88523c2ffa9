"""When to begin another file, and what to do where the room is used up."""

import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...errors import TtraceError
from ..options import CaptureOptions
from ..stream.output import OutputFile
from .files import CaptureFiles

if TYPE_CHECKING:
    from ..stream.feed import Feed

_LOOK_S: Final = 1.0
"""How often to ask how much is free."""
_RETRY_S: Final = 1.0
"""After a file that could not be begun."""
_OVER: Final = 8
"""A file may be longer than it should by one part in so many, and a batch, while snapshots for the next are taken."""
_SHARE: Final = 100
_LEAST, _MOST = 1 << 26, 1 << 30
_SMALL: Final = 1 << 28
"""The default reserve: one part in 100 of the file system, at least 64 MiB and at most 1 GiB; none on one of less than
256 MiB, which was made for this or is too small to save anything."""


@dataclass(slots=True)
class _Seen:
    """What the file system said last."""

    at_s: float = 0.0
    spare: int = 0
    """Bytes above the reserve, when `written` bytes had been written."""
    written: int = 0


class Limits:
    """Looks after the sizes, the time and the room of one capture's files."""

    def __init__(self, options: CaptureOptions, files: CaptureFiles) -> None:
        """Raises TtraceError where less than the reserve is free already, and nothing of the ring can go."""
        self._options, self._files = options, files
        self._reserve = _reserve(options.min_free, files.current)
        self._seen = _Seen()
        self._head = 0
        self.due_s: float | None = None
        """When the time of the current file is over, on the monotonic clock."""
        self._not_before_s = 0.0
        self.reached = ""
        """The limit that ends the capture, as it was asked to."""
        self.failure: TtraceError | None = None
        """Why it has to end otherwise."""
        if self._reserve and not (files.may_remove and files.whole) and _free(files.current) <= self._reserve:
            raise self._shortage()

    def begun(self, feed: "Feed") -> None:
        """A file was begun: what it has so far is its head. Old ones go, as far as there are more than wanted."""
        now = time.monotonic()
        self._head = self._files.current.written
        if self._options.rotate_time_s is not None:
            # Not from now: what the change took would add up.
            is_late = self.due_s is None or not self.due_s <= now < self.due_s + self._options.rotate_time_s
            self.due_s = (now if is_late or self.due_s is None else self.due_s) + self._options.rotate_time_s
        while self._options.keep is not None and len(self._files.whole) + 1 > self._options.keep:
            self._files.remove_oldest()
        self.pause(feed)

    def failed(self) -> None:
        """The next file could not be begun: try again later."""
        self._not_before_s = time.monotonic() + _RETRY_S

    @property
    def is_due(self) -> bool:
        """Whether another file is to be begun."""
        now = time.monotonic()
        if not self._options.rotates or now < self._not_before_s:
            return False
        return (self.due_s is not None and now >= self.due_s) or self._left_in_file() <= 0

    @property
    def is_overdue(self) -> bool:
        """Whether the current file has grown past its size by so much that it must not grow on."""
        size = self._options.rotate_size
        return size is not None and self.is_due and self._left_in_file() < -size // _OVER

    def _left_in_file(self) -> int:
        """Bytes until the current file has its size. Its end needs about the room of its head; and where snapshots are
        as large as files are to be, there must still be room for packets."""
        size = self._options.rotate_size
        if size is None:
            return 1 << 62
        return self._head + max(size - 2 * self._head, size // 2) - self._files.current.written

    def look(self) -> None:
        """Remove what has to go, or say why the capture has to end."""
        now, files = time.monotonic(), self._files
        while self._options.max_size is not None and files.kept_bytes >= self._options.max_size:
            if not (files.may_remove and files.remove_oldest()):
                self.reached = f"--max-size is reached: {files.kept_bytes:,} bytes"
                return
        used = files.written - self._seen.written
        if self._reserve and (now - self._seen.at_s >= _LOOK_S or used >= self._seen.spare):
            while (spare := _free(files.current) - self._reserve) <= 0:
                if not (files.may_remove and files.remove_oldest()):
                    self.failure = self._shortage()
                    return
            self._seen = _Seen(now, spare, files.written)

    def _shortage(self) -> TtraceError:
        path = self._files.current.path
        return TtraceError(
            f"only {_free(self._files.current):,} bytes are free where `{path}` is, {self._reserve:,} are to stay so",
            "make room, choose another folder with `-w`, or a smaller reserve with `--min-free`",
        )

    def pause(self, feed: "Feed") -> None:
        """Have the loop come back when something is to be decided by the size."""
        files, left = self._files, self._left_in_file() if time.monotonic() >= self._not_before_s else 1 << 62
        if self._options.max_size is not None:
            left = min(left, self._options.max_size - files.kept_bytes)
        if self._reserve:
            left = min(left, self._seen.spare - (files.written - self._seen.written))
        feed.pause_after(max(left, 1))


def _reserve(wanted: int | None, output: OutputFile) -> int:
    """Bytes that are to stay free; 0 where nothing is filled: a pipe, a device."""
    if not stat.S_ISREG(os.fstat(output.descriptor).st_mode):
        return 0
    if wanted is not None:
        return wanted
    status = os.fstatvfs(output.descriptor)
    size = status.f_blocks * status.f_frsize
    return 0 if size < _SMALL else min(max(size // _SHARE, _LEAST), _MOST)


def _free(output: OutputFile) -> int:
    """Bytes that whoever is not root can still write."""
    status = os.fstatvfs(output.descriptor)
    return status.f_bavail * status.f_frsize
