"""Has the kernels of the loop ready: those that were compiled ahead, else compiled here, which takes seconds once."""

import ctypes
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.util import find_spec

from ...errors import TtraceError
from ...kernels.folders import CAPTURE, kernel_folders
from ..kernels import columns
from .ahead import load_ahead
from .entries import Kernels
from .loop_memory import LoopMemory

Say = Callable[[str], None]
"""Called with a line for whoever waits."""
_COMPILING_S = 15


@cache
def ahead() -> Kernels | None:
    """The kernels that were compiled ahead, if they fit."""
    return load_ahead()


def are_ready() -> bool:
    """Whether the kernels are loaded in no time, or at least need not be compiled."""
    if ahead() is not None:
        return True
    with suppress(OSError):  # in an archive there are no sources to ask for
        return kernel_folders().are_complete(CAPTURE)
    return False


def kernels() -> Kernels:
    """The kernels: compiled ahead, or by numba, which takes a third of a second where it has kept them."""
    return ahead() or compiled_here()


def compile_kernels(say: Say) -> None:
    """Compile them now, and keep them where that is possible. `say` is told of it, and how long it takes.

    Raises TtraceError where there is nothing to compile them with.
    """
    machine = platform.machine()
    if _is_archive() or find_spec("numba") is None:
        raise TtraceError(
            f"nothing compiled ahead fits this machine ({machine}), and there is no compiler for it here",
            "install ttrace on it with pip: `pip install ttrace-net`",
        )
    folders = kernel_folders()
    say(
        f"nothing compiled ahead fits this machine ({machine}) and these sources: the capture's kernels are compiled "
        f"now, about {_COMPILING_S} s, {'once' if folders.own else 'and at each start: nothing can be kept'}"
    )
    began = time.monotonic()
    compiled_here()
    folders.mark_complete(CAPTURE)
    say(f"compiled in {time.monotonic() - began:.1f} s")


@cache
def compiled_here() -> Kernels:
    """Compiled by numba, or loaded from where it keeps them."""
    from ..kernels.entry import ENTRIES

    found = Kernels(ENTRIES)
    _run_on_nothing(found)
    return found


def _is_archive() -> bool:
    """Whether this is the agent, which has no kernels to compile."""
    return hasattr(__spec__.loader if __spec__ else None, "archive")


def _run_on_nothing(found: Kernels) -> None:
    """Numba compiles a kernel, or loads it, when it is first called."""
    arena = (ctypes.c_uint64 * 8)()
    nothing = LoopMemory(ctypes.addressof(arena), ctypes.sizeof(arena), inboxes=1)
    nothing.given[columns.GIVEN_PACKET_LIMIT] = 0
    nothing.inboxes[0][columns.INBOX_DESCRIPTOR] = columns.NO_SOCKET
    found.is_urgent(nothing, 0)
    found.settled_until(nothing, 0)
    found.receive_all(nothing)
    found.count_waiting(nothing, 0)
    found.write_until(nothing, 0, 1)
    found.end_batch(nothing)
    found.record(nothing, 0, 0)
