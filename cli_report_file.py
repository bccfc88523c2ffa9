"""The file that a report goes to: written over as by any program, but through nothing that somebody else put there."""

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from .errors import TtraceError
from .escaping import escape_lines

_MOST_LINKS: Final = 40
"""MAXSYMLINKS of Linux."""


def check_report(path: Path, captures: Iterable[str], option: str = "--output") -> None:
    """See, before the work, that a report may be written there, which `option` named. Raises TtraceError.

    `captures` are the arguments: none of these is written over.
    """
    try:
        found = _target(path, option).stat()
    except OSError:
        return  # nothing there, or an error that writing tells
    for capture in captures:
        for name in (capture, capture.partition("=")[2]):
            if name and os.path.exists(name) and os.path.samestat(found, os.stat(name)):  # noqa: PTH110, PTH116
                raise TtraceError(f"`{path}` is one of the captures", hint=_another(option))


def _another(option: str) -> str:
    return f"choose another file with `{option}`"


def write(pieces: Iterable[str], output: Path | None = None) -> None:
    """Write the pieces of a result to a file, with what orders a terminal escaped, or to stdout. Raises TtraceError."""
    if output is None:
        for piece in pieces:
            sys.stdout.write(piece)
        sys.stdout.flush()
        return
    write_report(output, (escape_lines(piece) for piece in pieces))


def write_report(path: Path, pieces: Iterable[str], option: str = "--output") -> None:
    """Write the pieces of a report to the file that `option` named. Raises TtraceError."""
    try:
        target = _target(path, option)
        links = 0 if _is_descriptor(target) else os.O_NOFOLLOW
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | links, 0o666)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            _check_owner(path, os.fstat(descriptor), target.parent.stat(), option)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                file.truncate(0)
            file.writelines(pieces)
    except OSError as error:
        raise TtraceError(
            f"cannot write `{path}`: {error.strerror}", "check the folder, the space and the rights"
        ) from error


def _target(path: Path, option: str) -> Path:
    """Where the links lead that stand at the end of a path. Raises TtraceError for one that is another's, OSError."""
    target = path
    for _ in range(_MOST_LINKS):
        try:
            status = target.lstat()
        except FileNotFoundError:
            return target
        if _is_descriptor(target):
            return target
        _check_owner(path, status, target.parent.stat(), option)
        if not stat.S_ISLNK(status.st_mode):
            return target
        target = target.parent / target.readlink()
    return target


def _is_descriptor(path: Path) -> bool:
    """Whether it is what a shell makes of `>(gzip > report.gz)`, or /dev/stdout leads to."""
    return str(path.parent.resolve()).startswith("/proc/")


def _check_owner(path: Path, status: os.stat_result, folder: os.stat_result, option: str) -> None:
    """As Linux does it for links (fs.protected_symlinks), where that is switched on: in a sticky folder that anybody
    may write to, only one's own, or what the folder's owner put there. Raises TtraceError."""
    is_shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
    own = {os.geteuid(), folder.st_uid}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdecimal():
        own.add(int(os.environ["SUDO_UID"]))
    if is_shared and status.st_uid not in own:
        kind = "is a link that" if stat.S_ISLNK(status.st_mode) else "is a file that"
        raise TtraceError(f"`{path}` {kind} another user put into a folder for everybody", hint=_another(option))
