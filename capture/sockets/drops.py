"""The kernel's drops of the captured namespaces: a BPF program at their tracepoint, and the ring buffer it fills.

The program and its maps belong to their descriptors: they are gone when these are closed, or with the process.
"""

import mmap
import os
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from ..machine.ebpf import (
    MAP_CAN_BE_MAPPED,
    MAP_READ_ONLY_FOR_PROGRAMS,
    MAP_TYPE_ARRAY,
    MAP_TYPE_HASH,
    PROG_TYPE_RAW_TRACEPOINT,
    attach_to_tracepoint,
    create_map,
    create_ring_buffer,
    freeze_map,
    load_program,
    set_in_map,
)
from .arena import Arena
from .drop_contents import DropMaps
from .drop_layout import REASON_BYTES
from .drop_program import COUNT_NO_ROOM, COUNT_OVER, COUNTERS_BYTES, drop_program
from .drop_types import TRACEPOINT, DropTypes, name_entries
from .kept_types import types_of_kernel
from .stamps import HEADER_BYTES

LIMIT: Final = 1_000
"""Drops of one namespace that are recorded in a second: enough to name every cause, and nothing beside the traffic."""
RING_BYTES: Final = 1 << 20
"""Records that wait to be copied, which happens four times a second at least: 3,000 of them."""
WAITING_BYTES: Final = 1 << 22
"""Finished blocks that wait for packets that are older."""
ARENA_BYTES: Final = HEADER_BYTES + 2 * RING_BYTES + WAITING_BYTES
_WAKE_BYTES: Final = RING_BYTES // 4
_SYMBOL_FORMAT: Final = b"%pS\0"  # Documentation/core-api/printk-formats.rst: the function, and how far into it
_NUMBER: Final = struct.Struct("=I")


@dataclass(slots=True)
class DropRecorder:
    """Drops are recorded from `attach` to `detach`."""

    fd: int
    """Of the ring buffer: readable when there is much in it."""
    ring: int
    """Arena offset of the ring buffer, its two pages of positions first (`HEADER_BYTES`)."""
    waiting: int
    """Arena offset of the memory for blocks that wait, `WAITING_BYTES` long."""
    namespaces: int
    """How many there are."""
    _program: int
    _counters: mmap.mmap
    _descriptors: list[int]
    _link: int = -1
    over: list[int] = field(default_factory=list)
    """Per namespace: drops that were more than `LIMIT` in a second, since `forget_lost`; so the next."""
    no_room: list[int] = field(default_factory=list)
    """Drops that found the ring buffer full."""
    _before: list[tuple[int, int]] = field(default_factory=list)

    @property
    def lost(self) -> list[int]:
        """Per namespace: drops that were not recorded, as of `read_lost`."""
        return [sum(both) for both in zip(self.over, self.no_room, strict=True)]

    def attach(self) -> None:
        """Record from now on. Raises OSError."""
        self._link = attach_to_tracepoint(TRACEPOINT, self._program)
        self.read_lost()

    def detach(self) -> None:
        """Record no more. May be called twice."""
        if self._link >= 0:
            os.close(self._link)
            self._link = -1

    def read_lost(self) -> None:
        """Read how many were not recorded until now."""
        now = self._read()
        before = self._before or [(0, 0)] * self.namespaces
        self.over = [after[0] - earlier[0] for after, earlier in zip(now, before, strict=True)]
        self.no_room = [after[1] - earlier[1] for after, earlier in zip(now, before, strict=True)]

    def forget_lost(self) -> None:
        """Count from now on."""
        self._before = self._read()
        self.read_lost()

    def _read(self) -> list[tuple[int, int]]:
        """Mapped memory: that needs no rights, which are given up by then."""
        found = []
        for at in range(0, self.namespaces * COUNTERS_BYTES, COUNTERS_BYTES):
            over, no_room = (
                struct.unpack_from("=Q", self._counters, at + which) for which in (COUNT_OVER, COUNT_NO_ROOM)
            )
            found.append((over[0], no_room[0]))
        return found

    def close(self) -> None:
        """Detach, and give everything back but what is mapped in the arena."""
        self.detach()
        descriptors, self._descriptors = self._descriptors, []
        for descriptor in descriptors:
            os.close(descriptor)
        self._counters.close()  # mapped memory has a descriptor of its own


def open_drops(arena: Arena, inodes: Sequence[int], *, limit: int = LIMIT) -> DropRecorder:
    """Have drops of the namespaces with these inodes ready to be recorded: all is made but not attached.

    The arena must have `ARENA_BYTES` left. Raises OSError where the kernel refuses, KeyError or ValueError where it
    does not describe what is needed.
    """
    types = types_of_kernel()
    descriptors: list[int] = []

    def keep(descriptor: int) -> int:
        descriptors.append(descriptor)
        return descriptor

    try:
        maps = _make_maps(types, inodes, keep)
        code = drop_program(types, maps, limit=limit, wake_bytes=_WAKE_BYTES)
        program = keep(load_program(PROG_TYPE_RAW_TRACEPOINT, code))
        page = mmap.PAGESIZE
        length = -(-len(inodes) * COUNTERS_BYTES // page) * page
        counters = mmap.mmap(maps.counters, length, mmap.MAP_SHARED, mmap.PROT_READ)
        ring = arena.map_ring_buffer(maps.ring, HEADER_BYTES, 2 * RING_BYTES)
        waiting = arena.allocate(WAITING_BYTES)
    except (OSError, MemoryError):
        for descriptor in descriptors:
            with suppress(OSError):
                os.close(descriptor)
        raise
    return DropRecorder(
        fd=maps.ring, ring=ring, waiting=waiting, namespaces=len(inodes), _program=program, _counters=counters,
        _descriptors=descriptors,
    )  # fmt: skip


def _make_maps(types: DropTypes, inodes: Sequence[int], keep: Callable[[int], int]) -> DropMaps:
    """All maps, with what stands in them from the beginning. Raises OSError."""
    count = len(inodes)
    namespaces = keep(create_map(MAP_TYPE_HASH, key_bytes=4, value_bytes=4, entries=count))
    for number, inode in enumerate(inodes):
        set_in_map(namespaces, _NUMBER.pack(inode), _NUMBER.pack(number))
    counters = keep(
        create_map(MAP_TYPE_ARRAY, key_bytes=4, value_bytes=COUNTERS_BYTES, entries=count, flags=MAP_CAN_BE_MAPPED)
    )
    named = dict(name_entries(types.reasons))
    names = keep(create_map(MAP_TYPE_ARRAY, key_bytes=4, value_bytes=REASON_BYTES, entries=max(named) + 1))
    for number, text in named.items():
        set_in_map(names, _NUMBER.pack(number), text.ljust(REASON_BYTES, b"\0"))
    symbol_format = keep(
        create_map(
            MAP_TYPE_ARRAY, key_bytes=4, value_bytes=len(_SYMBOL_FORMAT), entries=1, flags=MAP_READ_ONLY_FOR_PROGRAMS
        )
    )
    set_in_map(symbol_format, _NUMBER.pack(0), _SYMBOL_FORMAT)
    freeze_map(symbol_format)
    return DropMaps(
        namespaces=namespaces, counters=counters, names=names, symbol_format=symbol_format,
        ring=keep(create_ring_buffer(RING_BYTES)),
    )  # fmt: skip
