"""Rights of root, one by one (capabilities), and giving them up.

Sources: linux/capability.h, linux/prctl.h, man 7 capabilities.
"""

import ctypes
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from .libc import LIBC

CAP_CHOWN: Final = 0
CAP_DAC_OVERRIDE: Final = 1
CAP_NET_ADMIN: Final = 12
CAP_NET_RAW: Final = 13
CAP_SYS_PTRACE: Final = 19
CAP_SYS_ADMIN: Final = 21

_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_VERSION_3: Final = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two words of 32 bits for each set
_ALL_BITS: Final = 64


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
