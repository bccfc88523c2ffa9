"""Which pages of a mapped file are in the address space: fetched in time, given back behind the reader.

Compiled code would take a page fault for every few of them; the kernel maps a range at once (madvise(2),
MADV_POPULATE_READ, Linux 5.14). Both are hints: where they fail the pages come one by one, as ever.
"""

import ctypes
import mmap
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

WINDOW: Final = 4 << 20
"""Bytes that are mapped at a time."""
_PAGE: Final = mmap.PAGESIZE
_DONTNEED: Final = 4
_POPULATE_READ: Final = 22
"""Linux, uapi/asm-generic/mman-common.h; the mmap module does not name it."""


@cache
def _madvise() -> Any:  # noqa: ANN401 - a foreign function
    """madvise(2) by ctypes, which lets other threads run meanwhile; mmap.madvise does not."""
    function = ctypes.CDLL(None).madvise
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function


def fetch(data: npt.NDArray[np.uint8], start: int, end: int) -> None:
    """Map data[start:end] of a file mapping."""
    _advise(data, start // _PAGE * _PAGE, min(end, data.size), _POPULATE_READ)


def give_back(data: npt.NDArray[np.uint8], start: int, end: int) -> None:
    """Unmap the whole pages in data[start:end]. Only of a file mapping: what is not in a file would be lost."""
    _advise(data, -(-start // _PAGE) * _PAGE, end // _PAGE * _PAGE, _DONTNEED)


def _advise(data: npt.NDArray[np.uint8], start: int, end: int, advice: int) -> None:
    if end > start and data.ctypes.data % _PAGE == 0:
        _madvise()(data.ctypes.data + start, end - start, advice)
