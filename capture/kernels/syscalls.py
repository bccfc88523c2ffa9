"""System calls for compiled code, which calls the C library directly: the loop must not return to Python for each.

Pointers are passed as integers. What fails returns -1, and `error_number` says why.
"""

from typing import Any, Final

import numpy as np
from numba import types

from .columns import CLOCK_NANOSECONDS, CLOCK_SECONDS
from .compiled import inlined_njit
from .intake import Integer, Integers
from .layouts import NANOSECONDS

_int, _pointer = types.int32, types.intp

epoll_wait: Final[Any] = types.ExternalFunction("epoll_wait", _int(_int, _pointer, _int, _int))
recvmmsg: Final[Any] = types.ExternalFunction("recvmmsg", _int(_int, _pointer, types.uint32, _int, _pointer))
usleep: Final[Any] = types.ExternalFunction("usleep", _int(types.uint32))
writev: Final[Any] = types.ExternalFunction("writev", types.intp(_int, _pointer, _int))
memcpy: Final[Any] = types.ExternalFunction("memcpy", _pointer(_pointer, _pointer, types.uintp))
_clock_gettime: Final[Any] = types.ExternalFunction("clock_gettime", _int(_int, _pointer))
_errno_location: Final[Any] = types.ExternalFunction("__errno_location", types.CPointer(_int)())  # type: ignore[no-untyped-call]

# <time.h>
CLOCK_REALTIME: Final = 0
CLOCK_MONOTONIC: Final = 1


@inlined_njit
def error_number() -> Integer:
    """The errno of the call that just failed."""
    return np.int64(_errno_location()[0])


@inlined_njit
def clock_ns(clock: Integer, progress: Integers) -> Integer:
    """The time of `clock` in nanoseconds; `progress` has room for the kernel's answer."""
    _clock_gettime(clock, progress.ctypes.data + 8 * CLOCK_SECONDS)
    return np.int64(progress[CLOCK_SECONDS]) * NANOSECONDS + np.int64(progress[CLOCK_NANOSECONDS])
