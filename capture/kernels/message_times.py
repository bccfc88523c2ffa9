"""Compiled: the time of each netlink message, from where the kernel noted it (`sockets/stamps.py`)."""

from typing import Final

import numpy as np

from ...kernels.handing_over import load_acquire, store_release
from ..sockets.buffers import STAMP_BYTES
from .columns import INBOX_LAST_NS, INBOX_STAMPS, INBOX_STAMPS_BYTES, NEVER
from .compiled import inlined_njit
from .intake import Intake, Integer, Integers
from .layouts import BPF_RINGBUF_BUSY_BIT, STAMP_TIME
from .syscalls import CLOCK_MONOTONIC, CLOCK_REALTIME, clock_ns

_SET_BACK_NS: Final = 100_000_000  # by so much and more only somebody who sets the clock lets it go back


@inlined_njit
def clock_offset(progress: Integers) -> Integer:
    """What to add to a time of the monotonic clock to have it in nanoseconds since 1970."""
    best_ns: Integer = NEVER
    offset_ns: Integer = 0
    for _ in range(3):  # we may be interrupted between the clocks
        before_ns = clock_ns(CLOCK_MONOTONIC, progress)
        real_ns = clock_ns(CLOCK_REALTIME, progress)
        apart_ns = clock_ns(CLOCK_MONOTONIC, progress) - before_ns
        if apart_ns < best_ns:
            best_ns = apart_ns
            offset_ns = real_ns - before_ns - apart_ns // 2
    return offset_ns


@inlined_njit
def take_time(intake: Intake, inbox: Integer, now_ns: Integer, offset_ns: Integer) -> Integer:
    """The time of the inbox's next message: its stamp, or `now_ns`, which is that of its receipt."""
    inboxes = intake.inboxes
    stamp_ns = _next_stamp(intake, inbox)
    if stamp_ns != NEVER:
        _give_back_stamp(intake, inbox)
    return np.int64(not_before(inboxes, inbox, now_ns if stamp_ns == NEVER else min(now_ns, stamp_ns + offset_ns)))


@inlined_njit
def not_before(inboxes: Integers, inbox: Integer, time_ns: Integer) -> Integer:
    """This time, or that of the message before it in the inbox if it is later, unless the clock was set back."""
    last_ns = inboxes[inbox, INBOX_LAST_NS]
    inboxes[inbox, INBOX_LAST_NS] = time_ns if last_ns - time_ns > _SET_BACK_NS else max(last_ns, time_ns)
    return np.int64(inboxes[inbox, INBOX_LAST_NS])


@inlined_njit
def skip_stamps(intake: Intake, inbox: Integer, until_ns: Integer) -> None:
    """All messages are received: stamps not later than `until_ns` are of messages that were lost on their way."""
    while _next_stamp(intake, inbox) <= until_ns:
        _give_back_stamp(intake, inbox)


@inlined_njit
def _give_back_stamp(intake: Intake, inbox: Integer) -> None:
    """The kernel may put another one where the oldest stamp is."""
    longwords, position = intake.longwords, intake.inboxes[inbox, INBOX_STAMPS] >> 3
    store_release(longwords, position, longwords[position] + STAMP_BYTES)


@inlined_njit
def _next_stamp(intake: Intake, inbox: Integer) -> Integer:
    """The oldest stamp of the inbox, on the monotonic clock; NEVER if there is none."""
    header = intake.inboxes[inbox, INBOX_STAMPS]
    if header == 0:
        return NEVER
    longwords = intake.longwords
    read = longwords[header >> 3]
    if read == load_acquire(longwords, (header + intake.page_bytes) >> 3):
        return NEVER
    stamp = header + 2 * intake.page_bytes + (read & (intake.inboxes[inbox, INBOX_STAMPS_BYTES] - 1))
    if load_acquire(intake.words, stamp >> 2) & BPF_RINGBUF_BUSY_BIT:
        return NEVER
    return np.int64(longwords[(stamp + STAMP_TIME) >> 3])
