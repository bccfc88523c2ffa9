"""A batch of finished blocks: pieces of memory that one writev puts into the file, in their order.

Short packets are copied in between their headers, long ones are written from where they are in the ring.
"""

from typing import Final

from .columns import BATCH_BYTES, BATCH_PACKETS, BATCH_PIECES, PIECES, SINK_BYTES
from .compiled import inlined_njit
from .intake import Integer, Integers, Sink

_BATCH_BYTES: Final = 1 << 22  # a batch of packets that are not copied is written when it has so many


@inlined_njit
def begin_batch(progress: Integers) -> None:
    """A batch with nothing in it."""
    progress[BATCH_PIECES] = 0
    progress[BATCH_BYTES] = 0
    progress[BATCH_PACKETS] = 0


@inlined_njit
def add_piece(sink: Sink, progress: Integers, address: Integer, length: Integer) -> None:
    """Add `length` bytes at `address` to the batch."""
    if length:
        piece = progress[BATCH_PIECES]
        sink.pieces[piece, 0] = address
        sink.pieces[piece, 1] = length
        progress[BATCH_PIECES] = piece + 1
        progress[BATCH_BYTES] += length


@inlined_njit
def is_full(progress: Integers, position: Integer) -> bool:
    """Whether the batch, whose blocks end at `position` of the sink, has to be written before another packet is put
    into it."""
    # One packet makes two pieces, and what stands behind the last one is a piece too.
    no_piece = progress[BATCH_PIECES] + 3 > PIECES
    return bool(position >= SINK_BYTES or no_piece or progress[BATCH_BYTES] >= _BATCH_BYTES)
