"""Compiled reading of one packet block of a pcapng file: when it was captured, where, and where its bytes are."""

from typing import Final

import numpy as np

from ..kernels.loads import be16, be32, le16, le32, le64
from ..kernels.njit import njit
from .blocks import BlockType, Direction, Option

ENHANCED: Final = int(BlockType.ENHANCED_PACKET)
SIMPLE: Final = int(BlockType.SIMPLE_PACKET)
OBSOLETE: Final = int(BlockType.OBSOLETE_PACKET)
LOCATED: Final = 0
MALFORMED: Final = 1
NOT_DESCRIBED: Final = 2
"""What locate_packet says: the last of a packet whose interface is not among those of its section."""
NO_INTERFACE: Final = 0xFFFFFFFF

_LEAST_SIMPLE: Final = 16
_LEAST_ENHANCED: Final = 32
"""Bytes of the shortest block of the kind."""
_SIMPLE_DATA: Final = 12
_ENHANCED_DATA: Final = 28
"""Where the bytes of the packet begin."""
_LENGTH_BYTES: Final = 4
"""Behind the options of a block."""
_NANOSECONDS: Final = 1_000_000_000
_MOST_EXACT: Final = np.uint64(10_000_000_000)
"""Units a second up to which a fraction of a second in ns fits in 64 bits before it is divided."""
_END: Final = int(Option.END)
_FLAGS: Final = int(Option.EPB_FLAGS)
_DIRECTION_BITS: Final = np.uint32(3)
_UNKNOWN: Final = np.uint32(Direction.UNKNOWN)


INTERFACE: Final = np.dtype(
    [
        ("units_per_second", "u8"),  # resolution of the raw timestamps
        ("offset_s", "i8"),  # to be added to them
        ("snaplen", "i8"),  # more than any packet has, where there is none
    ]
)
"""What has to be known of an interface to read its packets."""


@njit(cache=True, inline="always")
def u32(data, at, big):
    """32 bits in the byte order of the section."""
    return be32(data, at) if big else le32(data, at)


@njit(cache=True, inline="always")
def u16(data, at, big):
    """16 bits in the byte order of the section, as int64."""
    return np.int64(be16(data, at) if big else le16(data, at))


@njit(cache=True)
def _to_ns(raw, per_second):
    """A raw timestamp in nanoseconds, `per_second` raw units a second."""
    if per_second == np.uint64(_NANOSECONDS):
        return np.int64(raw)
    whole = np.int64(raw // per_second) * _NANOSECONDS
    if per_second <= _MOST_EXACT:
        return whole + np.int64((raw % per_second) * np.uint64(_NANOSECONDS) // per_second)
    return whole + np.int64(np.float64(raw % per_second) / per_second * 1e9)


@njit(cache=True, forceinline=True)
def _direction(data, option, end, big):
    """The direction in epb_flags among the options data[option:end], 0 without one."""
    while option + 4 <= end:
        code = u16(data, option, big)
        length = u16(data, option + 2, big)
        if code == _END:
            break
        if code == _FLAGS and length == 4 and option + 8 <= end:
            return u32(data, option + 4, big) & _DIRECTION_BITS
        option += 4 + ((length + 3) & ~np.int64(3))
    return _UNKNOWN


@njit(cache=True, forceinline=True)
def plain_length(data, at, size, count):
    """The length of a whole enhanced packet block of a little-endian section, which nearly all blocks are; 0 when it is
    none, or anything is wrong with it. `size`: of the file; `count`: interfaces of the section."""
    if at + _LEAST_ENHANCED > size:
        return np.int64(0)
    word = le64(data, at)
    length = np.int64(word >> np.uint64(32))
    if np.uint32(word) != np.uint32(ENHANCED) or length < _LEAST_ENHANCED or length & 3 != 0 or at + length > size:
        return np.int64(0)
    if np.int64(le32(data, at + length - 4)) != length or np.int64(le32(data, at + 20)) > length - _LEAST_ENHANCED:
        return np.int64(0)
    return length if np.int64(le32(data, at + 8)) < count else np.int64(0)


@njit(cache=True, forceinline=True)
def locate_plain(data, at, length, interface, known, row):
    """Fill a RECORD row from a block that has a plain_length. `interface`: its number in the file, `known`: the
    INTERFACE row of it, for what is called for each packet takes no arrays (kernels/loads.py)."""
    captured = np.int64(le32(data, at + 20))
    raw = le64(data, at + 12)  # the upper half comes first
    raw = (raw << np.uint64(32)) | (raw >> np.uint64(32))
    unit = known.units_per_second
    time_ns = np.int64(raw) if unit == np.uint64(_NANOSECONDS) else _to_ns(raw, unit)
    options, end = at + _ENHANCED_DATA + ((captured + 3) & ~np.int64(3)), at + length - _LENGTH_BYTES
    row.time_ns = time_ns + known.offset_s * _NANOSECONDS
    row.offset = at + _ENHANCED_DATA
    row.captured = captured
    row.original = le32(data, at + 24)
    row.interface = interface
    row.direction = _direction(data, options, end, False) if options + 8 <= end else _UNKNOWN


@njit(cache=True)
def locate_packet(data, at, kind, length, section, interfaces, row):
    """Fill a RECORD row from a packet block of any kind: LOCATED, MALFORMED or NOT_DESCRIBED. `section`: (first
    interface, interfaces, whether it is big-endian); `interfaces`: INTERFACE rows of the file, maybe with others
    behind."""
    base, count, big = section
    if kind == SIMPLE:
        return _locate_simple(data, at, length, section, interfaces, row)
    if length < _LEAST_ENHANCED:
        return MALFORMED
    interface = np.int64(u32(data, at + 8, big)) if kind == ENHANCED else u16(data, at + 8, big)
    captured = np.int64(u32(data, at + 20, big))
    if captured > length - _LEAST_ENHANCED:
        return MALFORMED
    if interface >= count:
        return NOT_DESCRIBED
    interface += base
    raw = (np.uint64(u32(data, at + 12, big)) << np.uint64(32)) | np.uint64(u32(data, at + 16, big))
    options = at + _ENHANCED_DATA + ((captured + 3) & ~np.int64(3))
    known = interfaces[interface]
    row.time_ns = _to_ns(raw, known.units_per_second) + known.offset_s * _NANOSECONDS
    row.offset = at + _ENHANCED_DATA
    row.captured = captured
    row.original = u32(data, at + 24, big)
    row.interface = interface
    row.direction = _direction(data, options, at + length - _LENGTH_BYTES, big)
    return LOCATED


@njit(cache=True)
def _locate_simple(data, at, length, section, interfaces, row):
    """A simple packet block has no time, and is of the first interface."""
    base, count, big = section
    if length < _LEAST_SIMPLE:
        return MALFORMED
    if count == 0:
        return NOT_DESCRIBED
    original = u32(data, at + 8, big)
    row.time_ns = 0
    row.offset = at + _SIMPLE_DATA
    row.captured = min(np.int64(original), interfaces[base].snaplen, length - _LEAST_SIMPLE)
    row.original = original
    row.interface = base
    row.direction = _UNKNOWN
    return LOCATED


@njit(cache=True)
def point_at_nothing(row, at):
    """A frame that takes a number and has no packet."""
    row.time_ns = 0
    row.offset = at
    row.captured = 0
    row.original = 0
    row.interface = NO_INTERFACE
    row.direction = _UNKNOWN
