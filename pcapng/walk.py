"""Compiled walks over the bytes of a capture file: where its packets are, without a copy of them.

A walk can pause anywhere and go on: its state is a WALK row. So a file is walked once, in pieces of any size.
"""

from typing import Final

import numpy as np

from ..kernels.loads import address, be16, be32, le16, le32, le64, prefetch
from ..kernels.njit import njit
from .blocks import BYTE_ORDER_MAGIC, BlockType

WALK: Final = np.dtype(
    [
        ("at", "i8"),  # offset of the next block
        ("block", "i8"),  # offset of the block that ends there, after a pause for BLOCK
        ("base", "i8"),  # first interface of the section
        ("count", "i8"),  # interfaces of the section
        ("malformed", "i8"),  # packets that are, so far
        ("kind", "u4"),  # of `block`
        ("big", "u1"),  # the section is big-endian
        ("complete", "u1"),  # the section has no interface behind the next block
    ],
    align=True,
)
"""Where a walk over a pcapng file stands."""

END: Final = 0
"""The walk has come to its end."""
CUT: Final = 1
"""The file ends inside the block at `at`."""
DAMAGED: Final = 2
"""What stands at `at` is no block."""
FULL: Final = 3
"""The table is full, and another packet follows."""
BLOCK: Final = 4
"""The block before `at` is no packet: its reader may have to change the state."""
UNKNOWN: Final = 5
"""The packet at `at` names an interface that has not been described yet."""

_SECTION: Final = int(BlockType.SECTION_HEADER)
_ENHANCED: Final = int(BlockType.ENHANCED_PACKET)
_SIMPLE: Final = int(BlockType.SIMPLE_PACKET)
_OBSOLETE: Final = 2
"""The packet block of early drafts."""
_MAGIC: Final = BYTE_ORDER_MAGIC
_NONE: Final = 0xFFFFFFFF
_ROW: Final = 6
"""Blocks whose lengths fit, in a row, are taken for blocks."""
_AHEAD: Final = 1 << 12
"""Each block says where the next begins, so the walk would wait for the memory at every one of them: bytes that are
fetched ahead."""


@njit(cache=True, inline="always")
def _u32(data, at, big):
    return be32(data, at) if big else le32(data, at)


@njit(cache=True, inline="always")
def _u16(data, at, big):
    return np.int64(be16(data, at) if big else le16(data, at))


@njit(cache=True, inline="always")
def _fetch_ahead(data, fetched, at):
    """Ask for the bytes that are _AHEAD of `at`, of which those up to `fetched` have been asked for; returns up to
    where they have been now."""
    while fetched < at:
        prefetch(data, fetched + _AHEAD)
        fetched += 64
    return fetched


@njit(cache=True)
def _nanoseconds(raw, per_second):
    """A raw timestamp in nanoseconds, `per_second` raw units a second."""
    if per_second == np.uint64(1000000000):
        return np.int64(raw)
    whole = np.int64(raw // per_second) * 1000000000
    if per_second <= np.uint64(10000000000):
        return whole + np.int64((raw % per_second) * np.uint64(1000000000) // per_second)
    return whole + np.int64(np.float64(raw % per_second) / per_second * 1e9)


@njit(cache=True, forceinline=True)
def _direction(data, option, end, big):
    """The direction in epb_flags among the options data[option:end], 0 without one."""
    while option + 4 <= end:
        code = _u16(data, option, big)
        length = _u16(data, option + 2, big)
        if code == 0:
            break
        if code == 2 and length == 4 and option + 8 <= end:
            return _u32(data, option + 4, big) & np.uint32(3)
        option += 4 + ((length + 3) & ~np.int64(3))
    return np.uint32(0)


@njit(cache=True)
def _point_at_nothing(row, at):
    """A frame that takes a number and has no packet."""
    row.time_ns = 0
    row.offset = at
    row.captured = 0
    row.original = 0
    row.interface = _NONE
    row.direction = 0


@njit(cache=True)
def _locate_packet(data, at, kind, length, big, base, count, units, offsets, snaplens, row):
    """Fill `row` from the packet block at `at`: 0 done, 1 malformed, 2 its interface is not among the `count` of its
    section, which begin at `base`."""
    if kind == _SIMPLE:
        if length < 16:
            return 1
        if count == 0:
            return 2
        original = _u32(data, at + 8, big)
        row.time_ns = 0
        row.offset = at + 12
        row.captured = min(np.int64(original), snaplens[base], length - 16)
        row.original = original
        row.interface = base
        row.direction = 0
        return 0
    if length < 32:
        return 1
    interface = np.int64(_u32(data, at + 8, big)) if kind == _ENHANCED else _u16(data, at + 8, big)
    captured = np.int64(_u32(data, at + 20, big))
    if captured > length - 32:
        return 1
    if interface >= count:
        return 2
    interface += base
    raw = (np.uint64(_u32(data, at + 12, big)) << np.uint64(32)) | np.uint64(_u32(data, at + 16, big))
    row.time_ns = _nanoseconds(raw, units[interface]) + offsets[interface] * 1000000000
    row.offset = at + 28
    row.captured = captured
    row.original = _u32(data, at + 24, big)
    row.interface = interface
    row.direction = _direction(data, at + 28 + ((captured + 3) & ~np.int64(3)), at + length - 4, big)
    return 0


@njit(cache=True, forceinline=True)
def _plain_length(memory, at, size, count):
    """The length of a whole enhanced packet block of a little-endian section, which nearly all blocks are; 0 when it is
    none, or anything is wrong with it. `memory`: address of the file; `count`: interfaces of the section."""
    if at + 32 > size:
        return np.int64(0)
    word = le64(memory, at)
    length = np.int64(word >> np.uint64(32))
    if np.uint32(word) != np.uint32(_ENHANCED) or length < 32 or length & 3 != 0 or at + length > size:
        return np.int64(0)
    if np.int64(le32(memory, at + length - 4)) != length or np.int64(le32(memory, at + 20)) > length - 32:
        return np.int64(0)
    return length if np.int64(le32(memory, at + 8)) < count else np.int64(0)


@njit(cache=True, nogil=True)
def walk_blocks(data, stop, state, records, units, offsets, snaplens):
    """Walk over the blocks of a pcapng file from `state.at` until one ends at `stop` or behind it; fill RECORD rows.

    `state`: one WALK row, which is changed. `units`, `offsets`, `snaplens`: per interface. Returns (rows filled, why
    the walk paused: END, CUT, DAMAGED, FULL, BLOCK or UNKNOWN).
    """
    walk = state[0]
    at, base, count, big = walk.at, walk.base, walk.count, walk.big != 0
    size = data.size
    memory = address(data)
    filled = 0
    pause = END
    fetched = at
    while at < stop:
        if filled < records.size and not big:
            length = _plain_length(memory, at, size, count)
            if length:
                row = records[filled]
                interface = base + np.int64(le32(memory, at + 8))
                captured = np.int64(le32(memory, at + 20))
                raw = le64(memory, at + 12)  # the upper half comes first
                raw = (raw << np.uint64(32)) | (raw >> np.uint64(32))
                unit = units[interface]
                time = np.int64(raw) if unit == np.uint64(1000000000) else _nanoseconds(raw, unit)
                options, end = at + 28 + ((captured + 3) & ~np.int64(3)), at + length - 4
                row.time_ns = time + offsets[interface] * 1000000000
                row.offset = at + 28
                row.captured = captured
                row.original = le32(memory, at + 24)
                row.interface = interface
                row.direction = _direction(memory, options, end, False) if options + 8 <= end else np.uint32(0)
                filled += 1
                at += length
                fetched = _fetch_ahead(memory, fetched, at)
                continue
        if at + 12 > size:
            pause = CUT
            break
        kind = _u32(data, at, big)
        if kind == _SECTION:
            magic = le32(data, at + 8)
            if magic != _MAGIC and magic != 0x4D3C2B1A:
                pause = DAMAGED
                break
            big = magic != _MAGIC
        length = np.int64(_u32(data, at + 4, big))
        if length < 12 or length % 4 != 0:
            pause = DAMAGED
            break
        if at + length > size:
            pause = CUT
            break
        if np.int64(_u32(data, at + length - 4, big)) != length:
            pause = DAMAGED
            break
        fetched = _fetch_ahead(memory, fetched, at + length)
        if kind in (_ENHANCED, _SIMPLE, _OBSOLETE):
            if filled == records.size:
                pause = FULL
                break
            row = records[filled]
            found = _locate_packet(memory, at, kind, length, big, base, count, units, offsets, snaplens, row)
            if found == 2 and not walk.complete:
                pause = UNKNOWN
                break
            if found:
                walk.malformed += 1
                _point_at_nothing(row, at)
            filled += 1
        elif kind == 9 or kind == 0x204 or kind == 0x216 or kind == 0x00000BAD or kind == 0x40000BAD:
            # Wireshark counts systemd, sysdig and custom blocks as frames: they take a number, and point at nothing.
            if filled == records.size:
                pause = FULL
                break
            _point_at_nothing(records[filled], 0)
            filled += 1
        else:
            walk.block = at
            walk.kind = kind
            at += length
            pause = BLOCK
            break
        at += length
    walk.at = at
    walk.big = big
    return filled, pause


@njit(cache=True, nogil=True)
def find_block(data, at, end, big):
    """Where in data[at:end] an enhanced packet block may begin, for it and those behind it have lengths that fit; -1
    when there is no such place. All blocks begin at multiples of 4, as `at` must be."""
    while at < end:
        here = at
        fit = 0
        while fit < _ROW and here + 12 <= data.size and (fit > 0 or _u32(data, here, big) == _ENHANCED):
            length = np.int64(_u32(data, here + 4, big))
            if length < 12 or length % 4 != 0 or here + length > data.size:
                break
            if np.int64(_u32(data, here + length - 4, big)) != length:
                break
            here += length
            fit += 1
        if fit == _ROW:
            return at
        at += 4
    return np.int64(-1)


@njit(cache=True, nogil=True)
def walk_records(data, at, stop, records, big, fraction_ns):
    """The same for classic pcap, from offset `at`; returns (rows filled, end of the last of them). Where neither the
    rows are full nor `stop` has come, the file ends, or what can be read of it."""
    filled = 0
    size = data.size
    fetched = at
    while filled < records.size and at < stop and at + 16 <= size:
        captured = np.int64(_u32(data, at + 8, big))
        if at + 16 + captured > size:
            break
        fetched = _fetch_ahead(data, fetched, at + 16 + captured)
        row = records[filled]
        row.time_ns = np.int64(_u32(data, at, big)) * 1000000000 + np.int64(_u32(data, at + 4, big)) * fraction_ns
        row.offset = at + 16
        row.captured = captured
        row.original = _u32(data, at + 12, big)
        row.interface = 0
        row.direction = 0
        filled += 1
        at += 16 + captured
    return filled, at
