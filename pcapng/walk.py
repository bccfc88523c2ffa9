"""Compiled walks over the bytes of a capture file: where its packets are, without a copy of them.

A walk can pause anywhere and go on: its state is a WALK row. So a file is walked once, in pieces of any size.
"""

from typing import Final

import numpy as np

from ..kernels.loads import address, le32, prefetch
from ..kernels.njit import njit
from .blocks import BYTE_ORDER_MAGIC, OTHER_BYTE_ORDER_MAGIC, BlockType
from .packet_blocks import (
    ENHANCED,
    LOCATED,
    NOT_DESCRIBED,
    OBSOLETE,
    SIMPLE,
    locate_packet,
    locate_plain,
    plain_length,
    point_at_nothing,
    u32,
)

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
_PACKETS: Final = (ENHANCED, SIMPLE, OBSOLETE)
_COUNTED: Final = (
    int(BlockType.SYSTEMD_JOURNAL),
    int(BlockType.SYSDIG_EVENT),
    int(BlockType.SYSDIG_EVENT_2),
    int(BlockType.CUSTOM),
    int(BlockType.CUSTOM_NOT_COPIED),
)
"""Wireshark counts them as frames: they take a number, and point at nothing."""
_LEAST_BLOCK: Final = 12
"""Bytes of a block without a body: its type, and its length at either end."""
_ROW: Final = 6
"""Blocks whose lengths fit, in a row, are taken for blocks."""
_AHEAD: Final = 1 << 12
"""Each block says where the next begins, so the walk would wait for the memory at every one of them: bytes that are
fetched ahead."""
_LINE: Final = 64
"""Bytes of a line of the cache."""
_PCAP_RECORD: Final = 16
"""Bytes of the header of a packet in a classic file."""


@njit(cache=True, inline="always")
def _fetch_ahead(data, fetched, at):
    """Ask for the bytes that are _AHEAD of `at`, of which those up to `fetched` have been asked for; returns up to
    where they have been now."""
    while fetched < at:
        prefetch(data, fetched + _AHEAD)
        fetched += _LINE
    return fetched


@njit(cache=True)
def _block_at(data, at, size, big):
    """(Type of the block at `at`, its length, whether its section is big-endian, CUT or DAMAGED or, for a whole one,
    END). `size`: of the file."""
    if at + _LEAST_BLOCK > size:
        return np.uint32(0), np.int64(0), big, CUT
    kind = u32(data, at, big)
    if kind == _SECTION:
        magic = le32(data, at + 8)
        if magic not in (BYTE_ORDER_MAGIC, OTHER_BYTE_ORDER_MAGIC):
            return kind, np.int64(0), big, DAMAGED
        big = magic == OTHER_BYTE_ORDER_MAGIC
    length = np.int64(u32(data, at + 4, big))
    if length < _LEAST_BLOCK or length % 4 != 0:
        return kind, length, big, DAMAGED
    if at + length > size:
        return kind, length, big, CUT
    if np.int64(u32(data, at + length - 4, big)) != length:
        return kind, length, big, DAMAGED
    return kind, length, big, END


@njit(cache=True, nogil=True)
def walk_blocks(data, stop, state, records, interfaces):
    """Walk over the blocks of a pcapng file from `state.at` until one ends at `stop` or behind it; fill RECORD rows.

    `state`: one WALK row, which is changed; `interfaces`: INTERFACE rows of the file. Returns (rows filled, why the
    walk paused: END, CUT, DAMAGED, FULL, BLOCK or UNKNOWN).

    In one piece: it is little but the reasons to pause, and what it does between them has kernels of its own.
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
            length = plain_length(memory, at, size, count)
            if length:
                interface = base + np.int64(le32(memory, at + 8))
                locate_plain(memory, at, length, interface, interfaces[interface], records[filled])
                filled += 1
                at += length
                fetched = _fetch_ahead(memory, fetched, at)
                continue
        kind, length, big, pause = _block_at(memory, at, size, big)
        if pause != END:
            break
        fetched = _fetch_ahead(memory, fetched, at + length)
        is_packet = kind in _PACKETS
        if not is_packet and kind not in _COUNTED:
            walk.block = at
            walk.kind = kind
            at += length
            pause = BLOCK
            break
        if filled == records.size:
            pause = FULL
            break
        row = records[filled]
        if is_packet:
            found = locate_packet(memory, at, kind, length, (base, count, big), interfaces, row)
            if found == NOT_DESCRIBED and not walk.complete:
                pause = UNKNOWN
                break
            if found != LOCATED:
                walk.malformed += 1
                point_at_nothing(row, at)
        else:
            point_at_nothing(row, 0)
        filled += 1
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
        while fit < _ROW and here + _LEAST_BLOCK <= data.size and (fit > 0 or u32(data, here, big) == ENHANCED):
            length = np.int64(u32(data, here + 4, big))
            if length < _LEAST_BLOCK or length % 4 != 0 or here + length > data.size:
                break
            if np.int64(u32(data, here + length - 4, big)) != length:
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
    while filled < records.size and at < stop and at + _PCAP_RECORD <= size:
        captured = np.int64(u32(data, at + 8, big))
        if at + _PCAP_RECORD + captured > size:
            break
        fetched = _fetch_ahead(data, fetched, at + _PCAP_RECORD + captured)
        row = records[filled]
        row.time_ns = np.int64(u32(data, at, big)) * 1_000_000_000 + np.int64(u32(data, at + 4, big)) * fraction_ns
        row.offset = at + _PCAP_RECORD
        row.captured = captured
        row.original = u32(data, at + 12, big)
        row.interface = 0
        row.direction = 0
        filled += 1
        at += _PCAP_RECORD + captured
    return filled, at
