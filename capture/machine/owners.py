"""Whose a socket is: the process that has it open, and its container, found in /proc within bounds.

Looking into other processes needs CAP_SYS_PTRACE, which a capture gives up once it stands: what was found before stays
known.
"""

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from .containers import short_id
from .netns import plain_text

_MOST_S: Final = 0.3
"""Of the processor, for one look: some 40,000 descriptors (measured: 7 us for each)."""
_MOST_KNOWN: Final = 20_000
_MOST_BYTES: Final = 4_096
_SOCKET: Final = "socket:["
_CONTAINER: Final = re.compile(r"[/-]([0-9a-f]{64})(?:\.scope)?(?:/|$)", re.MULTILINE)
"""In a cgroup's path: `/docker/ID`, `/system.slice/docker-ID.scope`, `cri-containerd-ID.scope`."""


class Owner(NamedTuple):
    """A process."""

    pid: int
    """As ttrace sees it."""
    process: str
    """Its name (`comm`)."""
    container: str | None
    """Name of its container, or the beginning of its id where nobody tells the name."""


class Owners:
    """Inodes of sockets to the process that has them open; of several the one with the lowest number."""

    def __init__(self, names: dict[str, str]) -> None:
        """`names`: of containers, by id."""
        self._names = names
        self._known: dict[int, Owner] = {}
        self._nobodys: set[int] = set()
        """Of which nothing was found, with the rights that there were."""

    def of(self, inode: int) -> Owner | None:
        """The owner of a socket, if it was found."""
        return self._known.get(inode)

    def look_for(self, inodes: Iterable[int]) -> bool:
        """Look for the owners of sockets that are not known; returns whether all processes were looked at that had to
        be, in the time that there is."""
        wanted = {inode for inode in inodes if inode and inode not in self._known and inode not in self._nobodys}
        if not wanted or len(self._known) + len(self._nobodys) > _MOST_KNOWN:
            return not wanted
        until_s = time.thread_time() + _MOST_S
        for pid in _processes():
            mine = wanted.intersection(_sockets(pid, until_s))
            if mine:
                self._known |= dict.fromkeys(mine, self._owner(pid))
                wanted -= mine
            if not wanted:
                return True
            if time.thread_time() > until_s:
                return False
        self._nobodys |= wanted
        return True

    def _owner(self, pid: int) -> Owner:
        found = _CONTAINER.search(_text(pid, "cgroup"))
        container = self._names.get(found[1], short_id(found[1])) if found else None
        return Owner(pid, _text(pid, "comm").strip(), container)


def _processes() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208 - twice as fast


def _sockets(pid: int, until_s: float) -> Iterator[int]:
    """Inodes of the sockets that a process has open; none where it is gone, or not for us to see."""
    with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as found:  # one may have a million open
        for one in found:
            if time.thread_time() > until_s:
                return
            with suppress(OSError):
                target = os.readlink(one.path)  # noqa: PTH115
                if target.startswith(_SOCKET):
                    yield int(target[len(_SOCKET) : -1])


def _text(pid: int, name: str) -> str:
    try:
        file = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return plain_text(os.read(file, _MOST_BYTES))
    except OSError:
        return ""
    finally:
        os.close(file)
