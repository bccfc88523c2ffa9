"""The compiled loop of a capture: wait for the kernel, receive messages, write what is old enough.

It returns to Python only when something is to be decided there: a packet costs no Python, nor does a wake-up.
"""

import errno
from typing import Final

import numpy as np

from ...kernels.njit import njit
from .convert import is_urgent, merge, release, settled_until
from .sources import (
    BATCH_BYTES,
    BATCH_DONE,
    BATCH_PACKETS,
    BATCH_VECTORS,
    ERROR,
    NEVER,
    NEXT_ROUND_NS,
    STAGE_BYTES,
    STAGE_GENERATIONS,
    STAGE_OVERRUNS,
    STAGE_TAIL,
    STAGE_WAKE,
    WRITTEN_BYTES,
    WRITTEN_PACKETS,
    Integer,
    Sink,
    Sources,
    State,
    Words,
)
from .staging import compact, receive, receive_all
from .syscalls import (
    CLOCK_MONOTONIC,
    CLOCK_REALTIME,
    EVENT_DATA,
    EVENT_WORDS,
    clock_ns,
    epoll_wait,
    error_number,
    writev,
)

ROUND_NS: Final = 50_000_000
"""Write at most every so often, unless a buffer is half full: when woken anyway, or after twice the time."""
BATCHES: Final = 64
"""Written at most before anything else has its turn: under a flood there is always another one."""
EVENTS: Final = 64
"""Of one epoll_wait."""

_MILLISECOND_NS: Final = 1_000_000
_INTERRUPTED = errno.EINTR


@njit(cache=True, nogil=True)
def write_until(sources: Sources, sink: Sink, progress: State, horizon_ns: Integer, batches: Integer) -> Integer:
    """Write everything up to `horizon_ns`, oldest first, or as many `batches`.

    Returns the time of the oldest packet or message that is left, NEVER if there is none. A batch that the file did not
    take as a whole is left in the sink, for `end_batch` (`progress[BATCH_DONE]`, otherwise -1).
    """
    oldest_ns: Integer = NEVER
    for _ in range(batches):
        oldest_ns = merge(sources, sink, progress, horizon_ns)
        progress[BATCH_DONE] = -1
        if progress[BATCH_VECTORS]:
            done = writev(sink.descriptor, sink.vectors.ctypes.data, progress[BATCH_VECTORS])
            if done != progress[BATCH_BYTES]:
                progress[BATCH_DONE] = max(done, 0)
                return oldest_ns
        end_batch(sources, progress)
        if oldest_ns > horizon_ns or oldest_ns == NEVER:
            break
        # A message's time is that of its receipt: it must not wait until all is written.
        receive_all(sources, progress)
    compact(sources)
    return oldest_ns


@njit(cache=True, nogil=True)
def end_batch(sources: Sources, progress: State) -> None:
    """The batch is in the file: count it, and give the blocks it came from back to the kernel."""
    progress[WRITTEN_BYTES] += progress[BATCH_BYTES]
    progress[WRITTEN_PACKETS] += progress[BATCH_PACKETS]
    progress[BATCH_DONE] = -1
    release(sources)


@njit(cache=True, nogil=True)
def record(
    sources: Sources,
    sink: Sink,
    progress: State,
    epoll: Integer,
    events: Words,
    attention: Integer,
    newest_ns: Integer,
    timeout_ns: Integer,
) -> None:
    """Receive and write for `timeout_ns`, or until Python has something to do.

    That is when the descriptor `attention` is readable, a batch was not taken as a whole, the packet limit is reached,
    a ruleset changed, messages were lost, or a socket failed. Nothing later than `newest_ns` is written. `events` is
    room for the answers of `epoll`, whose events carry descriptors.
    """
    heard = _heard(sources.stages)
    now_ns = clock_ns(CLOCK_MONOTONIC, progress)
    end_ns = now_ns + timeout_ns
    if progress[NEXT_ROUND_NS] == NEVER:
        progress[NEXT_ROUND_NS] = now_ns  # stamped messages wake nobody
    fuller = True
    woken = False
    while True:
        # Only what has just got another block can be half full now that was not before.
        urgent = fuller and is_urgent(sources)
        if urgent or now_ns >= progress[NEXT_ROUND_NS] - (ROUND_NS if woken else 0):
            settled_ns = settled_until(sources, clock_ns(CLOCK_REALTIME, progress))
            receive_all(sources, progress)
            horizon_ns = NEVER - 1 if urgent else settled_ns
            oldest_ns = write_until(sources, sink, progress, min(horizon_ns, newest_ns), BATCHES)
            if progress[BATCH_DONE] >= 0:
                return
            progress[NEXT_ROUND_NS] = NEVER if oldest_ns == NEVER else now_ns + 2 * ROUND_NS
        if progress[WRITTEN_PACKETS] >= sink.packet_limit or progress[ERROR] or _heard(sources.stages) != heard:
            return
        if now_ns >= end_ns:
            return
        wait_ns = min(end_ns, progress[NEXT_ROUND_NS]) - now_ns
        wait_ms = max(0, -(-wait_ns // _MILLISECOND_NS))
        count = epoll_wait(epoll, events.ctypes.data, EVENTS, wait_ms)
        if count < 0 and error_number() != _INTERRUPTED:
            progress[ERROR] = error_number()
        asked = False
        fuller = count == EVENTS
        for number in range(count):
            descriptor = np.int64(events[number * EVENT_WORDS + EVENT_DATA])
            stage = _stage_of(sources.stages, descriptor)
            if stage >= 0:
                receive(sources, stage, progress)
                fuller |= sources.stages[stage, STAGE_TAIL] * 2 > sources.stages[stage, STAGE_BYTES]
            elif descriptor == attention:
                asked = True
            else:
                fuller = True
        now_ns = clock_ns(CLOCK_MONOTONIC, progress)
        woken = count > 0
        if woken and progress[NEXT_ROUND_NS] == NEVER:
            progress[NEXT_ROUND_NS] = now_ns + 2 * ROUND_NS
        if asked:
            return


@njit(cache=True, nogil=True)
def _stage_of(stages: State, descriptor: Integer) -> Integer:
    """The stage that this descriptor wakes us for, -1 if it is none."""
    for stage in range(stages.shape[0]):
        if stages[stage, STAGE_WAKE] == descriptor:
            return stage
    return -1


@njit(cache=True, nogil=True)
def _heard(stages: State) -> Integer:
    """Grows when a ruleset changes or messages are lost."""
    total = 0
    for stage in range(stages.shape[0]):
        total += stages[stage, STAGE_GENERATIONS] + stages[stage, STAGE_OVERRUNS]
    return total
