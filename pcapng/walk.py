"""Compiled walks over the bytes of a capture file: where its packets are, without a copy of them."""

from typing import Final

import numpy as np
from numba import njit

from .blocks import BYTE_ORDER_MAGIC, BlockType

_SECTION: Final = int(BlockType.SECTION_HEADER)
_ENHANCED: Final = int(BlockType.ENHANCED_PACKET)
_SIMPLE: Final = int(BlockType.SIMPLE_PACKET)
_OBSOLETE: Final = 2
"""The packet block of early drafts."""
_MAGIC: Final = BYTE_ORDER_MAGIC


@njit(cache=True, inline="always")
def _u32(data, at, big):
    if big:
        return (
            (np.uint32(data[at]) << 24)
            | (np.uint32(data[at + 1]) << 16)
            | (np.uint32(data[at + 2]) << 8)
            | data[at + 3]
        )
    return (np.uint32(data[at + 3]) << 24) | (np.uint32(data[at + 2]) << 16) | (np.uint32(data[at + 1]) << 8) | data[at]


@njit(cache=True, inline="always")
def _u16(data, at, big):
    if big:
        return (np.int64(data[at]) << 8) | data[at + 1]
    return (np.int64(data[at + 1]) << 8) | data[at]


@njit(cache=True)
def _nanoseconds(raw, per_second):
    """A raw timestamp in nanoseconds, `per_second` raw units a second."""
    if per_second == np.uint64(1000000000):
        return np.int64(raw)
    whole = np.int64(raw // per_second) * 1000000000
    if per_second <= np.uint64(10000000000):
        return whole + np.int64((raw % per_second) * np.uint64(1000000000) // per_second)
    return whole + np.int64(np.float64(raw % per_second) / per_second * 1e9)


@njit(cache=True)
def _direction(data, option, end, big):
    """The direction in epb_flags among the options data[option:end], 0 without one."""
    while option + 4 <= end:
        code = _u16(data, option, big)
        length = _u16(data, option + 2, big)
        if code == 0:
            break
        if code == 2 and length == 4 and option + 8 <= end:
            return _u32(data, option + 4, big) & 3
        option += 4 + ((length + 3) & ~np.int64(3))
    return np.uint32(0)


@njit(cache=True)
def _locate_packet(data, at, kind, length, big, base, count, units, offsets, snaplens, row):
    """Fill `row` from the packet block at `at`; False when it is malformed. `base`, `count`: interfaces of its
    section."""
    row.interface = 0xFFFFFFFF
    row.offset = at
    if kind == _SIMPLE and length >= 16 and count > 0:
        row.interface = base
        row.original = _u32(data, at + 8, big)
        row.captured = min(np.int64(row.original), snaplens[base], length - 16)
        row.offset = at + 12
        return True
    if kind == _SIMPLE or length < 32:
        return False
    interface = np.int64(_u32(data, at + 8, big)) if kind == _ENHANCED else _u16(data, at + 8, big)
    captured = np.int64(_u32(data, at + 20, big))
    if interface >= count or captured > length - 32:
        return False
    interface += base
    raw = (np.uint64(_u32(data, at + 12, big)) << np.uint64(32)) | np.uint64(_u32(data, at + 16, big))
    row.time_ns = _nanoseconds(raw, units[interface]) + offsets[interface] * 1000000000
    row.interface = interface
    row.captured = captured
    row.original = _u32(data, at + 24, big)
    row.offset = at + 28
    row.direction = _direction(data, at + 28 + ((captured + 3) & ~np.int64(3)), at + length - 4, big)
    return True


@njit(cache=True)
def walk_blocks(data, special, records, units, offsets, snaplens, interface_base):
    """One walk over the blocks of a pcapng file. With empty tables it only counts; else it fills `special`, `records`.

    `special` (n, 3): type, offset and section of each block that is no packet. `records`: zeroed RECORD rows. `units`,
    `offsets`, `snaplens`: per interface. `interface_base`: first interface of each section, and their number at the
    end. Returns (packets, special blocks, malformed packets, end of the last whole block, state): state 0 whole, 1 cut
    short, 2 damaged.
    """
    size = data.size
    at = np.int64(0)
    packets = others = malformed = 0
    section = -1
    base = count = np.int64(0)
    big = False
    while at + 12 <= size:
        kind = _u32(data, at, big)
        if kind == _SECTION:
            magic = _u32(data, at + 8, False)
            if magic != _MAGIC and magic != 0x4D3C2B1A:
                return packets, others, malformed, at, 2
            big = magic != _MAGIC
            section += 1
            if records.size > 0:
                base = interface_base[section]
                count = interface_base[section + 1] - base
        length = np.int64(_u32(data, at + 4, big))
        if length < 12 or length % 4 != 0:
            return packets, others, malformed, at, 2
        if at + length > size:
            return packets, others, malformed, at, 1
        if _u32(data, at + length - 4, big) != length:
            return packets, others, malformed, at, 2
        if kind in (_ENHANCED, _SIMPLE, _OBSOLETE):
            if records.size > 0 and not _locate_packet(
                data, at, kind, length, big, base, count, units, offsets, snaplens, records[packets]
            ):
                malformed += 1
            packets += 1
        elif kind in (9, 0x204, 0x216, 0x00000BAD, 0x40000BAD):
            # Wireshark counts systemd, sysdig and custom blocks as frames: they take a number, and point at nothing.
            if records.size > 0:
                records[packets].interface = 0xFFFFFFFF
            packets += 1
        else:
            if special.shape[0] > 0:
                special[others, 0] = kind
                special[others, 1] = at
                special[others, 2] = section
            others += 1
        at += length
    return packets, others, malformed, at, 0 if at == size else 1


@njit(cache=True)
def walk_records(data, records, big, fraction_ns):
    """The same for classic pcap: fills `records` if there are any; returns (packets, end of the last whole record)."""
    at = np.int64(24)
    packets = 0
    while at + 16 <= data.size:
        captured = np.int64(_u32(data, at + 8, big))
        if at + 16 + captured > data.size:
            break
        if records.size > 0:
            row = records[packets]
            row.time_ns = np.int64(_u32(data, at, big)) * 1000000000 + np.int64(_u32(data, at + 4, big)) * fraction_ns
            row.offset = at + 16
            row.captured = captured
            row.original = _u32(data, at + 12, big)
            row.interface = 0
            row.direction = 0
        packets += 1
        at += 16 + captured
    return packets, at
