"""Bytes that end where readable memory ends: compiled code that reads one byte beyond them ends the process."""

import ctypes
import mmap

import numpy as np
import numpy.typing as npt

_PROT_NONE = 0


def guarded(data: bytes) -> npt.NDArray[np.uint8]:
    """The bytes, read-only, with a page behind them that nobody may touch."""
    page = mmap.PAGESIZE
    room = -(-max(len(data), 1) // page) * page
    memory = mmap.mmap(-1, room + page)
    memory[room - len(data) : room] = data
    whole = np.frombuffer(memory, np.uint8)
    if ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(whole.ctypes.data + room), page, _PROT_NONE):
        raise OSError(ctypes.get_errno(), "mprotect")
    found = whole[room - len(data) : room]
    found.flags.writeable = False
    return found
