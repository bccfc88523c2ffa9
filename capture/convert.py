"""The compiled converter: blocks of all packet rings, and batches of netlink messages, into pcapng, sorted by time.

Numba compiles it once and caches it. All sources live in one arena (`arena.py`), which the kernels see three times: as
bytes, as 16-bit and as 32-bit words. State is int64 rows, one per source. Times are nanoseconds since 1970.

Layouts: struct tpacket_block_desc, tpacket3_hdr, sockaddr_ll (linux/if_packet.h), nlmsghdr (linux/netlink.h).
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Halfwords = NDArray[np.uint16]
Words = NDArray[np.uint32]
State = NDArray[np.int64]
Integer = int | np.int64
"""Compiled, both are the same."""

# Columns of the ring state.
RING_BASE: Final = 0  # offset of the ring in the arena
RING_BLOCK_BYTES: Final = 1
RING_BLOCKS: Final = 2
RING_CURRENT: Final = 3  # block that is being read
RING_NEXT: Final = 4  # offset of the next packet in the arena
RING_LEFT: Final = 5  # packets left in the current block; 0: it is not open yet
RING_FINISHED: Final = 6  # blocks read to the end and not yet given back to the kernel
RING_INTERFACE: Final = 7  # pcapng interface id
RING_ETHERNET: Final = 8  # 1: a VLAN tag the kernel took out can be put back
RING_PACKETS: Final = 9  # packets written
RING_COLUMNS: Final = 10

# Columns of the netlink state. Its staging buffer holds finished pcapng blocks that wait for their turn.
STAGE_BASE: Final = 0
STAGE_BYTES: Final = 1
STAGE_HEAD: Final = 2  # offset of the oldest waiting block, from the base
STAGE_TAIL: Final = 3
STAGE_INTERFACE: Final = 4
STAGE_MESSAGES: Final = 5
STAGE_TRACE: Final = 6  # nftrace and NFLOG trace messages
STAGE_CONNTRACK: Final = 7  # conntrack events, without the dump
STAGE_MALFORMED: Final = 8  # datagrams that do not parse as netlink messages
STAGE_GENERATIONS: Final = 9  # ruleset changes (NFT_MSG_NEWGEN)
STAGE_COLUMNS: Final = 10

NEVER: Final = 2**63 - 1
"""A time no packet has."""

_BLOCK_STATUS: Final = 2
_BLOCK_PACKETS: Final = 3
_BLOCK_FIRST: Final = 4
_STATUS_USER: Final = 1
_VLAN_VALID: Final = 0x10
_VLAN_TPID_VALID: Final = 0x40
_PACKET_OUTGOING: Final = 4
_NANOSECONDS: Final = 1_000_000_000

_PACKET_OVERHEAD: Final = 44  # enhanced packet block: 28 in front, 8 + 4 of options, 4 behind
_NETLINK_OVERHEAD: Final = 48  # 28 in front, 16 of pseudo-header, 4 behind
_LARGEST_BLOCK: Final = 1 << 19  # room that must be left in the output before another packet is started


@njit(cache=True)
def _copy(source: Bytes, source_offset: Integer, target: Bytes, target_offset: Integer, count: Integer) -> None:
    """Copy `count` bytes between places that do not overlap."""
    for index in range(count):
        # Unsigned: numba makes a signed one count from the end if it is negative, which costs 8 to 30 times the copy.
        target[np.uint64(target_offset + index)] = source[np.uint64(source_offset + index)]


@njit(cache=True)
def _ring_time(words: Words, rings: State, ring: Integer) -> Integer:
    """Time of the ring's next packet, opening the next block the kernel handed over; NEVER if there is none."""
    while rings[ring, RING_LEFT] == 0:
        if rings[ring, RING_FINISHED] == rings[ring, RING_BLOCKS]:
            return NEVER  # all the way round: these blocks must be given back first
        block = rings[ring, RING_BASE] + rings[ring, RING_CURRENT] * rings[ring, RING_BLOCK_BYTES]
        descriptor = block >> 2
        if words[descriptor + _BLOCK_STATUS] & _STATUS_USER == 0:
            return NEVER
        count = np.int64(words[descriptor + _BLOCK_PACKETS])
        if count == 0:
            rings[ring, RING_FINISHED] += 1
            rings[ring, RING_CURRENT] = (rings[ring, RING_CURRENT] + 1) % rings[ring, RING_BLOCKS]
        rings[ring, RING_LEFT] = count
        rings[ring, RING_NEXT] = block + np.int64(words[descriptor + _BLOCK_FIRST])
    header = rings[ring, RING_NEXT] >> 2
    return np.int64(words[header + 1]) * _NANOSECONDS + np.int64(words[header + 2])


def is_ours(words: Words, block: Integer) -> bool:
    """Whether the kernel has handed the block at the arena offset `block` over. Not compiled: asked for seldom."""
    return bool(words[(block >> 2) + _BLOCK_STATUS] & _STATUS_USER)


@njit(cache=True)
def _stage_time(words: Words, stages: State, stage: Integer) -> Integer:
    """Time of the oldest waiting netlink message; NEVER if there is none."""
    if stages[stage, STAGE_HEAD] == stages[stage, STAGE_TAIL]:
        return NEVER
    block = (stages[stage, STAGE_BASE] + stages[stage, STAGE_HEAD]) >> 2
    return (np.int64(words[block + 3]) << 32) | np.int64(words[block + 4])


@njit(cache=True)
def _write_ring_packet(
    memory: Bytes,
    halfwords: Halfwords,
    words: Words,
    rings: State,
    ring: Integer,
    out: Bytes,
    out_words: Words,
    position: Integer,
) -> Integer:
    """Write the ring's next packet at `position`, step to the one after it, return the end of what was written."""
    packet = rings[ring, RING_NEXT]
    header = packet >> 2
    captured = np.int64(words[header + 3])
    length = np.int64(words[header + 4])
    status = np.int64(words[header + 5])
    data = packet + np.int64(halfwords[(packet >> 1) + 12])
    time_ns = np.int64(words[header + 1]) * _NANOSECONDS + np.int64(words[header + 2])
    outgoing = memory[packet + 58] == _PACKET_OUTGOING
    tag = 0
    if status & _VLAN_VALID and rings[ring, RING_ETHERNET] == 1 and captured >= 12:
        tag = 4
    padded = (captured + tag + 3) & ~3
    total = _PACKET_OVERHEAD + padded
    word = position >> 2
    out_words[word] = 6
    out_words[word + 1] = total
    out_words[word + 2] = rings[ring, RING_INTERFACE]
    out_words[word + 3] = time_ns >> 32
    out_words[word + 4] = time_ns & 0xFFFFFFFF
    out_words[word + 5] = captured + tag
    out_words[word + 6] = length + tag
    target = position + 28
    if padded:
        out_words[(target + padded - 4) >> 2] = 0  # the padding
    start = 0
    if tag:
        _copy(memory, data, out, target, 12)
        protocol = np.int64(halfwords[(packet >> 1) + 18]) if status & _VLAN_TPID_VALID else 0x8100
        control = np.int64(words[header + 8])
        out[target + 12] = protocol >> 8
        out[target + 13] = protocol & 0xFF
        out[target + 14] = (control >> 8) & 0xFF
        out[target + 15] = control & 0xFF
        start = 12
    _copy(memory, data + start, out, target + tag + start, captured - start)
    word = (target + padded) >> 2
    out_words[word] = 0x00040002  # epb_flags, 4 bytes
    out_words[word + 1] = 2 if outgoing else 1
    out_words[word + 2] = 0
    out_words[word + 3] = total
    rings[ring, RING_PACKETS] += 1
    rings[ring, RING_LEFT] -= 1
    rings[ring, RING_NEXT] = packet + np.int64(words[header])
    if rings[ring, RING_LEFT] == 0:
        rings[ring, RING_FINISHED] += 1
        rings[ring, RING_CURRENT] = (rings[ring, RING_CURRENT] + 1) % rings[ring, RING_BLOCKS]
    return position + total


@njit(cache=True)
def _write_staged(memory: Bytes, words: Words, stages: State, stage: Integer, out: Bytes, position: Integer) -> Integer:
    """Copy the oldest waiting netlink block to `position`; return the end of what was written."""
    source = stages[stage, STAGE_BASE] + stages[stage, STAGE_HEAD]
    total = np.int64(words[(source >> 2) + 1])
    _copy(memory, source, out, position, total)
    stages[stage, STAGE_HEAD] += total
    if stages[stage, STAGE_HEAD] == stages[stage, STAGE_TAIL]:
        stages[stage, STAGE_HEAD] = 0
        stages[stage, STAGE_TAIL] = 0
    return position + total


@njit(cache=True)
def merge(
    memory: Bytes,
    halfwords: Halfwords,
    words: Words,
    rings: State,
    stages: State,
    times: State,
    out: Bytes,
    out_words: Words,
    horizon_ns: Integer,
    packet_limit: Integer,
) -> tuple[Integer, Integer, bool]:
    """Write everything not later than `horizon_ns`, oldest first, until `out` is full or `packet_limit` packets.

    `times` is scratch, one int64 per source. Returns bytes written, packets written, and whether the output was full
    (call again). Finished blocks stay with us until `release`.
    """
    ring_count = rings.shape[0]
    source_count = ring_count + stages.shape[0]
    for source in range(source_count):
        if source < ring_count:
            times[source] = _ring_time(words, rings, source)
        else:
            times[source] = _stage_time(words, stages, source - ring_count)
    position: Integer = 0
    packets = 0
    while True:
        oldest = 0
        oldest_time: Integer = NEVER
        next_time: Integer = NEVER
        for source in range(source_count):
            time_ns = times[source]
            if time_ns < oldest_time:
                next_time = oldest_time
                oldest_time = time_ns
                oldest = source
            elif time_ns < next_time:
                next_time = time_ns
        if oldest_time == NEVER or oldest_time > horizon_ns:
            return position, packets, False
        # Stay with this source while it is the oldest: a burst on one interface costs no comparison with the others.
        while oldest_time <= next_time and oldest_time <= horizon_ns and oldest_time != NEVER:
            if position + _LARGEST_BLOCK > out.size:
                return position, packets, True
            if oldest < ring_count:
                if packets >= packet_limit:
                    return position, packets, False
                position = _write_ring_packet(memory, halfwords, words, rings, oldest, out, out_words, position)
                packets += 1
                oldest_time = _ring_time(words, rings, oldest)
            else:
                position = _write_staged(memory, words, stages, oldest - ring_count, out, position)
                oldest_time = _stage_time(words, stages, oldest - ring_count)
        times[oldest] = oldest_time


@njit(cache=True)
def release(words: Words, rings: State) -> None:
    """Give the finished blocks back to the kernel. A call of its own, so that no read can be moved behind it."""
    for ring in range(rings.shape[0]):
        finished = rings[ring, RING_FINISHED]
        blocks = rings[ring, RING_BLOCKS]
        for step in range(finished):
            block = (rings[ring, RING_CURRENT] + blocks - finished + step) % blocks
            descriptor = (rings[ring, RING_BASE] + block * rings[ring, RING_BLOCK_BYTES]) >> 2
            words[descriptor + _BLOCK_STATUS] = 0
        rings[ring, RING_FINISHED] = 0


@njit(cache=True)
def is_urgent(words: Words, rings: State, stages: State) -> bool:
    """Whether a ring or staging buffer is half full: then it is emptied at once, even if that costs some order."""
    for ring in range(rings.shape[0]):
        # Blocks are filled in order: if the one half a ring ahead is ours, so are all before it.
        ahead = (rings[ring, RING_CURRENT] + rings[ring, RING_BLOCKS] // 2) % rings[ring, RING_BLOCKS]
        descriptor = (rings[ring, RING_BASE] + ahead * rings[ring, RING_BLOCK_BYTES]) >> 2
        if words[descriptor + _BLOCK_STATUS] & _STATUS_USER:
            return True
    urgent = False
    for stage in range(stages.shape[0]):
        urgent |= stages[stage, STAGE_TAIL] * 2 > stages[stage, STAGE_BYTES]
    return urgent


@njit(cache=True)
def compact(memory: Bytes, stages: State) -> None:
    """Move what waits to the front of its staging buffer, once a quarter of the buffer in front of it is used up."""
    for stage in range(stages.shape[0]):
        head = stages[stage, STAGE_HEAD]
        if head * 4 < stages[stage, STAGE_BYTES]:
            continue
        base = stages[stage, STAGE_BASE]
        waiting = stages[stage, STAGE_TAIL] - head
        for index in range(waiting):  # to a lower address, so in ascending order
            memory[np.uint64(base + index)] = memory[np.uint64(base + head + index)]
        stages[stage, STAGE_HEAD] = 0
        stages[stage, STAGE_TAIL] = waiting


@njit(cache=True)
def stage_netlink(
    memory: Bytes,
    halfwords: Halfwords,
    words: Words,
    stages: State,
    stage: Integer,
    slots: Integer,
    slot_bytes: Integer,
    lengths: Words,
    count: Integer,
    time_ns: Integer,
) -> None:
    """Turn a batch of netlink datagrams into waiting packet blocks, one per message, and count them by kind.

    `slots` is the arena offset of the receive buffers, `slot_bytes` apart; `lengths` (uint32) the bytes received in
    each of the first `count`. The staging buffer must have room for all of them. Control messages (acknowledgements,
    end of dump) are left out.
    """
    base = stages[stage, STAGE_BASE]
    for slot in range(count):
        message = slots + slot * slot_bytes
        end = message + np.int64(lengths[slot])
        while message + 16 <= end:
            length = np.int64(words[message >> 2])
            if length < 16 or message + length > end:
                stages[stage, STAGE_MALFORMED] += 1
                break
            kind = np.int64(halfwords[(message >> 1) + 2])
            flags = np.int64(halfwords[(message >> 1) + 3])
            if kind >= 16:
                _stage_message(
                    memory,
                    words,
                    base + stages[stage, STAGE_TAIL],
                    message,
                    length,
                    time_ns,
                    stages[stage, STAGE_INTERFACE],
                )
                stages[stage, STAGE_TAIL] += _NETLINK_OVERHEAD + ((length + 3) & ~3)
                stages[stage, STAGE_MESSAGES] += 1
                if kind in (0x0A11, 0x0400):
                    stages[stage, STAGE_TRACE] += 1
                elif kind >> 8 == 1 and flags & 2 == 0:
                    stages[stage, STAGE_CONNTRACK] += 1
                elif kind == 0x0A0F:
                    stages[stage, STAGE_GENERATIONS] += 1
            message += (length + 3) & ~3


@njit(cache=True)
def _stage_message(
    memory: Bytes, words: Words, block: Integer, message: Integer, length: Integer, time_ns: Integer, interface: Integer
) -> None:
    """Write one netlink message as an enhanced packet block at the arena offset `block`."""
    padded = (length + 3) & ~3
    total = _NETLINK_OVERHEAD + padded
    word = block >> 2
    words[word] = 6
    words[word + 1] = total
    words[word + 2] = interface
    words[word + 3] = time_ns >> 32
    words[word + 4] = time_ns & 0xFFFFFFFF
    words[word + 5] = 16 + length
    words[word + 6] = 16 + length
    # LINKTYPE_NETLINK pseudo-header (pcapng.blocks.NETLINK_HEADER), big-endian: ARPHRD_NETLINK 824, protocol 12.
    words[word + 7] = 0x38030000
    words[word + 8] = 0
    words[word + 9] = 0
    words[word + 10] = 0x0C000000
    target = block + 44
    words[(target + padded - 4) >> 2] = 0
    _copy(memory, message, memory, target, length)
    words[(target + padded) >> 2] = total
