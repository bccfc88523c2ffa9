"""The compiled converter: blocks of all packet rings, and staged netlink messages, into pcapng, sorted by time.

A batch of finished blocks is a list of pieces in memory: one writev writes it. Short packets are copied in between
their headers, long ones are written from where they are in the ring.

Layouts: struct tpacket_block_desc, tpacket3_hdr, sockaddr_ll (linux/if_packet.h).
"""

from typing import Final

import numpy as np

from ...kernels.njit import njit
from ..sockets.ring import HOLD_BACK_NS
from .sources import (
    BATCH_BYTES,
    BATCH_PACKETS,
    BATCH_VECTORS,
    LAST_PACKET_NS,
    NEVER,
    RING_BASE,
    RING_BLOCK_BYTES,
    RING_BLOCKS,
    RING_CURRENT,
    RING_ETHERNET,
    RING_FINISHED,
    RING_INTERFACE,
    RING_LEFT,
    RING_NEXT,
    RING_PACKETS,
    STAGE_BASE,
    STAGE_BYTES,
    STAGE_HEAD,
    STAGE_TAIL,
    WRITTEN_PACKETS,
    Integer,
    Sink,
    Sources,
    State,
    Words,
)
from .staging import stage_time
from .syscalls import memcpy

SINK_BYTES: Final = 1 << 19
"""A batch is written when it has so many: what was just copied is then still in the processor's cache."""
LARGEST_BLOCK_BYTES: Final = 1 << 19
"""Room in the sink beyond that, for the last packet of a batch."""
VECTORS: Final = 1 << 10
"""Pieces of a batch (IOV_MAX)."""
_BATCH_BYTES: Final = 1 << 22  # a batch of packets that are not copied is written when it has so many
_DIRECT_BYTES: Final = 1 << 12  # packets of this length or more are not copied

_BLOCK_STATUS: Final = 2
_BLOCK_PACKETS: Final = 3
_BLOCK_FIRST: Final = 4
_BLOCK_OPENED: Final = 8  # ts_first_pkt: seconds, and then nanoseconds, of when the kernel began to fill it
_STATUS_USER: Final = 1
_VLAN_VALID: Final = 0x10
_VLAN_TPID_VALID: Final = 0x40
_PACKET_OUTGOING: Final = 4
_NANOSECONDS: Final = 1_000_000_000
_LATE_NS: Final = 10_000_000  # a packet may come into the ring so long after it got its time
_OVERHEAD: Final = 44  # enhanced packet block: 28 in front, 8 + 4 of options, 4 behind


@njit(cache=True, nogil=True)
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
            _finish_block(rings, ring)
        rings[ring, RING_LEFT] = count
        rings[ring, RING_NEXT] = block + np.int64(words[descriptor + _BLOCK_FIRST])
    time_ns: np.int64 = _packet_time(words, rings[ring, RING_NEXT])
    return time_ns


@njit(cache=True, nogil=True)
def _finish_block(rings: State, ring: Integer) -> None:
    """The ring's current block is read to its end."""
    rings[ring, RING_FINISHED] += 1
    rings[ring, RING_CURRENT] = (rings[ring, RING_CURRENT] + 1) % rings[ring, RING_BLOCKS]


@njit(cache=True, nogil=True)
def _packet_time(words: Words, packet: Integer) -> Integer:
    """Time of the packet whose tpacket3_hdr is at the arena offset `packet`."""
    header = packet >> 2
    return np.int64(words[header + 1]) * _NANOSECONDS + np.int64(words[header + 2])


def is_ours(words: Words, block: Integer) -> bool:
    """Whether the kernel has handed the block at the arena offset `block` over. Not compiled: asked for seldom."""
    return bool(words[(block >> 2) + _BLOCK_STATUS] & _STATUS_USER)


@njit(cache=True, nogil=True)
def _add_piece(sink: Sink, progress: State, address: Integer, length: Integer) -> None:
    """Add `length` bytes at `address` to the batch."""
    if length:
        vector = progress[BATCH_VECTORS]
        sink.vectors[vector, 0] = address
        sink.vectors[vector, 1] = length
        progress[BATCH_VECTORS] = vector + 1
        progress[BATCH_BYTES] += length


@njit(cache=True, nogil=True)
def _is_full(progress: State, position: Integer) -> bool:
    """Whether the batch has to be written before another packet is put into it."""
    # One packet makes two pieces, and what stands behind the last one is a piece too.
    no_piece = progress[BATCH_VECTORS] + 3 > VECTORS
    return bool(position >= SINK_BYTES or no_piece or progress[BATCH_BYTES] >= _BATCH_BYTES)


@njit(cache=True, nogil=True)
def _write_packets(
    sources: Sources, sink: Sink, progress: State, ring: Integer, until_ns: Integer, begin: Integer, position: Integer
) -> tuple[Integer, Integer]:
    """Write packets of the ring's current block that are not later than `until_ns`, while the batch has room.

    Blocks are put at `position` of the sink; what was put from `begin` on is no piece of the batch yet. Returns both as
    they are then.
    """
    halfwords, words, rings = sources.halfwords, sources.words, sources.rings
    out, out_words = sink.octets, sink.words
    arena, target = sources.octets.ctypes.data, out.ctypes.data
    packet, interface = rings[ring, RING_NEXT], rings[ring, RING_INTERFACE]
    is_ethernet = rings[ring, RING_ETHERNET] == 1
    wanted = min(rings[ring, RING_LEFT], sink.packet_limit - progress[WRITTEN_PACKETS] - progress[BATCH_PACKETS])
    count = 0
    while count < wanted and position < SINK_BYTES:
        header = packet >> 2
        time_ns = _packet_time(words, packet)
        captured = np.int64(words[header + 3])
        is_direct = captured >= _DIRECT_BYTES
        if time_ns > until_ns or (is_direct and _is_full(progress, position)):
            break
        progress[LAST_PACKET_NS] = time_ns
        status = np.int64(words[header + 5])
        data = packet + np.int64(halfwords[(packet >> 1) + 12])
        tag = 4 if is_ethernet and status & _VLAN_VALID and captured >= 12 else 0
        padding = -captured & 3
        total = _OVERHEAD + captured + tag + padding
        word = position >> 2
        out_words[word] = 6
        out_words[word + 1] = total
        out_words[word + 2] = interface
        out_words[word + 3] = time_ns >> 32
        out_words[word + 4] = time_ns & 0xFFFFFFFF
        out_words[word + 5] = captured + tag
        out_words[word + 6] = np.int64(words[header + 4]) + tag
        position += 28
        if tag:
            memcpy(target + position, arena + data, 12)
            protocol = np.int64(halfwords[(packet >> 1) + 18]) if status & _VLAN_TPID_VALID else 0x8100
            control = np.int64(words[header + 8])
            out[position + 12] = protocol >> 8
            out[position + 13] = protocol & 0xFF
            out[position + 14] = (control >> 8) & 0xFF
            out[position + 15] = control & 0xFF
            position += 16
            data += 12
            captured -= 12
        if is_direct:
            _add_piece(sink, progress, target + begin, position - begin)
            _add_piece(sink, progress, arena + data, captured)
            out_words[position >> 2] = 0
            position += 4 if padding else 0
            begin = position - padding
        else:
            out_words[(position + captured + padding - 4) >> 2] = 0  # the padding, and for an empty packet no harm
            memcpy(target + position, arena + data, captured)
            position += captured + padding
        word = position >> 2
        out_words[word] = 0x00040002  # epb_flags, 4 bytes
        # sll_pkttype of the sockaddr_ll behind the header.
        out_words[word + 1] = 2 if sources.octets[packet + 58] == _PACKET_OUTGOING else 1
        out_words[word + 2] = 0
        out_words[word + 3] = total
        position += 16
        packet += np.int64(words[header])
        count += 1
    rings[ring, RING_NEXT] = packet
    rings[ring, RING_LEFT] -= count
    rings[ring, RING_PACKETS] += count
    progress[BATCH_PACKETS] += count
    if count and rings[ring, RING_LEFT] == 0:
        _finish_block(rings, ring)
    return begin, position


@njit(cache=True, nogil=True)
def _write_staged(sources: Sources, sink: Sink, stage: Integer, position: Integer) -> Integer:
    """Copy the oldest waiting netlink block to `position`; return the end of what was written."""
    stages = sources.stages
    source = stages[stage, STAGE_BASE] + stages[stage, STAGE_HEAD]
    total = np.int64(sources.words[(source >> 2) + 1])
    memcpy(sink.octets.ctypes.data + position, sources.octets.ctypes.data + source, total)
    stages[stage, STAGE_HEAD] += total
    if stages[stage, STAGE_HEAD] == stages[stage, STAGE_TAIL]:
        stages[stage, STAGE_HEAD] = 0
        stages[stage, STAGE_TAIL] = 0
    return position + total


@njit(cache=True, nogil=True)
def merge(sources: Sources, sink: Sink, progress: State, horizon_ns: Integer) -> Integer:
    """Gather a batch of everything not later than `horizon_ns`, oldest first, until it is full or the packet limit.

    Returns the time of the oldest packet or message that is left, NEVER if there is none: with one that is not later
    than the horizon, call again. Finished blocks stay with us until `release`.
    """
    rings, stages, times = sources.rings, sources.stages, sources.times
    ring_count = rings.shape[0]
    source_count = ring_count + stages.shape[0]
    for source in range(source_count):
        if source < ring_count:
            times[source] = _ring_time(sources.words, rings, source)
        else:
            times[source] = stage_time(sources.words, stages, source - ring_count)
    progress[BATCH_VECTORS] = 0
    progress[BATCH_BYTES] = 0
    progress[BATCH_PACKETS] = 0
    begin: Integer = 0
    position: Integer = 0
    while True:
        oldest = 0
        oldest_ns: Integer = NEVER
        next_ns: Integer = NEVER
        for source in range(source_count):
            time_ns = times[source]
            if time_ns < oldest_ns:
                next_ns = oldest_ns
                oldest_ns = time_ns
                oldest = source
            elif time_ns < next_ns:
                next_ns = time_ns
        if oldest_ns > horizon_ns or oldest_ns == NEVER or _is_full(progress, position):
            break
        # Stay with this source while it is the oldest: a burst on one interface costs no comparison with the others.
        until_ns = min(next_ns, horizon_ns)
        if oldest < ring_count:
            if progress[WRITTEN_PACKETS] + progress[BATCH_PACKETS] >= sink.packet_limit:
                oldest_ns = NEVER
                break
            begin, position = _write_packets(sources, sink, progress, oldest, until_ns, begin, position)
            times[oldest] = _ring_time(sources.words, rings, oldest)
        else:
            position = _write_staged(sources, sink, oldest - ring_count, position)
            times[oldest] = stage_time(sources.words, stages, oldest - ring_count)
    _add_piece(sink, progress, sink.octets.ctypes.data + begin, position - begin)
    return oldest_ns


@njit(cache=True, nogil=True)
def release(sources: Sources) -> None:
    """Give the finished blocks back to the kernel, when everything in them is written."""
    rings, words = sources.rings, sources.words
    for ring in range(rings.shape[0]):
        finished = rings[ring, RING_FINISHED]
        blocks = rings[ring, RING_BLOCKS]
        for step in range(finished):
            block = (rings[ring, RING_CURRENT] + blocks - finished + step) % blocks
            descriptor = (rings[ring, RING_BASE] + block * rings[ring, RING_BLOCK_BYTES]) >> 2
            words[descriptor + _BLOCK_STATUS] = 0
        rings[ring, RING_FINISHED] = 0


@njit(cache=True, nogil=True)
def settled_until(sources: Sources, now_ns: Integer) -> Integer:
    """Until when all packets are handed over, in every ring: what is not later can be written in its order.

    `now_ns` must be read before.
    """
    rings, words = sources.rings, sources.words
    settled_ns = now_ns - _LATE_NS
    for ring in range(rings.shape[0]):
        blocks = rings[ring, RING_BLOCKS]
        for step in range(blocks - rings[ring, RING_FINISHED]):
            block = (rings[ring, RING_CURRENT] + step) % blocks
            descriptor = (rings[ring, RING_BASE] + block * rings[ring, RING_BLOCK_BYTES]) >> 2
            if words[descriptor + _BLOCK_STATUS] & _STATUS_USER == 0:
                # The one the kernel is filling. It counts the packets as it puts them in; with none, nothing is there
                # that we don't see. What is there came after the block was begun.
                if words[descriptor + _BLOCK_PACKETS]:
                    opened = descriptor + _BLOCK_OPENED
                    opened_ns = np.int64(words[opened]) * _NANOSECONDS + np.int64(words[opened + 1])
                    settled_ns = min(settled_ns, max(opened_ns - _LATE_NS, now_ns - HOLD_BACK_NS))
                break
    return settled_ns


@njit(cache=True, nogil=True)
def is_urgent(sources: Sources) -> bool:
    """Whether a ring or staging buffer is half full: then it is emptied at once, even if that costs some order."""
    rings, stages = sources.rings, sources.stages
    for ring in range(rings.shape[0]):
        # Blocks are filled in order: if the one half a ring ahead is ours, so are all before it.
        ahead = (rings[ring, RING_CURRENT] + rings[ring, RING_BLOCKS] // 2) % rings[ring, RING_BLOCKS]
        descriptor = (rings[ring, RING_BASE] + ahead * rings[ring, RING_BLOCK_BYTES]) >> 2
        if sources.words[descriptor + _BLOCK_STATUS] & _STATUS_USER:
            return True
    urgent = False
    for stage in range(stages.shape[0]):
        urgent |= stages[stage, STAGE_TAIL] * 2 > stages[stage, STAGE_BYTES]
    return urgent
