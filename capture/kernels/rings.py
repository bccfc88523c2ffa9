"""Compiled reading of packet rings: which blocks the kernel has handed over, and giving them back.

The layout of blocks and packets is in `layouts.py`.
"""

from typing import Final

import numpy as np

from ...kernels.handing_over import load_acquire, store_release
from ..sockets.buffers import HOLD_BACK_NS
from .columns import (
    NEVER,
    RING_BASE,
    RING_BLOCK_BYTES,
    RING_BLOCKS,
    RING_CURRENT,
    RING_FINISHED,
    RING_LEFT,
    RING_NEXT,
)
from .compiled import inlined_njit, kernel_njit
from .intake import Intake, Integer, Integers, Words
from .layouts import (
    BLOCK_FIRST_WORD,
    BLOCK_OPENED_WORD,
    BLOCK_PACKETS_WORD,
    BLOCK_STATUS_WORD,
    NANOSECONDS,
    PACKET_NANOSECONDS_WORD,
    PACKET_SECONDS_WORD,
    TP_STATUS_USER,
)

SET_BACK_NS: Final = 1_000_000_000  # later than now by so much is what came before the clock was set back
_LATE_NS: Final = 10_000_000  # a packet may come into the ring so long after it got its time


@inlined_njit
def ring_time(words: Words, rings: Integers, ring: Integer) -> Integer:
    """Time of the ring's next packet, opening the next block the kernel handed over; NEVER if there is none."""
    while rings[ring, RING_LEFT] == 0:
        if rings[ring, RING_FINISHED] == rings[ring, RING_BLOCKS]:
            return NEVER  # all the way round: these blocks must be given back first
        block = _block(rings, ring, rings[ring, RING_CURRENT])
        if not is_ours(words, block):
            return NEVER
        count = np.int64(words[(block >> 2) + BLOCK_PACKETS_WORD])
        if count == 0:
            finish_block(rings, ring)
        rings[ring, RING_LEFT] = count
        rings[ring, RING_NEXT] = block + np.int64(words[(block >> 2) + BLOCK_FIRST_WORD])
    time_ns: np.int64 = packet_time(words, rings[ring, RING_NEXT])
    return time_ns


@inlined_njit
def _block(rings: Integers, ring: Integer, number: Integer) -> Integer:
    """Arena offset of a block of the ring."""
    return np.int64(rings[ring, RING_BASE] + number * rings[ring, RING_BLOCK_BYTES])


@inlined_njit
def is_ours(words: Words, block: Integer) -> bool:
    """Whether the kernel has handed the block at the arena offset `block` over."""
    return bool(load_acquire(words, (block >> 2) + BLOCK_STATUS_WORD) & TP_STATUS_USER)


@inlined_njit
def finish_block(rings: Integers, ring: Integer) -> None:
    """The ring's current block is read to its end."""
    rings[ring, RING_FINISHED] += 1
    rings[ring, RING_CURRENT] = (rings[ring, RING_CURRENT] + 1) % rings[ring, RING_BLOCKS]


@inlined_njit
def packet_time(words: Words, packet: Integer) -> Integer:
    """Time of the packet whose tpacket3_hdr is at the arena offset `packet`."""
    header = packet >> 2
    seconds = np.int64(words[header + PACKET_SECONDS_WORD])
    return seconds * NANOSECONDS + np.int64(words[header + PACKET_NANOSECONDS_WORD])


@kernel_njit
def release(intake: Intake) -> None:
    """Give the finished blocks back to the kernel, when everything in them is written."""
    rings, words = intake.rings, intake.words
    for ring in range(rings.shape[0]):
        finished = rings[ring, RING_FINISHED]
        blocks = rings[ring, RING_BLOCKS]
        for step in range(finished):
            block = _block(rings, ring, (rings[ring, RING_CURRENT] + blocks - finished + step) % blocks)
            store_release(words, (block >> 2) + BLOCK_STATUS_WORD, 0)
        rings[ring, RING_FINISHED] = 0


@kernel_njit
def settled_until(intake: Intake, now_ns: Integer) -> Integer:
    """Until when all packets are handed over, in every ring: what is not later can be written in its order.

    `now_ns` must be read before.
    """
    rings, words = intake.rings, intake.words
    settled_ns = now_ns - _LATE_NS
    for ring in range(rings.shape[0]):
        blocks = rings[ring, RING_BLOCKS]
        for step in range(blocks - rings[ring, RING_FINISHED]):
            block = _block(rings, ring, (rings[ring, RING_CURRENT] + step) % blocks)
            if not is_ours(words, block):
                settled_ns = min(settled_ns, _filled_until(words, block, now_ns))
                break
    return settled_ns


@inlined_njit
def _filled_until(words: Words, block: Integer, now_ns: Integer) -> Integer:
    """Until when nothing can be in a block that the kernel is filling, at most `now_ns`.

    It counts the packets as it puts them in; with none, nothing is there that we don't see. What is there came after
    the block was begun.
    """
    descriptor = block >> 2
    if words[descriptor + BLOCK_PACKETS_WORD] == 0:
        return now_ns
    opened = descriptor + BLOCK_OPENED_WORD
    opened_ns = np.int64(words[opened]) * NANOSECONDS + np.int64(words[opened + 1])
    return max(opened_ns - _LATE_NS, now_ns - HOLD_BACK_NS)


@inlined_njit
def is_from_before(words: Words, rings: Integers, ring: Integer, now_ns: Integer) -> bool:
    """Whether the ring's next packet is from before the clock was set back: its time is still to come."""
    time_ns = ring_time(words, rings, ring)
    return bool(time_ns != NEVER and time_ns > now_ns + SET_BACK_NS)


@inlined_njit
def is_half_full(words: Words, rings: Integers, ring: Integer) -> bool:
    """Whether half of the ring's blocks are ours."""
    # Blocks are filled in order: if the one half a ring ahead is ours, so are all before it.
    ahead = (rings[ring, RING_CURRENT] + rings[ring, RING_BLOCKS] // 2) % rings[ring, RING_BLOCKS]
    ours: bool = is_ours(words, _block(rings, ring, ahead))
    return ours
