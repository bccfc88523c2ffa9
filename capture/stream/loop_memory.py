"""The memory that the loop works on, as Python sees it: plain memory of ctypes, for NumPy takes 0.1 s to be imported.

What lies where is said in `kernels/columns.py`; the kernels get the address of a row of numbers with all of it.
"""

import ctypes
import mmap
import platform
from collections.abc import Sequence
from typing import Any, Final

from ..kernels import columns

Row = Any
"""A row of numbers of 64 bits, by column: `ctypes.c_int64 * columns`. What is set in it the kernels see."""
_EVENT_WORDS: Final = 3 if platform.machine() == "x86_64" else 4
"""Size of struct epoll_event in words: packed on x86-64 only (<sys/epoll.h>)."""
_ROOM: Final = columns.SINK_BYTES + columns.LARGEST_BLOCK_BYTES


def new_rows(count: int, width: int) -> Any:  # noqa: ANN401 - types of ctypes that are made when they are needed
    """So many rows of so many columns, all 0."""
    return (ctypes.c_int64 * width * count)()


def new_row(width: int) -> Row:
    """One row of so many columns, all 0."""
    return (ctypes.c_int64 * width)()


class LoopMemory:
    """The arena, the rows of rings and inboxes, and what is in between them and the file."""

    def __init__(self, arena: int, arena_bytes: int, *, inboxes: int, namespaces: int = 1) -> None:
        """No ring yet, and so many empty inboxes. `arena`: its address; whoever made it keeps it as long as this.
        `namespaces`: those whose drops are recorded."""
        self.octets = memoryview((ctypes.c_uint8 * arena_bytes).from_address(arena)).cast("B")
        """The arena."""
        self.words = self.octets.cast("I")
        self.rings = new_rows(0, columns.RING_COLUMNS)
        self.inboxes = new_rows(inboxes, columns.INBOX_COLUMNS)
        self.drops = new_row(namespaces)
        """How many drops of each namespace were kept."""
        self.progress = new_row(columns.PROGRESS_COLUMNS)
        self.pieces = new_rows(columns.PIECES, 2)
        self._times = new_row(0)
        self._room = (ctypes.c_uint8 * _ROOM)()
        ctypes.memset(self._room, 0, _ROOM)  # now, and not when packets arrive: memory used for the first time is slow
        self._events = (ctypes.c_uint32 * (columns.EVENTS * _EVENT_WORDS))()
        self.given = new_row(columns.GIVEN_COLUMNS)
        """What the kernels are given: where all this is."""
        self.given[columns.GIVEN_ARENA] = arena
        self.given[columns.GIVEN_ARENA_BYTES] = arena_bytes
        self.given[columns.GIVEN_PAGE_BYTES] = mmap.PAGESIZE
        self.given[columns.GIVEN_EVENT_WORDS] = len(self._events)
        self.given[columns.GIVEN_INBOX_COUNT] = inboxes
        self.given[columns.GIVEN_DROP_COUNT] = namespaces
        self.give(descriptor=-1, packet_limit=columns.NEVER, epoll=-1, attention=-1)
        for column, memory in (
            (columns.GIVEN_INBOXES, self.inboxes), (columns.GIVEN_DROPS, self.drops),
            (columns.GIVEN_PROGRESS, self.progress), (columns.GIVEN_PIECES, self.pieces),
            (columns.GIVEN_SINK, self._room), (columns.GIVEN_EVENTS, self._events),
        ):  # fmt: skip
            self.given[column] = ctypes.addressof(memory)
        self.replace_rings([])

    def give(self, **numbers: int) -> None:
        """Tell the kernels of a `descriptor`, `packet_limit`, `epoll`, `attention` (`GIVEN_` of `columns.py`)."""
        for name, number in numbers.items():
            self.given[getattr(columns, f"GIVEN_{name.upper()}")] = number

    def replace_rings(self, known: Sequence[Row]) -> None:
        """Have copies of these rows, and no others, as those of the rings."""
        table = new_rows(len(known), columns.RING_COLUMNS)
        for number, one in enumerate(known):
            table[number][:] = one[:]
        self.rings = table
        self._times = new_row(len(known) + len(self.inboxes))
        self.given[columns.GIVEN_RINGS] = ctypes.addressof(self.rings)
        self.given[columns.GIVEN_RING_COUNT] = len(known)
        self.given[columns.GIVEN_TIMES] = ctypes.addressof(self._times)
