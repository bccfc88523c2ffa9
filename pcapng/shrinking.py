"""Files that become shorter while they are mapped: what is read behind their end then is zeros, and an error follows.

The kernel answers such a read with SIGBUS, which ends a process without a word. Here the rest of the mapping is
replaced by zeros, which any reader of any bytes can deal with, and the read goes on; who has read asks
`refuse_shorter`. Only programs ask for that (`tell_of_shrinking`): a library leaves signals alone.
"""

import ctypes
import mmap
import os
import signal
import weakref
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import TtraceError

_PAGE: Final = mmap.PAGESIZE
_PROT_READ, _MAP_PRIVATE, _MAP_FIXED, _MAP_ANONYMOUS = 0x1, 0x2, 0x10, 0x20
_SA_SIGINFO: Final = 4
_ADDRESS_AT: Final = 16
"""Offset of si_addr in siginfo_t, where pointers have 64 bits."""


class _Mapping:
    """A file that is mapped."""

    def __init__(self, data: npt.NDArray[np.uint8], name: str, memory: mmap.mmap) -> None:
        self.start = data.ctypes.data
        self.end = self.start + -(-data.size // _PAGE) * _PAGE
        self.name = name
        self.alive = weakref.ref(memory)


class _Action(ctypes.Structure):
    """struct sigaction of glibc and musl."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ubyte * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


_mapped: list[_Mapping] = []
_shorter: list[str] = []
"""Names of files that became so."""
_kept: list[Any] = []
"""The compiled handler, which nothing else holds."""


def map_file(descriptor: int, name: str) -> npt.NDArray[np.uint8]:
    """The bytes of a file, mapped read-only. `name`: for messages."""
    memory = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    data = np.frombuffer(memory, dtype=np.uint8)
    _mapped[:] = [one for one in _mapped if one.alive()]
    _mapped.append(_Mapping(data, name, memory))
    return data


def tell_of_shrinking() -> None:
    """From now on `refuse_shorter` knows of it when a mapped file was found to be shorter than it was. To be called in
    the main thread."""
    if _kept or os.uname().machine not in ("x86_64", "aarch64") or ctypes.sizeof(ctypes.c_void_p) != 8:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)

    def replace(number: int, information: int, _context: int) -> None:
        # The fault is at a load from the mapping, so no lock of Python or malloc is half taken.
        at = ctypes.c_uint64.from_address(information + _ADDRESS_AT).value
        found = [one for one in _mapped if one.start <= at < one.end and one.alive()]
        begin = at // _PAGE * _PAGE
        size = found[0].end - begin if found else 0
        flags = _MAP_PRIVATE | _MAP_FIXED | _MAP_ANONYMOUS
        if not found or libc.mmap(begin, size, _PROT_READ, flags, -1, 0) != begin:
            signal.signal(number, signal.SIG_DFL)  # the read is done again, and ends the process
            return
        _shorter.append(found[0].name)

    compiled = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(replace)
    _kept.append(compiled)
    action = _Action(handler=ctypes.cast(compiled, ctypes.c_void_p), flags=_SA_SIGINFO)
    libc.sigaction(int(signal.SIGBUS), ctypes.byref(action), None)


def refuse_shorter() -> None:
    """Raises TtraceError when a file became shorter than it was while it was read."""
    if _shorter:
        raise TtraceError(
            f"`{_shorter[0]}` became shorter while it was read",
            "somebody writes it anew or cuts it; read a copy, or wait until that is done",
        )
