"""Memory that was freed: the C library hands large pieces back to the kernel at once, which clears them when they are
asked for again. Of a correlation that is a tenth of the time, and more on virtual machines."""

import ctypes
from contextlib import suppress
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""malloc.h of glibc."""
_KEPT: Final = (1 << 30, (1 << 31) - 1)
_RETURNED: Final = (32 << 20, 64 << 20)
"""(Bytes from which on a piece is the kernel's, bytes at the end of the heap that may be unused); the latter are what
glibc comes to by itself (mallopt(3))."""


def keep_freed() -> None:
    """What is freed stays with this process, for what it asks for next: the most that it needs at a time it has anyway.
    For a process of our own, which ends soon."""
    _set(*_KEPT)


def return_freed() -> None:
    """Again as usual: for one of several processes, of which each needs the most at another time."""
    _set(*_RETURNED)


def _set(mmap_threshold: int, trim_threshold: int) -> None:
    with suppress(AttributeError, OSError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, mmap_threshold)
        mallopt(_M_TRIM_THRESHOLD, trim_threshold)
