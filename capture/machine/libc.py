"""The few calls of the C library that Python 3.11 has no name for: setns, mmap at a fixed address."""

import ctypes
import os
from typing import Final

LIBC: Final = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
LIBC.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]

# <sched.h>, <sys/mman.h>
CLONE_NEWNET: Final = 0x40000000
PROT_NONE: Final = 0
PROT_READ: Final = 1
PROT_READ_WRITE: Final = 3
MAP_SHARED: Final = 1
MAP_PRIVATE: Final = 2
MAP_FIXED: Final = 0x10
MAP_ANONYMOUS: Final = 0x20
MAP_NORESERVE: Final = 0x4000
_MAP_FAILED: Final = ctypes.c_void_p(-1).value


class IoVector(ctypes.Structure):
    """`struct iovec` (<sys/uio.h>)."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class MessageHeader(ctypes.Structure):
    """`struct msghdr` (<sys/socket.h>)."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(IoVector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class DatagramHeader(ctypes.Structure):
    """`struct mmsghdr` (<sys/socket.h>): one datagram of a recvmmsg call, and its length."""

    _fields_ = (("header", MessageHeader), ("length", ctypes.c_uint32))


def _check(result: int) -> int:
    """Raise the OSError that errno names if `result` is -1."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def setns(namespace_fd: int) -> None:
    """Move the calling thread into the network namespace behind `namespace_fd`; raises OSError."""
    _check(LIBC.setns(namespace_fd, CLONE_NEWNET))


def unshare_network() -> None:
    """Move the calling thread into a new, empty network namespace; raises OSError."""
    _check(LIBC.unshare(CLONE_NEWNET))


def mmap(address: int | None, length_bytes: int, protection: int, flags: int, fd: int = -1, offset: int = 0) -> int:
    """Map memory and return its address; raises OSError."""
    result = LIBC.mmap(address, length_bytes, protection, flags, fd, offset)
    if result == _MAP_FAILED:
        _check(-1)
    return int(result)


def munmap(address: int, length_bytes: int) -> None:
    """Unmap memory; raises OSError."""
    _check(LIBC.munmap(address, length_bytes))
