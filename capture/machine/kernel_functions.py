"""Which function of the kernel an address is in, by /proc/kallsyms (50 ms: its text is made anew for each reader)."""

import os
from bisect import bisect_right
from collections.abc import Collection
from contextlib import suppress
from typing import Final

_LIST: Final = "/proc/kallsyms"
_ADDRESS: Final = "%016x"
_TEXT: Final = frozenset(b"tTwW")
"""Types of symbols that are functions (man 1 nm)."""
_ALIASES: Final = 64
"""Symbols in front of an address that are none of functions, at most."""


class KernelFunctions:
    """Names of functions. Whether the kernel shows addresses is decided when the list is opened (CAP_SYSLOG): so it is
    opened before rights are given up, and read when there is something to name."""

    def __init__(self) -> None:
        self._list = -1
        with suppress(OSError):
            self._list = os.open(_LIST, os.O_RDONLY | os.O_CLOEXEC)
        self._names: dict[int, str] = {}

    def named(self, addresses: Collection[int]) -> dict[int, str]:
        """The function that each address is in; empty where that is not shown."""
        new = sorted(set(addresses) - self._names.keys())
        if new:
            self._names |= dict.fromkeys(new, "")
            with suppress(OSError):
                self._names |= functions_at(self._read(), new)
        return {address: self._names[address] for address in addresses}

    def close(self) -> None:
        """Give it back."""
        if self._list >= 0:
            os.close(self._list)
            self._list = -1

    def _read(self) -> bytes:
        if self._list < 0:
            return b""
        os.lseek(self._list, 0, os.SEEK_SET)
        with open(self._list, "rb", closefd=False) as file:
            return file.read()


def functions_at(listed: bytes, addresses: Collection[int]) -> dict[int, str]:
    """The functions that addresses are in, of what /proc/kallsyms says: `ffffffff81000000 T _stext` in each line. What
    it does not show is not there."""
    # Addresses have one length, so lines are in the order of their addresses; those of modules come behind, unsorted.
    lines = sorted(listed.splitlines())
    found = {}
    for address in addresses:
        at = bisect_right(lines, (_ADDRESS % address).encode() + b"~")
        for line in reversed(lines[max(at - _ALIASES, 0) : at]):
            value, kind, name = line.split()[:3]
            if kind[0] in _TEXT:
                if int(value, 16):
                    found[address] = name.decode(errors="replace")
                break
    return found
