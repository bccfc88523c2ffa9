"""What the kernel says of its tracepoints: the number of each, and how its records are laid out.

It says so in tracefs, which is not mounted everywhere. Then it is mounted for us alone, at no place of the tree.

Sources: Documentation/trace/events.rst, Documentation/filesystems/mount_api.rst.
"""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final

from .libc import LIBC

_MOUNTED: Final = "/sys/kernel/tracing"
_BELOW_DEBUGFS: Final = "/sys/kernel/debug/tracing"
"""The last to be asked: to look there mounts it."""
_MOST_BYTES: Final = 1 << 18

# The same numbers on every machine (asm-generic/unistd.h), and linux/mount.h.
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_CLOSE_ON_EXEC: Final = 1  # FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC
_CMD_CREATE: Final = 6  # FSCONFIG_CMD_CREATE
_READ_ONLY_AND_PLAIN: Final = 0xF  # MOUNT_ATTR_RDONLY, _NOSUID, _NODEV, _NOEXEC

_FIELD: Final = re.compile(r"^\tfield:[^;]*?(\w+)(?:\[\w*\])?;\toffset:(\d+);\tsize:(\d+);", re.MULTILINE)
_SYMBOL: Final = re.compile(r'\{ (\d+|0x[0-9a-fA-F]+), "(\w+)" \}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracepoint:
    """One tracepoint of the running kernel."""

    id: int
    """Its number, for perf_event_open."""
    fields: dict[str, tuple[int, int]]
    """(offset, size) of each field of its record, in bytes."""
    symbols: dict[int, str]
    """Number to name, of what it prints by name."""


def read_tracepoint(group: str, name: str) -> Tracepoint:
    """Look one up. Raises OSError where there is no tracefs, or none such in it; ValueError where what it says cannot
    be read."""
    failure: OSError | None = None
    for folder in _folders():
        with closing(folder):
            try:
                number, text = (_read(folder.fd, f"events/{group}/{name}/{what}") for what in ("id", "format"))
            except OSError as error:
                failure = failure or error
                continue
            return parse_tracepoint(number, text)
    if failure is None:
        raise FileNotFoundError("no tracefs")
    raise OSError(failure.errno, f"the tracepoint {group}:{name} cannot be looked up: {failure.strerror}") from failure


def parse_tracepoint(number: str, text: str) -> Tracepoint:
    """The same of what its files `id` and `format` say. Raises ValueError."""
    fields = {name: (int(offset), int(size)) for name, offset, size in _FIELD.findall(text)}
    symbols = {int(value, 0): word for value, word in _SYMBOL.findall(text)}
    return Tracepoint(id=int(number), fields=fields, symbols=symbols)


class _Folder:
    """An open folder."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        os.close(self.fd)


def _folders() -> Iterator[_Folder]:
    """Where tracefs may be, each opened when the ones before it did not do."""
    for path in (_MOUNTED, None, _BELOW_DEBUGFS):
        with suppress(OSError):
            yield _Folder(os.open(path, os.O_PATH | os.O_DIRECTORY) if path else _mount())


def _mount() -> int:
    """A mount at no place, as a descriptor: it is gone when that is closed. Raises OSError."""
    context = _call(_FSOPEN, b"tracefs", _CLOSE_ON_EXEC)
    try:
        _call(_FSCONFIG, context, _CMD_CREATE, None, None, 0)
        return _call(_FSMOUNT, context, _CLOSE_ON_EXEC, _READ_ONLY_AND_PLAIN)
    finally:
        os.close(context)


def _call(number: int, *arguments: object) -> int:
    result = int(LIBC.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _read(folder: int, path: str) -> str:
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder), "rb") as file:  # noqa: PTH123
        return file.read(_MOST_BYTES).decode(errors="replace")
