"""When the kernel queued each netlink message, noted in the kernel: nobody has to be woken for the time to be right.

Netlink messages carry no time. Without these stamps the time of a message is that of its receipt, so that the capture
must be woken for each, which costs more than 100 packets. A filter on the socket, in BPF, lets every message pass and
puts the time into a ring buffer, in the same order. Where the kernel cannot do that (before Linux 5.8, or without
CAP_BPF), messages wake us.

Sources: linux/bpf.h, Documentation/bpf/ringbuf.rst.
"""

import ctypes
import mmap
import os
import platform
import socket
import struct
from typing import Final

from ..machine.libc import LIBC
from .arena import Arena

STAMP_BYTES: Final = 16
"""Of one stamp in the ring buffer: a header of 8 bytes, then nanoseconds of CLOCK_MONOTONIC."""
HEADER_BYTES: Final = 2 * mmap.PAGESIZE
"""In front of the stamps: a page that begins with how far we have read, one with how far the kernel has written."""

_CALL_NUMBER: Final = {"x86_64": 321, "aarch64": 280}
_SO_ATTACH_BPF: Final = 50
_MAP_CREATE, _PROGRAM_LOAD = 0, 5
_RING_BUFFER_MAP, _SOCKET_FILTER = 27, 1
_KTIME_GET_NS, _RINGBUF_OUTPUT, _RINGBUF_QUERY = 5, 130, 134
_AVAILABLE_DATA: Final = 0
_NO_WAKE_UP, _WAKE_UP = 1, 2
_SMALLEST_MESSAGE_BYTES: Final = 512
"""Of the socket's buffer: one that is queued takes more."""
_LARGE_MESSAGE_BYTES: Final = 1280
"""What a trace message takes of it."""
_NEW_GENERATION: Final = 0x0A0F
"""A ruleset has changed: Python takes a snapshot soon after."""


class Stamps:
    """The ring buffer of one socket."""

    def __init__(self, arena: Arena, listener: socket.socket, *, buffer_mib: int) -> None:
        """Have every message that comes to `listener` from now on stamped. Raises OSError where that is impossible."""
        self.length_bytes = ring_bytes(buffer_mib)
        # We are woken when an eighth of the socket's buffer may be full.
        limit = (buffer_mib << 20) // 8 // _LARGE_MESSAGE_BYTES * STAMP_BYTES
        self.fd = _bpf(_MAP_CREATE, struct.pack("=IIII", _RING_BUFFER_MAP, 0, 0, self.length_bytes))
        try:
            program = _load(_program(self.fd, limit))
            try:
                listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_BPF, program)
            finally:
                os.close(program)
            self.offset = arena.map_ring_buffer(self.fd, HEADER_BYTES, 2 * self.length_bytes)
        except OSError:
            os.close(self.fd)
            raise

    def close(self) -> None:
        """Close the ring buffer; it lives on in the arena and with the socket."""
        os.close(self.fd)


def ring_bytes(buffer_mib: int) -> int:
    """Size of the ring buffer, a power of two, for all the messages that a socket's buffer can hold."""
    return 1 << ((buffer_mib << 20) // _SMALLEST_MESSAGE_BYTES * STAMP_BYTES - 1).bit_length()


def _program(fd: int, limit: int) -> list[bytes]:
    """The filter: `limit` is how many bytes of stamps may wait before somebody is woken."""
    swapped = int.from_bytes(_NEW_GENERATION.to_bytes(2, "little"), "big")
    load_map = [_instruction(0x18, 1, 1, 0, fd), _instruction(0, 0, 0, 0, 0)]
    return [
        _instruction(0xBF, 6, 1, 0, 0),  # r6 = the message
        _instruction(0x85, 0, 0, 0, _KTIME_GET_NS),
        _instruction(0x7B, 10, 0, -8, 0),  # the time, on the stack
        *load_map,
        _instruction(0xB7, 2, 0, 0, _AVAILABLE_DATA),
        _instruction(0x85, 0, 0, 0, _RINGBUF_QUERY),
        _instruction(0xB7, 7, 0, 0, _NO_WAKE_UP),
        _instruction(0x25, 0, 0, 2, limit),  # more than the limit wait: to _WAKE_UP
        _instruction(0x28, 0, 0, 0, 4),  # nlmsg_type, as if it were big-endian
        _instruction(0x55, 0, 0, 1, swapped),  # another type: past _WAKE_UP
        _instruction(0xB7, 7, 0, 0, _WAKE_UP),
        *load_map,
        _instruction(0xBF, 2, 10, 0, 0),
        _instruction(0x07, 2, 0, 0, -8),  # r2 = where the time is
        _instruction(0xB7, 3, 0, 0, 8),
        _instruction(0xBF, 4, 7, 0, 0),
        _instruction(0x85, 0, 0, 0, _RINGBUF_OUTPUT),
        _instruction(0x61, 0, 6, 0, 0),  # return its length: let all of it pass
        _instruction(0x95, 0, 0, 0, 0),
    ]


def _instruction(code: int, target: int, source: int, offset: int, value: int) -> bytes:
    """struct bpf_insn, of little-endian machines."""
    return struct.pack("<BBhi", code, target | source << 4, offset, value)


def _load(program: list[bytes]) -> int:
    """Have the kernel verify the program; returns its descriptor."""
    code = ctypes.create_string_buffer(b"".join(program))
    license_name = ctypes.create_string_buffer(b"GPL")
    addresses = ctypes.addressof(code), ctypes.addressof(license_name)
    return _bpf(_PROGRAM_LOAD, struct.pack("=IIQQ", _SOCKET_FILTER, len(program), *addresses))


def _bpf(command: int, attributes: bytes) -> int:
    """The system call of that name; returns a descriptor. Raises OSError."""
    number = _CALL_NUMBER.get(platform.machine())
    if number is None:
        raise OSError(os.strerror(38))
    # union bpf_attr: the kernel wants zeros behind what it knows.
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = LIBC.syscall(ctypes.c_long(number), command, buffer, len(buffer))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)
