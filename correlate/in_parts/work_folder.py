"""A folder in TMPDIR for what does not fit into memory: its files have names, so that any process can open them.

It goes when it is closed or forgotten, or when the process ends. A process that is killed leaves it behind; whoever
makes the next one removes it.
"""

import fcntl
import os
import pickle
import re
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ...errors import no_room

_PREFIX: Final = "ttrace-parts-"
_NAME: Final = re.compile(_PREFIX + r"\d+-\w{8}", re.ASCII)
"""With the process that works in it, and what tempfile.mkdtemp appends."""


class WorkFolder:
    """A folder of its own, that nobody else can read. Raises TtraceError where there is no room for it."""

    def __init__(self) -> None:
        try:
            remove_left_behind(tempfile.gettempdir())
            self.path, lock = _make_locked()
        except OSError as error:
            raise no_room(error) from error
        self._names = 0
        self.close = weakref.finalize(self, _remove, self.path, lock, os.getpid())
        """Removes it with all that is in it; whoever forgets it, or fails, does so too."""

    def new_name(self, what: str) -> str:
        """The path of a file that is not there yet."""
        self._names += 1
        return f"{self.path}/{self._names:04}-{what}"


def save(path: str, value: object) -> None:
    """Pickle it into a file. Raises TtraceError when the disk is full."""
    try:
        with Path(path).open("wb") as file:
            pickle.dump(value, file, protocol=5)
    except OSError as error:
        raise no_room(error) from error


def load(path: str) -> Any:  # noqa: ANN401 - whatever save() was given
    """What save() wrote."""
    with Path(path).open("rb") as file:
        return pickle.load(file)


def remove_left_behind(parent: str) -> None:
    """Remove the folders in `parent` that processes of the same user left behind when they were killed.

    A lock on a folder says that somebody works in it. The process it is named by may be in another container and not be
    seen from here, and its number may by now be that of another.
    """
    for entry in os.scandir(parent):
        if _NAME.fullmatch(entry.name):
            with suppress(OSError):  # in use, of another user, gone meanwhile, or not to be locked here
                _remove_unlocked(entry.path)


def _make_locked() -> tuple[str, int]:
    """(path, descriptor that holds the lock). Those who clean up leave a locked folder alone: remove_left_behind, and
    systemd-tmpfiles, which looks at just this kind of lock."""
    while True:
        path = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
        with suppress(FileNotFoundError):  # taken for one left behind, before it was locked
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):  # a file system without locks: nobody removes it then
                fcntl.flock(lock, fcntl.LOCK_EX)
            if Path(path).exists():
                return path, lock
            os.close(lock)


def _remove_unlocked(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid == os.getuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
    finally:
        os.close(descriptor)


def _remove(path: str, lock: int, maker: int) -> None:
    if os.getpid() == maker:  # what a forked process forgets is still in use
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)
