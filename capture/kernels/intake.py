"""What the compiled loop works on, as arrays: where packets and messages come in, and where they go.

All rings and inboxes live in one arena (`arena.py`), which the kernels see four times: as bytes, and as words of 16,
32 and 64 bits. Where rings and inboxes stand is rows of integers (`columns.py`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import columns

Bytes = NDArray[np.uint8]
Halfwords = NDArray[np.uint16]
Words = NDArray[np.uint32]
Integers = NDArray[np.int64]
Integer = int | np.int64
"""Compiled, both are the same."""


class Intake(NamedTuple):
    """Where packets and messages come in: packet rings, and inboxes. Each of either is an inlet, counted on in this
    order."""

    octets: Bytes
    """The arena; so the next three."""
    halfwords: Halfwords
    words: Words
    longwords: Integers
    rings: Integers
    """Rows of `RING_COLUMNS`."""
    inboxes: Integers
    """Rows of `INBOX_COLUMNS`."""
    times: Integers
    """Scratch: time of the oldest packet or message of each inlet."""
    drops: Integers = np.zeros(1, dtype=np.int64)
    """Drops of the kernel that were kept, by namespace, of a capture that records them."""


class Sink(NamedTuple):
    """Where finished blocks are gathered, and the file they go to."""

    octets: Bytes
    """Blocks, or only what stands around packets that are written from where they are."""
    words: Words
    """The same memory."""
    pieces: Integers
    """Rows of address and length (struct iovec of 64-bit machines): the pieces of a batch in their order."""
    descriptor: int
    """File descriptor."""
    packet_limit: int
    """Packets to write in all."""


def make_intake(memory: Bytes, *, inboxes: int, namespaces: int = 0) -> Intake:
    """An intake over an arena, with no ring yet and so many empty inboxes.

    `namespaces`: those whose drops are recorded.
    """
    return Intake(
        octets=memory,
        halfwords=memory.view(np.uint16),
        words=memory.view(np.uint32),
        longwords=memory.view(np.int64),
        rings=np.zeros((0, columns.RING_COLUMNS), dtype=np.int64),
        inboxes=np.zeros((inboxes, columns.INBOX_COLUMNS), dtype=np.int64),
        times=np.zeros(inboxes, dtype=np.int64),
        drops=np.zeros(namespaces, dtype=np.int64),
    )


def make_sink(descriptor: int, packet_limit: int) -> Sink:
    """A sink of its own memory, for a file and a number of packets."""
    room = np.empty(columns.SINK_BYTES + columns.LARGEST_BLOCK_BYTES, dtype=np.uint8)
    room.fill(0)  # now, and not when packets arrive: memory that is used for the first time is slow
    return Sink(
        octets=room,
        words=room.view(np.uint32),
        pieces=np.zeros((columns.PIECES, 2), dtype=np.int64),
        descriptor=descriptor,
        packet_limit=packet_limit,
    )
