"""How long the loop may sleep while packets come, instead of being woken by every block of a ring."""

from collections.abc import Sequence
from typing import Final

from ..kernels import columns
from ..sockets.netfilter import NetfilterSocket
from .loop_memory import Row

_FASTEST_BYTES: Final = 1 << 29
"""A second, all of a sudden: 2 million packets of 64 bytes, or 400,000 messages."""
_MOST_BYTES: Final = 16 << 20
"""Longer pauses, for larger buffers, save nothing."""


def longest_pause_ns(rings: Sequence[Row], sockets: list[NetfilterSocket]) -> int:
    """So long that no buffer is full then, whatever comes; 0 where a message has the time of its receipt."""
    if not all(listener.stamps for listener in sockets):
        return 0
    sizes = [ring[columns.RING_BLOCKS] * ring[columns.RING_BLOCK_BYTES] for ring in rings]
    least = min([_MOST_BYTES, *sizes, *(listener.buffer_bytes for listener in sockets)])
    return int(least * 1_000_000_000 // _FASTEST_BYTES)
