"""The compiled loop of a capture: wait for the kernel, receive messages, write what is old enough.

It returns to Python only when something is to be decided there: a packet costs no Python, nor does a wake-up.
"""

import errno
from typing import Final

import numpy as np

from .columns import (
    BATCH_BYTES,
    BATCH_DONE,
    BATCH_PACKETS,
    BATCH_PIECES,
    ERROR,
    EVENTS,
    INBOX_BYTES,
    INBOX_GENERATIONS,
    INBOX_OVERRUNS,
    INBOX_TAIL,
    INBOX_WAKE,
    LAST_WRITE_NS,
    LONGEST_PAUSE_NS,
    NEVER,
    NEXT_WRITE_NS,
    PAUSE_BYTES,
    PAUSE_NS,
    WRITES,
    WRITTEN_BYTES,
    WRITTEN_PACKETS,
)
from .compiled import inlined_njit, kernel_njit
from .intake import Intake, Integer, Integers, Sink, Words
from .layouts import NANOSECONDS
from .merge import is_set_back, is_urgent, merge
from .messages import compact, receive, receive_all
from .rings import release, settled_until
from .syscalls import CLOCK_MONOTONIC, CLOCK_REALTIME, clock_ns, epoll_wait, error_number, usleep, writev

_WRITE_NS: Final = 50_000_000
"""Write at most every so often, unless a buffer is half full: when woken anyway, or after twice the time."""
_MILLISECOND_NS: Final = 1_000_000
_PAUSE_BYTES: Final = 1 << 19
"""Where much comes, we sleep until so much may have come, and are not woken by every block of a ring: that costs as
much as 500 packets, and blocks are small (`sockets/ring.py`)."""
_SLOW_BYTES: Final = 1 << 21
"""A second: with less, blocks come so seldom that it is cheaper to be woken by them."""
_INTERRUPTED = errno.EINTR
_EVENT_DATA_WORDS: Final = 2
"""An event ends with its data, in whose first word Python puts the file descriptor."""


@kernel_njit
def write_until(intake: Intake, sink: Sink, progress: Integers, horizon_ns: Integer, batches: Integer) -> Integer:
    """Write everything up to `horizon_ns`, oldest first, or as many `batches`, or until `progress[PAUSE_BYTES]`.

    Returns the time of the oldest packet or message that is left, NEVER if there is none. A batch that the file did not
    take as a whole is left in the sink, for `end_batch` (`progress[BATCH_DONE]`, otherwise -1).
    """
    oldest_ns: Integer = NEVER
    for _ in range(batches):
        oldest_ns = merge(intake, sink, progress, horizon_ns)
        progress[BATCH_DONE] = -1
        if progress[BATCH_PIECES]:
            done = writev(sink.descriptor, sink.pieces.ctypes.data, progress[BATCH_PIECES])
            if done != progress[BATCH_BYTES]:
                progress[BATCH_DONE] = max(done, 0)
                return oldest_ns
        end_batch(intake, progress)
        if oldest_ns > horizon_ns or oldest_ns == NEVER or progress[WRITTEN_BYTES] >= progress[PAUSE_BYTES]:
            break
        # A message's time is that of its receipt: it must not wait until all is written.
        receive_all(intake, progress)
    compact(intake)
    return oldest_ns


@kernel_njit
def end_batch(intake: Intake, progress: Integers) -> None:
    """The batch is in the file: count it, and give the blocks it came from back to the kernel."""
    progress[WRITTEN_BYTES] += progress[BATCH_BYTES]
    progress[WRITTEN_PACKETS] += progress[BATCH_PACKETS]
    progress[BATCH_DONE] = -1
    release(intake)


@kernel_njit
def record(
    intake: Intake,
    sink: Sink,
    progress: Integers,
    epoll: Integer,
    events: Words,
    attention: Integer,
    newest_ns: Integer,
    timeout_ns: Integer,
) -> None:
    """Receive and write for `timeout_ns`, or until Python has something to do.

    That is when the descriptor `attention` is readable, a batch was not taken as a whole, the packet limit or
    `progress[PAUSE_BYTES]` is reached, a ruleset changed, messages were lost, or a socket failed. Nothing later than
    `newest_ns` is written. `events` is room for the answers of `epoll`, whose events carry descriptors.
    """
    heard = _heard(intake.inboxes)
    now_ns = clock_ns(CLOCK_MONOTONIC, progress)
    end_ns = now_ns + timeout_ns
    if progress[NEXT_WRITE_NS] == NEVER:
        progress[NEXT_WRITE_NS] = now_ns  # stamped messages wake nobody
    fuller, woken = True, False
    while True:
        # Only what has just got another block can be half full now that was not before.
        urgent = fuller and is_urgent(intake)
        if urgent or now_ns >= progress[NEXT_WRITE_NS] - (_WRITE_NS if woken else 0):
            _write_what_is_due(intake, sink, progress, now_ns, newest_ns, urgent)
            if progress[BATCH_DONE] >= 0:
                return
        if _is_reached(sink, progress) or progress[ERROR] or _heard(intake.inboxes) != heard or now_ns >= end_ns:
            return
        count, woken = _await(progress, epoll, events, min(end_ns, progress[NEXT_WRITE_NS]) - now_ns)
        asked, fuller = _see_to_events(intake, progress, events, count, attention)
        now_ns = clock_ns(CLOCK_MONOTONIC, progress)
        if woken and progress[NEXT_WRITE_NS] == NEVER:
            progress[NEXT_WRITE_NS] = now_ns + 2 * _WRITE_NS
        if asked:
            return


@inlined_njit
def _is_reached(sink: Sink, progress: Integers) -> bool:
    """Whether so many packets or bytes are written as were asked for."""
    packets: bool = progress[WRITTEN_PACKETS] >= sink.packet_limit
    written: bool = progress[WRITTEN_BYTES] >= progress[PAUSE_BYTES]
    return packets or written


@kernel_njit
def _write_what_is_due(
    intake: Intake, sink: Sink, progress: Integers, now_ns: Integer, newest_ns: Integer, urgent: Integer
) -> None:
    """Receive all messages, and write what can be written in its order, or everything if it is urgent.

    `now_ns` is on the monotonic clock, as is the time of the next writing.
    """
    real_ns = clock_ns(CLOCK_REALTIME, progress)
    settled_ns = settled_until(intake, real_ns)
    receive_all(intake, progress)
    horizon_ns = min(NEVER - 1 if urgent else settled_ns, newest_ns)
    if is_set_back(intake, real_ns):
        horizon_ns = NEVER - 1
    before = progress[WRITTEN_BYTES]
    oldest_ns = write_until(intake, sink, progress, horizon_ns, np.int64(WRITES))
    if progress[BATCH_DONE] < 0:
        progress[NEXT_WRITE_NS] = NEVER if oldest_ns == NEVER else now_ns + 2 * _WRITE_NS
        _set_pause(progress, progress[WRITTEN_BYTES] - before, now_ns)


@inlined_njit
def _wait(progress: Integers, epoll: Integer, events: Words, wait_ns: Integer) -> Integer:
    """Wait for events; returns how many there are, less than 0 when something interrupted or failed."""
    wait_ms = max(0, -(-wait_ns // _MILLISECOND_NS))
    count = epoll_wait(epoll, events.ctypes.data, EVENTS, wait_ms)
    if count < 0 and error_number() != _INTERRUPTED:
        progress[ERROR] = error_number()
    return np.int64(count)


@inlined_njit
def _set_pause(progress: Integers, written: Integer, now_ns: Integer) -> None:
    """Choose how to wait from now on: `written` is how many bytes came since the last writing."""
    since_ns = min(max(now_ns - progress[LAST_WRITE_NS], 1), NANOSECONDS)
    progress[LAST_WRITE_NS] = now_ns
    is_slow = written * NANOSECONDS < _SLOW_BYTES * since_ns
    progress[PAUSE_NS] = 0 if is_slow else min(_PAUSE_BYTES * since_ns // written, progress[LONGEST_PAUSE_NS])


@inlined_njit
def _await(progress: Integers, epoll: Integer, events: Words, wait_ns: Integer) -> tuple[Integer, bool]:
    """Wait for something to happen, or pause where much does.

    Returns the number of events, and whether there may be something to write.
    """
    pausing = progress[PAUSE_NS] > 0
    if pausing:
        usleep(min(progress[PAUSE_NS], max(wait_ns, 0)) // 1000)
    count = _wait(progress, epoll, events, 0 if pausing else wait_ns)
    return count, count > 0 or pausing


@inlined_njit
def _see_to_events(
    intake: Intake, progress: Integers, events: Words, count: Integer, attention: Integer
) -> tuple[bool, bool]:
    """Receive from the sockets that woke us; returns whether `attention` did too, and whether something may be half
    full now."""
    asked = False
    fuller = count == EVENTS
    size = events.shape[0] // EVENTS  # of struct epoll_event: packed on x86-64 only (<sys/epoll.h>)
    for number in range(count):
        descriptor = np.int64(events[(number + 1) * size - _EVENT_DATA_WORDS])
        inbox = _inbox_of(intake.inboxes, descriptor)
        if inbox >= 0:
            receive(intake, inbox, progress)
            fuller |= intake.inboxes[inbox, INBOX_TAIL] * 2 > intake.inboxes[inbox, INBOX_BYTES]
        elif descriptor == attention:
            asked = True
        else:
            fuller = True
    return asked, fuller


@inlined_njit
def _inbox_of(inboxes: Integers, descriptor: Integer) -> Integer:
    """The inbox that this descriptor wakes us for, -1 if it is none."""
    for inbox in range(inboxes.shape[0]):
        if inboxes[inbox, INBOX_WAKE] == descriptor:
            return inbox
    return -1


@inlined_njit
def _heard(inboxes: Integers) -> Integer:
    """Grows when a ruleset changes or messages are lost."""
    total = 0
    for inbox in range(inboxes.shape[0]):
        total += inboxes[inbox, INBOX_GENERATIONS] + inboxes[inbox, INBOX_OVERRUNS]
    return total
