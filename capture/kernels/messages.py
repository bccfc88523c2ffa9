"""Compiled receiving of netlink messages: datagrams, many at a time, cut into messages, which wait as blocks.

Layouts of headers and blocks are in `layouts.py`, numbers of messages in `sockets/numbers.py`.
"""

import errno
from typing import Final

import numpy as np

from ..sockets.buffers import DATAGRAM_BYTES, DATAGRAMS, HEADER_WORDS, LENGTH_WORD
from ..sockets.numbers import (
    MSG_DONTWAIT,
    NFLOG_PACKET,
    NFNL_SUBSYS_CTNETLINK,
    NFT_NEWGEN,
    NFT_TRACE,
    NLM_F_MULTI,
    NLMSG_MIN_TYPE,
)
from .block_head import put_head
from .columns import (
    ERROR,
    INBOX_BASE,
    INBOX_BYTES,
    INBOX_CONNTRACK,
    INBOX_DATAGRAMS,
    INBOX_DESCRIPTOR,
    INBOX_GENERATIONS,
    INBOX_HEAD,
    INBOX_HEADERS,
    INBOX_INTERFACE,
    INBOX_MALFORMED,
    INBOX_MESSAGES,
    INBOX_OVERRUNS,
    INBOX_RECORDS,
    INBOX_TAIL,
    INBOX_TRACE,
    INBOX_WATCHED,
    NEVER,
    NO_SOCKET,
)
from .compiled import inlined_njit, kernel_njit
from .drop_records import receive_records
from .intake import Intake, Integer, Integers, Words
from .layouts import (
    EPB_DATA,
    EPB_INTERFACE_WORD,
    EPB_TIME_HIGH_WORD,
    EPB_TIME_LOW_WORD,
    EPB_TOTAL_WORD,
    EPB_TRAILER,
    MESSAGE_FLAGS_HALFWORD,
    MESSAGE_HEADER_BYTES,
    MESSAGE_LENGTH_WORD,
    MESSAGE_TYPE_HALFWORD,
    PSEUDO_HEADER_0,
    PSEUDO_HEADER_1,
    PSEUDO_HEADER_2,
    PSEUDO_HEADER_3,
    PSEUDO_HEADER_BYTES,
)
from .message_times import clock_offset, skip_stamps, take_time
from .syscalls import CLOCK_MONOTONIC, CLOCK_REALTIME, clock_ns, error_number, memcpy, recvmmsg
from .watching import look_at_message

_RECEIPTS: Final = 16  # from one socket before something else has its turn: rings fill up meanwhile
_COMPACT_BYTES: Final = 1 << 16  # not worth the while with less
_IN_FLIGHT_NS: Final = 1_000_000  # a message may be queued so long after it got its stamp
_AGAIN, _INTERRUPTED, _NO_BUFFERS = errno.EAGAIN, errno.EINTR, errno.ENOBUFS
_MESSAGE: Final = EPB_DATA + PSEUDO_HEADER_BYTES  # where the message begins in its block


@kernel_njit
def receive_all(intake: Intake, progress: Integers) -> None:
    """Receive what waits in every socket, a few times as many datagrams as one call takes, and in every ring buffer."""
    for inbox in range(intake.inboxes.shape[0]):
        receive(intake, inbox, progress)


@kernel_njit
def receive(intake: Intake, inbox: Integer, progress: Integers) -> None:
    """Receive what waits in one socket or ring buffer, with a few calls at most, unless its inbox is full.

    A message gets the time at which the kernel queued it, or else that of its receipt. Counts ENOBUFS; an error
    that nobody expects goes to `progress[ERROR]`.
    """
    inboxes = intake.inboxes
    if inboxes[inbox, INBOX_RECORDS]:
        receive_records(intake, inbox, progress)
    if inboxes[inbox, INBOX_DESCRIPTOR] == NO_SOCKET:
        return
    for _ in range(_RECEIPTS):
        if inboxes[inbox, INBOX_BYTES] - inboxes[inbox, INBOX_TAIL] < 2 * DATAGRAMS * DATAGRAM_BYTES:
            return
        headers = intake.octets.ctypes.data + inboxes[inbox, INBOX_HEADERS]
        before_ns = clock_ns(CLOCK_MONOTONIC, progress)
        count = recvmmsg(inboxes[inbox, INBOX_DESCRIPTOR], headers, DATAGRAMS, MSG_DONTWAIT, 0)
        if count < 0:
            number = error_number()
            if number == _NO_BUFFERS:
                # Said once, ahead of the data still queued: what is lost was sent after that data.
                inboxes[inbox, INBOX_OVERRUNS] += 1
                continue
            if number not in (_AGAIN, _INTERRUPTED):
                progress[ERROR] = number
            return
        now_ns = clock_ns(CLOCK_REALTIME, progress)
        offset_ns = clock_offset(progress)
        keep_datagrams(intake, inbox, np.int64(count), now_ns, offset_ns)
        if count < DATAGRAMS:
            skip_stamps(intake, inbox, before_ns - _IN_FLIGHT_NS)
            return


@kernel_njit
def keep_datagrams(intake: Intake, inbox: Integer, count: Integer, now_ns: Integer, offset_ns: Integer) -> None:
    """Turn `count` netlink datagrams into waiting packet blocks, one per message, and count them by kind.

    They were received at `now_ns`; stamps are on a clock that `offset_ns` is added to. The inbox must have room for all
    of them.
    """
    headers = intake.inboxes[inbox, INBOX_HEADERS] >> 2
    for number in range(count):
        time_ns = take_time(intake, inbox, now_ns, offset_ns)
        datagram = intake.inboxes[inbox, INBOX_DATAGRAMS] + number * DATAGRAM_BYTES
        length = np.int64(intake.words[headers + number * HEADER_WORDS + LENGTH_WORD])
        _keep_datagram(intake, inbox, datagram, length, time_ns)


@inlined_njit
def _keep_datagram(intake: Intake, inbox: Integer, datagram: Integer, length: Integer, time_ns: Integer) -> None:
    """Keep the messages of the datagram at the arena offset `datagram`, and count them."""
    message, end = datagram, datagram + length
    while message + MESSAGE_HEADER_BYTES <= end:
        length = np.int64(intake.words[(message >> 2) + MESSAGE_LENGTH_WORD])
        if length < MESSAGE_HEADER_BYTES or message + length > end:
            intake.inboxes[inbox, INBOX_MALFORMED] += 1
            return
        kind = np.int64(intake.halfwords[(message >> 1) + MESSAGE_TYPE_HALFWORD])
        if kind >= NLMSG_MIN_TYPE:  # others are control messages: acknowledgements, the end of a dump
            flags = np.int64(intake.halfwords[(message >> 1) + MESSAGE_FLAGS_HALFWORD])
            _keep_message(intake, inbox, message, length, time_ns)
            _count(intake.inboxes, inbox, kind, flags)
            if kind == NFT_TRACE and intake.inboxes[inbox, INBOX_WATCHED]:
                look_at_message(intake, inbox, message, length, time_ns)
        message += _aligned(length)


@inlined_njit
def _aligned(length: Integer) -> Integer:
    """NLMSG_ALIGN, which is also the padding of blocks."""
    return (length + 3) & ~3


@inlined_njit
def _count(inboxes: Integers, inbox: Integer, kind: Integer, flags: Integer) -> None:
    """Count a message by its nlmsg_type and nlmsg_flags."""
    inboxes[inbox, INBOX_MESSAGES] += 1
    if kind in (NFT_TRACE, NFLOG_PACKET):
        inboxes[inbox, INBOX_TRACE] += 1
    elif kind >> 8 == NFNL_SUBSYS_CTNETLINK and flags & NLM_F_MULTI == 0:
        inboxes[inbox, INBOX_CONNTRACK] += 1
    elif kind == NFT_NEWGEN:
        inboxes[inbox, INBOX_GENERATIONS] += 1


@inlined_njit
def _keep_message(intake: Intake, inbox: Integer, message: Integer, length: Integer, time_ns: Integer) -> None:
    """Write one netlink message as an enhanced packet block behind what waits in the inbox."""
    inboxes, words = intake.inboxes, intake.words
    block = inboxes[inbox, INBOX_BASE] + inboxes[inbox, INBOX_TAIL]
    padded = _aligned(length)
    total = _MESSAGE + padded + EPB_TRAILER
    captured = PSEUDO_HEADER_BYTES + length
    put_head(words, block >> 2, total, inboxes[inbox, INBOX_INTERFACE], time_ns, captured, captured)
    _put_pseudo_header(words, (block + EPB_DATA) >> 2)
    target = block + _MESSAGE
    words[(target + padded - 4) >> 2] = 0  # the padding
    arena = intake.octets.ctypes.data
    memcpy(arena + target, arena + message, length)
    words[(target + padded) >> 2] = total
    inboxes[inbox, INBOX_TAIL] += total


@inlined_njit
def _put_pseudo_header(words: Words, word: Integer) -> None:
    """What LINKTYPE_NETLINK wants in front of a message (`pcapng.blocks.NETLINK_HEADER`)."""
    words[word] = PSEUDO_HEADER_0
    words[word + 1] = PSEUDO_HEADER_1
    words[word + 2] = PSEUDO_HEADER_2
    words[word + 3] = PSEUDO_HEADER_3


@inlined_njit
def message_time(words: Words, inboxes: Integers, inbox: Integer) -> Integer:
    """Time of the oldest message that waits in the inbox; NEVER if there is none."""
    if inboxes[inbox, INBOX_HEAD] == inboxes[inbox, INBOX_TAIL]:
        return NEVER
    block = (inboxes[inbox, INBOX_BASE] + inboxes[inbox, INBOX_HEAD]) >> 2
    return (np.int64(words[block + EPB_TIME_HIGH_WORD]) << 32) | np.int64(words[block + EPB_TIME_LOW_WORD])


@kernel_njit
def compact(intake: Intake) -> None:
    """Move what waits to the front of its inbox: what is used over and over stays in the processor's cache.

    Only once there is room in front for all of it, so that a byte is moved once on average at most.
    """
    inboxes = intake.inboxes
    for inbox in range(inboxes.shape[0]):
        head = inboxes[inbox, INBOX_HEAD]
        waiting = inboxes[inbox, INBOX_TAIL] - head
        if head >= max(waiting, _COMPACT_BYTES):
            base = intake.octets.ctypes.data + inboxes[inbox, INBOX_BASE]
            memcpy(base, base + head, waiting)
            inboxes[inbox, INBOX_HEAD] = 0
            inboxes[inbox, INBOX_TAIL] = waiting


@kernel_njit
def count_waiting(intake: Intake, inbox: Integer, shift: Integer, only: Integer) -> Integer:
    """How many blocks wait in an inbox, of the interface `only` (negative: of all). Each becomes one of the interface
    that is `shift` further."""
    count: Integer = 0
    at = intake.inboxes[inbox, INBOX_HEAD]
    while at < intake.inboxes[inbox, INBOX_TAIL]:
        block = (intake.inboxes[inbox, INBOX_BASE] + at) >> 2
        interface = np.int64(intake.words[block + EPB_INTERFACE_WORD])
        intake.words[block + EPB_INTERFACE_WORD] = interface + shift
        at += np.int64(intake.words[block + EPB_TOTAL_WORD])
        count += only < 0 or interface == only
    return count
