"""When the kernel queued each netlink message, noted in the kernel: nobody has to be woken for the time to be right.

Netlink messages carry no time. Without these stamps the time of a message is that of its receipt, so that the capture
must be woken for each, which costs more than 100 packets. A filter on the socket, in BPF, lets every message pass and
puts the time into a ring buffer, in the same order. Where the kernel cannot do that (before Linux 5.8, or without
CAP_BPF), messages wake us.

Sources: linux/bpf.h, Documentation/bpf/ringbuf.rst.
"""

import mmap
import os
import socket
from collections.abc import Iterable
from typing import Final

from ..machine.ebpf import (
    ADD_IMMEDIATE,
    CALL,
    EXIT,
    FUNC_KTIME_GET_NS,
    FUNC_RINGBUF_OUTPUT,
    FUNC_RINGBUF_QUERY,
    JUMP,
    JUMP_IF_EQUAL,
    JUMP_IF_GREATER,
    LOAD_32,
    LOAD_PACKET_16,
    MOVE,
    MOVE_IMMEDIATE,
    PROG_TYPE_SOCKET_FILTER,
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R7,
    R10,
    RB_AVAIL_DATA,
    RB_FORCE_WAKEUP,
    RB_NO_WAKEUP,
    STORE_64,
    create_ring_buffer,
    instruction,
    load_map,
    load_program,
)
from .arena import Arena
from .buffers import STAMP_BYTES
from .numbers import SO_ATTACH_BPF

HEADER_BYTES: Final = 2 * mmap.PAGESIZE
"""In front of the stamps: a page that begins with how far we have read, one with how far the kernel has written."""

_TIME_BYTES: Final = 8
_TYPE: Final = 4
"""Bytes in front of nlmsg_type in a message (linux/netlink.h)."""
_LENGTH: Final = 0
"""Bytes in front of `len` in struct __sk_buff (linux/bpf.h)."""
_SMALLEST_MESSAGE_BYTES: Final = 512
"""Of the socket's buffer: one that is queued takes more."""
_LARGE_MESSAGE_BYTES: Final = 1280
"""What a trace message takes of it."""


class Stamps:
    """The ring buffer of one socket."""

    def __init__(self, arena: Arena, listener: socket.socket, *, buffer_mib: int, wakes: Iterable[int]) -> None:
        """Have every message that comes to `listener` from now on stamped, those of the types `wakes` with a wake-up.

        Raises OSError where that is impossible.
        """
        self.length_bytes = ring_bytes(buffer_mib)
        # We are woken when an eighth of the socket's buffer may be full.
        limit = (buffer_mib << 20) // 8 // _LARGE_MESSAGE_BYTES * STAMP_BYTES
        self.fd = create_ring_buffer(self.length_bytes)
        try:
            program = load_program(PROG_TYPE_SOCKET_FILTER, _program(self.fd, limit, list(wakes)))
            try:
                listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, program)
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


def _program(fd: int, limit: int, wakes: list[int]) -> list[bytes]:
    """The filter: `limit` is how many bytes of stamps may wait before somebody is woken."""
    return [
        instruction(MOVE, to=R6, source=R1),  # the message
        instruction(CALL, value=FUNC_KTIME_GET_NS),
        instruction(STORE_64, to=R10, source=R0, offset=-_TIME_BYTES),  # on the stack
        *load_map(R1, fd),
        instruction(MOVE_IMMEDIATE, to=R2, value=RB_AVAIL_DATA),
        instruction(CALL, value=FUNC_RINGBUF_QUERY),
        *_choose_wake_up(limit, wakes),
        *load_map(R1, fd),
        instruction(MOVE, to=R2, source=R10),
        instruction(ADD_IMMEDIATE, to=R2, value=-_TIME_BYTES),  # where the time is
        instruction(MOVE_IMMEDIATE, to=R3, value=_TIME_BYTES),
        instruction(MOVE, to=R4, source=R7),
        instruction(CALL, value=FUNC_RINGBUF_OUTPUT),
        instruction(LOAD_32, to=R0, source=R6, offset=_LENGTH),  # so much of it passes: all
        instruction(EXIT),
    ]


def _choose_wake_up(limit: int, wakes: list[int]) -> list[bytes]:
    """R7 is to wake somebody if R0, how many bytes wait, is above the limit, or for messages of these types."""
    kinds = [int.from_bytes(kind.to_bytes(2, "little"), "big") for kind in wakes]
    return [
        instruction(MOVE_IMMEDIATE, to=R7, value=RB_NO_WAKEUP),
        instruction(JUMP_IF_GREATER, to=R0, offset=len(kinds) + 2, value=limit),
        instruction(LOAD_PACKET_16, value=_TYPE),
        # From each to the last instruction.
        *(instruction(JUMP_IF_EQUAL, to=R0, offset=len(kinds) - at, value=kind) for at, kind in enumerate(kinds)),
        instruction(JUMP, offset=1),  # past it
        instruction(MOVE_IMMEDIATE, to=R7, value=RB_FORCE_WAKEUP),
    ]
