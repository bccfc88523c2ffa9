"""The kernels that were compiled ahead, as a shared object beside the package (`ahead/` makes it): found, and loaded.

An object is named by its machine and by the sources that it was made of (`kernels/folders.py`), so one of other sources
is never loaded. In an archive (the agent) sources cannot be asked, and object and sources were packed together.
"""

import ctypes
import mmap
import os
import platform
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ...kernels.elf import is_whole
from ...kernels.folders import CAPTURE, fingerprint_of
from ...kernels.kept_files import SOURCES, owners
from ...kernels.trust import is_trusted_file
from ..kernels.columns import ENTRY_NUMBERS
from .entries import Entry, Kernels

FOLDER: Final = SOURCES / "capture" / "objects"
PREFIX: Final = "ttrace_"
"""Of the functions' names in the object."""
_MFD_NOEXEC_SEAL: Final = 8  # linux/memfd.h; since Linux 6.3, and asked for where vm.memfd_noexec is 2


def object_name(machine: str, fingerprint: str = "") -> str:
    """The file's name. `machine`: as `platform.machine` has it; `fingerprint`: of its sources, none in an archive."""
    return f"capture-{machine}{'-' if fingerprint else ''}{fingerprint}.so"


def load_ahead() -> Kernels | None:
    """The kernels of the object that fits this machine and these sources; None where there is none."""
    loader = __spec__.loader if __spec__ else None
    try:
        library = _from_archive(loader) if hasattr(loader, "archive") else _from_folder()
        if library is None:
            return None
        return Kernels({name: _entry(library, name, count) for name, count in ENTRY_NUMBERS.items()})
    except (OSError, AttributeError):  # what cannot be loaded, or has not all functions, is as if it were not there
        return None


def _from_folder() -> ctypes.CDLL | None:
    path = FOLDER / object_name(platform.machine(), fingerprint_of(CAPTURE))
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
        if not is_trusted_file(os.fstat(file.fileno()), owners()) or not is_whole(file):
            return None
        return ctypes.CDLL(f"/proc/self/fd/{file.fileno()}")


def _from_archive(loader: Any) -> ctypes.CDLL:  # noqa: ANN401 - a zipimporter
    """Out of a zip file, through memory: nothing is written to a disk. Raises OSError where there is none."""
    content: bytes = loader.get_data(str(FOLDER / object_name(platform.machine())))
    descriptor = _memory_file()
    try:
        os.truncate(descriptor, len(content))
        with mmap.mmap(descriptor, len(content)) as memory:
            memory[:] = content
        return ctypes.CDLL(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _memory_file() -> int:
    try:
        return os.memfd_create("ttrace-capture", os.MFD_CLOEXEC | _MFD_NOEXEC_SEAL)
    except OSError:  # an older kernel does not know the flag
        return os.memfd_create("ttrace-capture", os.MFD_CLOEXEC)


def _entry(library: ctypes.CDLL, name: str, count: int) -> Entry:
    """A function of the object: `int32 f(int64 *result, void **exception, int64...)`, numba's own way of calling."""
    function = library[PREFIX + name]
    function.restype = ctypes.c_int32
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * count)
    return partial(_call, function, count)


def _call(function: Callable[..., Any], count: int, *numbers: int) -> int:
    if len(numbers) != count:
        raise TypeError(f"takes {count} numbers, not {len(numbers)}")
    result, exception = ctypes.c_int64(), ctypes.c_void_p()
    status = function(ctypes.addressof(result), ctypes.addressof(exception), *numbers)
    if status:
        raise RuntimeError(f"a kernel of the capture failed ({status})")
    return result.value
