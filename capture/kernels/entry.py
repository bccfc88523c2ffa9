"""The kernels that Python calls: with numbers alone, so that they can be called without numba and NumPy as well.

The first is the address of a row that says where all else is (`GIVEN_` of `columns.py`). Compiled ahead, these are the
functions of a shared object (`ahead/`); else numba compiles them where they are called (`stream/ready.py`).
"""

import numpy as np

from ...kernels.views import halfwords_at, integers_at, octets_at, rows_at, words_at
from . import loop, merge, messages, rings
from .columns import (
    GIVEN_ARENA,
    GIVEN_ARENA_BYTES,
    GIVEN_ATTENTION,
    GIVEN_COLUMNS,
    GIVEN_DESCRIPTOR,
    GIVEN_DROP_COUNT,
    GIVEN_DROPS,
    GIVEN_EPOLL,
    GIVEN_EVENT_WORDS,
    GIVEN_EVENTS,
    GIVEN_INBOX_COUNT,
    GIVEN_INBOXES,
    GIVEN_PACKET_LIMIT,
    GIVEN_PAGE_BYTES,
    GIVEN_PIECES,
    GIVEN_PROGRESS,
    GIVEN_RING_COUNT,
    GIVEN_RINGS,
    GIVEN_SINK,
    GIVEN_TIMES,
    INBOX_COLUMNS,
    LARGEST_BLOCK_BYTES,
    PIECES,
    PROGRESS_COLUMNS,
    RING_COLUMNS,
    SINK_BYTES,
)
from .compiled import inlined_njit, kernel_njit
from .intake import Intake, Integer, Sink

_ROOM: int = SINK_BYTES + LARGEST_BLOCK_BYTES


@inlined_njit
def _intake(row: Integer) -> Intake:
    given = integers_at(row, GIVEN_COLUMNS)
    arena, size = given[GIVEN_ARENA], given[GIVEN_ARENA_BYTES]
    ring_count, inbox_count = given[GIVEN_RING_COUNT], given[GIVEN_INBOX_COUNT]
    return Intake(
        octets_at(arena, size),
        halfwords_at(arena, size >> 1),
        words_at(arena, size >> 2),
        integers_at(arena, size >> 3),
        rows_at(given[GIVEN_RINGS], ring_count, RING_COLUMNS),
        rows_at(given[GIVEN_INBOXES], inbox_count, INBOX_COLUMNS),
        integers_at(given[GIVEN_TIMES], ring_count + inbox_count),
        integers_at(given[GIVEN_DROPS], given[GIVEN_DROP_COUNT]),
        given[GIVEN_PAGE_BYTES],
    )


@inlined_njit
def _sink(row: Integer) -> Sink:
    given = integers_at(row, GIVEN_COLUMNS)
    return Sink(
        octets_at(given[GIVEN_SINK], _ROOM),
        words_at(given[GIVEN_SINK], _ROOM >> 2),
        rows_at(given[GIVEN_PIECES], PIECES, 2),
        given[GIVEN_DESCRIPTOR],
        given[GIVEN_PACKET_LIMIT],
    )


@inlined_njit
def _progress(row: Integer) -> Integer:
    """Its address: numba lets no function return an array that it was not given."""
    return np.int64(integers_at(row, GIVEN_COLUMNS)[GIVEN_PROGRESS])


@kernel_njit
def record(row: Integer, newest_ns: Integer, timeout_ns: Integer) -> Integer:
    """`loop.record`."""
    given = integers_at(row, GIVEN_COLUMNS)
    events = words_at(given[GIVEN_EVENTS], given[GIVEN_EVENT_WORDS])
    intake, sink, progress = _intake(row), _sink(row), integers_at(_progress(row), PROGRESS_COLUMNS)
    loop.record(intake, sink, progress, given[GIVEN_EPOLL], events, given[GIVEN_ATTENTION], newest_ns, timeout_ns)
    return 0


@kernel_njit
def write_until(row: Integer, horizon_ns: Integer, batches: Integer) -> Integer:
    """`loop.write_until`."""
    progress = integers_at(_progress(row), PROGRESS_COLUMNS)
    return np.int64(loop.write_until(_intake(row), _sink(row), progress, horizon_ns, batches))


@kernel_njit
def end_batch(row: Integer) -> Integer:
    """`loop.end_batch`."""
    loop.end_batch(_intake(row), integers_at(_progress(row), PROGRESS_COLUMNS))
    return 0


@kernel_njit
def is_urgent(row: Integer, now_ns: Integer) -> Integer:
    """`merge.is_urgent` or `merge.is_set_back`."""
    intake = _intake(row)
    return np.int64(merge.is_urgent(intake) or merge.is_set_back(intake, now_ns))


@kernel_njit
def settled_until(row: Integer, now_ns: Integer) -> Integer:
    """`rings.settled_until`."""
    return np.int64(rings.settled_until(_intake(row), now_ns))


@kernel_njit
def receive_all(row: Integer) -> Integer:
    """`messages.receive_all`."""
    messages.receive_all(_intake(row), integers_at(_progress(row), PROGRESS_COLUMNS))
    return 0


@kernel_njit
def count_waiting(row: Integer, inbox: Integer, shift: Integer, only: Integer) -> Integer:
    """`messages.count_waiting`."""
    return np.int64(messages.count_waiting(_intake(row), inbox, shift, only))


ENTRIES = {
    kernel.__name__: kernel
    for kernel in (record, write_until, end_batch, is_urgent, settled_until, receive_all, count_waiting)
}
"""By name, as in `ENTRY_NUMBERS`."""
