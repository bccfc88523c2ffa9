"""Rights of root, one by one (capabilities), and giving them up.

The kernel keeps them by thread. What the process gives up, its other threads give up when they next enter a namespace.

Sources: linux/capability.h, linux/prctl.h, man 7 capabilities.
"""

import ctypes
import os
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from .libc import LIBC

CAP_CHOWN: Final = 0
CAP_DAC_OVERRIDE: Final = 1
CAP_DAC_READ_SEARCH: Final = 2
CAP_FOWNER: Final = 3
CAP_SETPCAP: Final = 8
CAP_NET_ADMIN: Final = 12
CAP_NET_RAW: Final = 13
CAP_IPC_LOCK: Final = 14
CAP_SYS_PTRACE: Final = 19
CAP_SYS_ADMIN: Final = 21
CAP_SYS_RESOURCE: Final = 24
CAP_SYSLOG: Final = 34
CAP_PERFMON: Final = 38
CAP_BPF: Final = 39

_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_VERSION_3: Final = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two words of 32 bits for each set
_ALL_BITS: Final = 64


_process_keeps: frozenset[int] | None = None
_thread = threading.local()


class _Header(ctypes.Structure):
    """`struct __user_cap_header_struct`; process 0 is the calling thread."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    """`struct __user_cap_data_struct`."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def held_capabilities() -> int:
    """The effective set of the calling thread, a bit for each number."""
    status = Path("/proc/thread-self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)


def keep_in_process(kept: Collection[int]) -> None:
    """`keep_in_thread` for this thread and, by and by, all others of the process. For good. Raises OSError."""
    global _process_keeps
    keep_in_thread(kept)
    _process_keeps = _thread.keeps = frozenset(kept)


def follow_process() -> None:
    """Give up, in this thread, what the process has given up meanwhile."""
    if getattr(_thread, "keeps", None) != _process_keeps and _process_keeps is not None:
        with suppress(OSError):  # the process could, so this thread can
            keep_in_thread(_process_keeps)
        _thread.keeps = _process_keeps


def keep_in_thread(kept: Collection[int]) -> None:
    """The calling thread, and what it starts, has no rights but those `kept` of its own, and gets none by running a
    program that would give some (no_new_privs). For good. Raises OSError."""
    if LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    # Without CAP_SETPCAP this is refused; then no_new_privs alone has to do.
    for number in range(_ALL_BITS):
        if number not in kept:
            LIBC.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    if LIBC.capget(ctypes.byref(header), sets) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    for word in range(2):
        mask = sum(1 << number - 32 * word for number in kept if number // 32 == word)
        # What is no longer permitted leaves the ambient set by itself.
        sets[word].permitted &= mask
        sets[word].effective &= mask
        sets[word].inheritable &= mask
    if LIBC.capset(ctypes.byref(header), sets) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
