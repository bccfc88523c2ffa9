"""The compiled half of a netlink socket: datagrams are received in batches, cut into messages, and staged as blocks.

Layouts: struct mmsghdr (<sys/socket.h>), nlmsghdr (linux/netlink.h).
"""

import errno
from typing import Final

import numpy as np

from ...kernels.njit import njit
from ..sockets.netfilter import BATCH_WORDS, LENGTH_WORD, SLOT_BYTES, SLOTS
from ..sockets.stamps import HEADER_BYTES, STAMP_BYTES
from .sources import (
    ERROR,
    NEVER,
    NO_SOCKET,
    STAGE_BASE,
    STAGE_BATCH,
    STAGE_BYTES,
    STAGE_CONNTRACK,
    STAGE_DESCRIPTOR,
    STAGE_GENERATIONS,
    STAGE_HEAD,
    STAGE_INTERFACE,
    STAGE_LAST_NS,
    STAGE_MALFORMED,
    STAGE_MESSAGES,
    STAGE_OVERRUNS,
    STAGE_SLOTS,
    STAGE_STAMPS,
    STAGE_STAMPS_BYTES,
    STAGE_TAIL,
    STAGE_TRACE,
    Integer,
    Sources,
    State,
    Words,
)
from .syscalls import CLOCK_MONOTONIC, CLOCK_REALTIME, clock_ns, error_number, memcpy, recvmmsg

_OVERHEAD: Final = 48  # enhanced packet block: 28 in front, 16 of pseudo-header, 4 behind
_BATCHES: Final = 16  # received from one socket before something else has its turn: rings fill up meanwhile
_COMPACT_BYTES: Final = 1 << 16  # not worth the while with less
_IN_FLIGHT_NS: Final = 1_000_000  # a message may be queued so long after it got its stamp
_SET_BACK_NS: Final = 100_000_000  # by so much and more only somebody who sets the clock lets it go back
_BUSY: Final = 1 << 31  # of a ring buffer's record: it is not complete yet (BPF_RINGBUF_BUSY_BIT)
_MSG_DONTWAIT: Final = 0x40
_AGAIN, _INTERRUPTED, _NO_BUFFERS = errno.EAGAIN, errno.EINTR, errno.ENOBUFS


@njit(cache=True, nogil=True)
def receive_all(sources: Sources, progress: State) -> None:
    """Receive what waits in every socket, a few batches of each at most."""
    for stage in range(sources.stages.shape[0]):
        if sources.stages[stage, STAGE_DESCRIPTOR] != NO_SOCKET:
            receive(sources, stage, progress)


@njit(cache=True, nogil=True)
def receive(sources: Sources, stage: Integer, progress: State) -> None:
    """Receive what waits in one socket, a few batches at most, unless its staging buffer is full. Counts ENOBUFS.

    A message gets the time at which the kernel queued it, or else that of its receipt. An error that nobody expects
    goes to `progress[ERROR]`.
    """
    stages = sources.stages
    for _ in range(_BATCHES):
        if stages[stage, STAGE_BYTES] - stages[stage, STAGE_TAIL] < 2 * SLOTS * SLOT_BYTES:
            return
        batch = sources.octets.ctypes.data + stages[stage, STAGE_BATCH]
        before_ns = clock_ns(CLOCK_MONOTONIC, progress)
        count = recvmmsg(stages[stage, STAGE_DESCRIPTOR], batch, SLOTS, _MSG_DONTWAIT, 0)
        if count < 0:
            number = error_number()
            if number == _NO_BUFFERS:
                # Said once, ahead of the data still queued: what is lost was sent after that data.
                stages[stage, STAGE_OVERRUNS] += 1
                continue
            if number not in (_AGAIN, _INTERRUPTED):
                progress[ERROR] = number
            return
        now_ns = clock_ns(CLOCK_REALTIME, progress)
        offset_ns = _offset(progress)
        _stage_batch(sources, stage, np.int64(count), now_ns, offset_ns)
        if count < SLOTS:
            _skip_stamps(sources, stage, before_ns - _IN_FLIGHT_NS)
            return


@njit(cache=True, nogil=True)
def _offset(progress: State) -> Integer:
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


@njit(cache=True, nogil=True)
def _next_stamp(sources: Sources, stage: Integer) -> Integer:
    """The oldest stamp of the socket, on the monotonic clock; NEVER if there is none."""
    header = sources.stages[stage, STAGE_STAMPS]
    if header == 0:
        return NEVER
    longwords = sources.longwords
    read = longwords[header >> 3]
    if read == longwords[(header + HEADER_BYTES // 2) >> 3]:
        return NEVER
    stamp = header + HEADER_BYTES + (read & (sources.stages[stage, STAGE_STAMPS_BYTES] - 1))
    if sources.words[stamp >> 2] & _BUSY:
        return NEVER
    return np.int64(longwords[(stamp + 8) >> 3])


@njit(cache=True, nogil=True)
def _take_stamp(sources: Sources, stage: Integer, now_ns: Integer, offset_ns: Integer) -> Integer:
    """The time of the socket's next message: its stamp, or `now_ns`, which is that of its receipt."""
    stages = sources.stages
    stamp_ns = _next_stamp(sources, stage)
    if stamp_ns != NEVER:
        sources.longwords[stages[stage, STAGE_STAMPS] >> 3] += STAMP_BYTES
    time_ns = now_ns if stamp_ns == NEVER else min(now_ns, stamp_ns + offset_ns)
    last_ns = stages[stage, STAGE_LAST_NS]
    stages[stage, STAGE_LAST_NS] = time_ns if last_ns - time_ns > _SET_BACK_NS else max(last_ns, time_ns)
    return np.int64(stages[stage, STAGE_LAST_NS])


@njit(cache=True, nogil=True)
def _skip_stamps(sources: Sources, stage: Integer, until_ns: Integer) -> None:
    """All messages are received: stamps not later than `until_ns` are of messages that were lost on their way."""
    while _next_stamp(sources, stage) <= until_ns:
        sources.longwords[sources.stages[stage, STAGE_STAMPS] >> 3] += STAMP_BYTES


@njit(cache=True, nogil=True)
def _stage_batch(sources: Sources, stage: Integer, count: Integer, now_ns: Integer, offset_ns: Integer) -> None:
    """Turn `count` netlink datagrams into waiting packet blocks, one per message, and count them by kind.

    They were received at `now_ns`; stamps are on a clock that `offset_ns` is added to. The staging buffer must have
    room for all of them. Control messages (acknowledgements, end of dump) are left out.
    """
    words, halfwords, stages = sources.words, sources.halfwords, sources.stages
    base = stages[stage, STAGE_BASE]
    batch = stages[stage, STAGE_BATCH] >> 2
    for slot in range(count):
        time_ns = _take_stamp(sources, stage, now_ns, offset_ns)
        message = stages[stage, STAGE_SLOTS] + slot * SLOT_BYTES
        end = message + np.int64(words[batch + slot * BATCH_WORDS + LENGTH_WORD])
        while message + 16 <= end:
            length = np.int64(words[message >> 2])
            if length < 16 or message + length > end:
                stages[stage, STAGE_MALFORMED] += 1
                break
            kind = np.int64(halfwords[(message >> 1) + 2])
            flags = np.int64(halfwords[(message >> 1) + 3])
            if kind >= 16:
                block = base + stages[stage, STAGE_TAIL]
                _stage_message(sources, block, message, length, time_ns, stages[stage, STAGE_INTERFACE])
                stages[stage, STAGE_TAIL] += _OVERHEAD + ((length + 3) & ~3)
                stages[stage, STAGE_MESSAGES] += 1
                if kind in (0x0A11, 0x0400):
                    stages[stage, STAGE_TRACE] += 1
                elif kind >> 8 == 1 and flags & 2 == 0:
                    stages[stage, STAGE_CONNTRACK] += 1
                elif kind == 0x0A0F:
                    stages[stage, STAGE_GENERATIONS] += 1
            message += (length + 3) & ~3


@njit(cache=True, nogil=True)
def _stage_message(
    sources: Sources, block: Integer, message: Integer, length: Integer, time_ns: Integer, interface: Integer
) -> None:
    """Write one netlink message as an enhanced packet block at the arena offset `block`."""
    words = sources.words
    padded = (length + 3) & ~3
    total = _OVERHEAD + padded
    word = block >> 2
    words[word] = 6
    words[word + 1] = total
    words[word + 2] = interface
    words[word + 3] = time_ns >> 32
    words[word + 4] = time_ns & 0xFFFFFFFF
    words[word + 5] = 16 + length
    words[word + 6] = 16 + length
    # LINKTYPE_NETLINK pseudo-header (pcapng.blocks.NETLINK_HEADER), big-endian: ARPHRD_NETLINK 824, protocol 12.
    words[word + 7] = 0x38030000
    words[word + 8] = 0
    words[word + 9] = 0
    words[word + 10] = 0x0C000000
    target = block + 44
    words[(target + padded - 4) >> 2] = 0
    arena = sources.octets.ctypes.data
    memcpy(arena + target, arena + message, length)
    words[(target + padded) >> 2] = total


@njit(cache=True, nogil=True)
def stage_time(words: Words, stages: State, stage: Integer) -> Integer:
    """Time of the oldest waiting netlink message; NEVER if there is none."""
    if stages[stage, STAGE_HEAD] == stages[stage, STAGE_TAIL]:
        return NEVER
    block = (stages[stage, STAGE_BASE] + stages[stage, STAGE_HEAD]) >> 2
    return (np.int64(words[block + 3]) << 32) | np.int64(words[block + 4])


@njit(cache=True, nogil=True)
def compact(sources: Sources) -> None:
    """Move what waits to the front of its staging buffer: what is used over and over stays in the processor's cache.

    Only once there is room in front for all of it, so that a byte is moved once on average at most.
    """
    stages = sources.stages
    for stage in range(stages.shape[0]):
        head = stages[stage, STAGE_HEAD]
        waiting = stages[stage, STAGE_TAIL] - head
        if head >= max(waiting, _COMPACT_BYTES):
            base = sources.octets.ctypes.data + stages[stage, STAGE_BASE]
            memcpy(base, base + head, waiting)
            stages[stage, STAGE_HEAD] = 0
            stages[stage, STAGE_TAIL] = waiting
