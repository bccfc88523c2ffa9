"""System calls for compiled code, which calls the C library directly: the loop must not return to Python for each.

Pointers are passed as integers. What fails returns -1, and `error_number` says why.
"""

import platform
from typing import Any, Final

import numpy as np
from numba import types

from ...kernels.njit import njit
from .sources import CLOCK_NANOSECONDS, CLOCK_SECONDS, Integer, State

_int, _pointer = types.int32, types.intp

epoll_wait: Final[Any] = types.ExternalFunction("epoll_wait", _int(_int, _pointer, _int, _int))
recvmmsg: Final[Any] = types.ExternalFunction("recvmmsg", _int(_int, _pointer, types.uint32, _int, _pointer))
writev: Final[Any] = types.ExternalFunction("writev", types.intp(_int, _pointer, _int))
memcpy: Final[Any] = types.ExternalFunction("memcpy", _pointer(_pointer, _pointer, types.uintp))
_clock_gettime: Final[Any] = types.ExternalFunction("clock_gettime", _int(_int, _pointer))
_errno_location: Final[Any] = types.ExternalFunction("__errno_location", types.CPointer(_int)())  # type: ignore[no-untyped-call]

# <time.h>
CLOCK_REALTIME: Final = 0
CLOCK_MONOTONIC: Final = 1

EVENT_WORDS: Final = 3 if platform.machine() == "x86_64" else 4
"""Size of struct epoll_event in 32-bit words: packed on x86-64 only (<sys/epoll.h>)."""
EVENT_DATA: Final = EVENT_WORDS - 2
"""Where its data begins; Python puts the file descriptor there."""


@njit(cache=True, nogil=True)
def error_number() -> Integer:
    """The errno of the call that just failed."""
    return np.int64(_errno_location()[0])


@njit(cache=True, nogil=True)
def clock_ns(clock: Integer, progress: State) -> Integer:
    """The time of `clock` in nanoseconds; `progress` has room for the kernel's answer."""
    _clock_gettime(clock, progress.ctypes.data + 8 * CLOCK_SECONDS)
    return np.int64(progress[CLOCK_SECONDS]) * 1_000_000_000 + np.int64(progress[CLOCK_NANOSECONDS])
