"""What the compiled loop works on, as arrays: where packets and messages come in, and where they go.

All rings and inboxes live in one arena (`sockets/arena.py`), which the kernels see four times: as bytes, and as words
of 16, 32 and 64 bits. Where rings and inboxes stand is rows of integers (`columns.py`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    drops: Integers
    """Drops of the kernel that were kept, by namespace, of a capture that records them."""
    page_bytes: int
    """Ring buffers of BPF have two pages in front: one begins with how far we have read, one with how far the kernel
    has written."""


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
