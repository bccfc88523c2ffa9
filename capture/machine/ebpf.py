"""Programs and maps of the kernel's BPF, by the bare system call: instructions are put together here, no compiler.

Sources: linux/bpf.h, linux/bpf_common.h. Opcodes are those of 64-bit arithmetic, where there are two.
"""

import ctypes
import errno
import os
import platform
import struct
from typing import Final

from .libc import LIBC

_CALL_NUMBER: Final = {"x86_64": 321, "aarch64": 280}  # __NR_bpf (asm/unistd_64.h, asm-generic/unistd.h)
_ATTRIBUTE_BYTES: Final = 128
"""Of union bpf_attr: the kernel wants zeros behind what it knows."""

# enum bpf_cmd, bpf_map_type, bpf_prog_type
_MAP_CREATE: Final = 0
_MAP_UPDATE_ELEMENT: Final = 2
_PROG_LOAD: Final = 5
_RAW_TRACEPOINT_OPEN: Final = 17
_MAP_FREEZE: Final = 22
MAP_TYPE_HASH: Final = 1
MAP_TYPE_ARRAY: Final = 2
MAP_TYPE_RINGBUF: Final = 27
PROG_TYPE_SOCKET_FILTER: Final = 1
PROG_TYPE_RAW_TRACEPOINT: Final = 17

# Flags of a map
MAP_READ_ONLY_FOR_PROGRAMS: Final = 1 << 7  # BPF_F_RDONLY_PROG
MAP_CAN_BE_MAPPED: Final = 1 << 10  # BPF_F_MMAPABLE

# enum bpf_func_id, and flags of the functions
FUNC_MAP_LOOKUP_ELEMENT: Final = 1
FUNC_KTIME_GET_NS: Final = 5
FUNC_PROBE_READ_KERNEL: Final = 113
FUNC_RINGBUF_OUTPUT: Final = 130
FUNC_RINGBUF_RESERVE: Final = 131
FUNC_RINGBUF_SUBMIT: Final = 132
FUNC_RINGBUF_QUERY: Final = 134
FUNC_SNPRINTF: Final = 165
RB_AVAIL_DATA: Final = 0
RB_NO_WAKEUP: Final = 1
RB_FORCE_WAKEUP: Final = 2

# Opcodes
LOAD_IMMEDIATE_64: Final = 0x18  # BPF_LD | BPF_IMM | BPF_DW, of two instructions
LOAD_PACKET_16: Final = 0x28  # BPF_LD | BPF_ABS | BPF_H: into R0, as if it were big-endian
LOAD_32: Final = 0x61  # BPF_LDX | BPF_MEM | BPF_W
LOAD_16: Final = 0x69  # BPF_LDX | BPF_MEM | BPF_H
LOAD_64: Final = 0x79  # BPF_LDX | BPF_MEM | BPF_DW
STORE_IMMEDIATE_32: Final = 0x62  # BPF_ST | BPF_MEM | BPF_W
STORE_IMMEDIATE_64: Final = 0x7A  # BPF_ST | BPF_MEM | BPF_DW
STORE_16: Final = 0x6B  # BPF_STX | BPF_MEM | BPF_H
STORE_32: Final = 0x63  # BPF_STX | BPF_MEM | BPF_W
STORE_64: Final = 0x7B  # BPF_STX | BPF_MEM | BPF_DW
ATOMIC_ADD_64: Final = 0xDB  # BPF_STX | BPF_ATOMIC | BPF_DW, with BPF_ADD, which is 0, as value
ADD_IMMEDIATE: Final = 0x07  # BPF_ALU64 | BPF_ADD | BPF_K
ADD: Final = 0x0F  # BPF_ALU64 | BPF_ADD | BPF_X
SUBTRACT: Final = 0x1F  # BPF_ALU64 | BPF_SUB | BPF_X
AND_IMMEDIATE: Final = 0x57  # BPF_ALU64 | BPF_AND | BPF_K
MOVE_IMMEDIATE: Final = 0xB7  # BPF_ALU64 | BPF_MOV | BPF_K
MOVE: Final = 0xBF  # BPF_ALU64 | BPF_MOV | BPF_X
JUMP: Final = 0x05  # BPF_JMP | BPF_JA
JUMP_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_IF_GREATER: Final = 0x25  # BPF_JMP | BPF_JGT | BPF_K
JUMP_IF_GREATER_THAN: Final = 0x2D  # BPF_JMP | BPF_JGT | BPF_X
JUMP_IF_NOT_EQUAL: Final = 0x55  # BPF_JMP | BPF_JNE | BPF_K
CALL: Final = 0x85  # BPF_JMP | BPF_CALL
EXIT: Final = 0x95  # BPF_JMP | BPF_EXIT
PSEUDO_MAP_FD: Final = 1  # BPF_PSEUDO_MAP_FD, as source of LOAD_IMMEDIATE_64
PSEUDO_MAP_VALUE: Final = 2  # BPF_PSEUDO_MAP_VALUE: the value of an array of one

# Registers: R0 is what a function returns, R1 to R5 its arguments, R6 to R9 survive it, R10 is the end of the stack.
R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = range(11)


def instruction(code: int, *, to: int = R0, source: int = R0, offset: int = 0, value: int = 0) -> bytes:
    """struct bpf_insn, of little-endian machines: `to` and `source` are registers, `offset` is a jump's or memory's."""
    return struct.pack("<BBhi", code, to | source << 4, offset, value)


def load_map(to: int, descriptor: int) -> list[bytes]:
    """Instructions that put the map with this file descriptor into a register."""
    return [
        instruction(LOAD_IMMEDIATE_64, to=to, source=PSEUDO_MAP_FD, value=descriptor),
        instruction(0),
    ]


def load_map_value(to: int, descriptor: int) -> list[bytes]:
    """Instructions that put the address of the value in an array of one, by its file descriptor, into a register."""
    return [
        instruction(LOAD_IMMEDIATE_64, to=to, source=PSEUDO_MAP_VALUE, value=descriptor),
        instruction(0),
    ]


def create_map(kind: int, *, key_bytes: int, value_bytes: int, entries: int, flags: int = 0) -> int:
    """A map of another kind; returns its descriptor. Raises OSError."""
    return bpf(_MAP_CREATE, struct.pack("=IIIII", kind, key_bytes, value_bytes, entries, flags))


def set_in_map(descriptor: int, key: bytes, value: bytes) -> None:
    """Set one entry of a map. Raises OSError."""
    room = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value, len(value))
    addresses = [ctypes.addressof(one) for one in room]
    bpf(_MAP_UPDATE_ELEMENT, struct.pack("=IIQQQ", descriptor, 0, *addresses, 0))


def freeze_map(descriptor: int) -> None:
    """Nobody changes its content from now on: a program may then take it for a constant. Raises OSError."""
    bpf(_MAP_FREEZE, struct.pack("=I", descriptor))


def attach_to_tracepoint(name: str, program: int) -> int:
    """Have a program run at a tracepoint, until the descriptor that is returned is closed. Raises OSError."""
    text = ctypes.create_string_buffer(name.encode())
    return bpf(_RAW_TRACEPOINT_OPEN, struct.pack("=QI", ctypes.addressof(text), program))


def create_ring_buffer(length_bytes: int) -> int:
    """A ring buffer (Documentation/bpf/ringbuf.rst) of a power of two; returns its descriptor. Raises OSError."""
    return bpf(_MAP_CREATE, struct.pack("=IIII", MAP_TYPE_RINGBUF, 0, 0, length_bytes))


def load_program(kind: int, program: list[bytes]) -> int:
    """Have the kernel verify a program of type `kind`; returns its descriptor. Raises OSError."""
    code = ctypes.create_string_buffer(b"".join(program))
    license_name = ctypes.create_string_buffer(b"GPL")
    addresses = ctypes.addressof(code), ctypes.addressof(license_name)
    return bpf(_PROG_LOAD, struct.pack("=IIQQ", kind, len(program), *addresses))


def bpf(command: int, attributes: bytes) -> int:
    """The system call of that name; returns a descriptor. Raises OSError."""
    number = _CALL_NUMBER.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    buffer = ctypes.create_string_buffer(attributes, _ATTRIBUTE_BYTES)
    result = LIBC.syscall(ctypes.c_long(number), command, buffer, len(buffer))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)
