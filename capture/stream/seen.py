"""What the kernels have seen of what was waited for (`kernels/watching.py`)."""

from collections.abc import Sequence

from ..kernels.columns import (
    INBOX_SEEN,
    INBOX_SEEN_FIRST_NS,
    INBOX_SEEN_LAST_NS,
    RING_SEEN_FIRST_NS,
    RING_SEEN_LAST_NS,
    SEEN_RESET,
)
from .loop_memory import Row


def take_seen(rings: Sequence[Row], inboxes: Sequence[Row]) -> tuple[int, int, int]:
    """(which SEEN bits, the earliest time, the latest) of what was seen since the last call; (0, 0, 0) for nothing."""
    seen, first, last = 0, [], []
    for ring in rings:
        if ring[RING_SEEN_FIRST_NS]:
            seen |= SEEN_RESET
            first.append(ring[RING_SEEN_FIRST_NS])
            last.append(ring[RING_SEEN_LAST_NS])
            ring[RING_SEEN_FIRST_NS] = 0
    for inbox in inboxes:
        if inbox[INBOX_SEEN_FIRST_NS]:
            seen |= inbox[INBOX_SEEN]
            first.append(inbox[INBOX_SEEN_FIRST_NS])
            last.append(inbox[INBOX_SEEN_LAST_NS])
            inbox[INBOX_SEEN_FIRST_NS] = inbox[INBOX_SEEN] = 0
    return (int(seen), int(min(first)), int(max(last))) if first else (0, 0, 0)
