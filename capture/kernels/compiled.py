"""How the kernels of the loop are compiled: without counting references, and the small ones always into their callers.

Arrays are passed in tuples, and numba would count each of them as in use, with atomic operations, in every call: that
costs more than all else that is done for a packet. Nothing is allocated in these kernels, so nothing has to be counted
(`_nrt`); whoever calls them from Python keeps the arrays. Divisors are numbers of blocks, never 0, so no division is
checked (`error_model`).
"""

from typing import Any, Final

from ...kernels.njit import njit

_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "error_model": "numpy", "_nrt": False}

kernel_njit = njit(cache=True, **_OPTIONS)
"""For what is called from Python, or seldom."""
inlined_njit = njit(cache=True, forceinline=True, **_OPTIONS)
"""For the parts of others that are called for each packet or message."""
