"""Compiled copying of the kernel's drops: from the ring buffer that a BPF program fills into waiting blocks.

A record has the message as it stands in the file (`sockets/drop_layout.py`); the ring buffer is that of
Documentation/bpf/ringbuf.rst. All namespaces share it, and their interfaces follow each other in the file.
"""

from typing import Final

import numpy as np

from ...kernels.handing_over import load_acquire, store_release
from ..sockets.drop_layout import MESSAGE, MESSAGE_BYTES, RECORD_NAMESPACE, RECORD_TIME
from .block_head import put_head
from .columns import (
    INBOX_BASE,
    INBOX_BYTES,
    INBOX_INTERFACE,
    INBOX_MESSAGES,
    INBOX_RECORDS,
    INBOX_RECORDS_BYTES,
    INBOX_TAIL,
)
from .compiled import inlined_njit, kernel_njit
from .intake import Intake, Integer, Integers
from .layouts import (
    BPF_RINGBUF_BUSY_BIT,
    BPF_RINGBUF_DISCARD_BIT,
    DROP_HEADER_3,
    EPB_DATA,
    EPB_TRAILER,
    PSEUDO_HEADER_0,
    PSEUDO_HEADER_1,
    PSEUDO_HEADER_2,
    PSEUDO_HEADER_BYTES,
)
from .message_times import clock_offset, not_before
from .syscalls import CLOCK_REALTIME, clock_ns, memcpy

_RECORD_HEADER: Final = 8
_MESSAGE: Final = EPB_DATA + PSEUDO_HEADER_BYTES  # where the message begins in its block
_MOST_BYTES: Final = _MESSAGE + MESSAGE_BYTES + 4 + EPB_TRAILER


@kernel_njit
def receive_records(intake: Intake, inbox: Integer, progress: Integers) -> None:
    """Turn the records that wait into packet blocks behind what waits in the inbox, as many as there is room for."""
    words, longwords, inboxes = intake.words, intake.longwords, intake.inboxes
    header = inboxes[inbox, INBOX_RECORDS]
    read = longwords[header >> 3]
    written = load_acquire(longwords, (header + intake.page_bytes) >> 3)
    if read == written:
        return
    offset_ns = clock_offset(progress)
    now_ns = clock_ns(CLOCK_REALTIME, progress)
    while read != written and inboxes[inbox, INBOX_BYTES] - inboxes[inbox, INBOX_TAIL] > _MOST_BYTES:
        record = header + 2 * intake.page_bytes + (read & (inboxes[inbox, INBOX_RECORDS_BYTES] - 1))
        length = np.int64(load_acquire(words, record >> 2))
        if length & BPF_RINGBUF_BUSY_BIT:
            break
        if length & BPF_RINGBUF_DISCARD_BIT == 0:
            _keep_record(intake, inbox, record + _RECORD_HEADER, now_ns, offset_ns)
        length &= BPF_RINGBUF_DISCARD_BIT - 1
        read += (length + _RECORD_HEADER + 7) & ~7
        store_release(longwords, header >> 3, read)


@inlined_njit
def _keep_record(intake: Intake, inbox: Integer, record: Integer, now_ns: Integer, offset_ns: Integer) -> None:
    """Write the message of one record as an enhanced packet block, and count it."""
    words, inboxes = intake.words, intake.inboxes
    namespace = np.int64(words[(record + RECORD_NAMESPACE) >> 2])
    time_ns = not_before(inboxes, inbox, min(now_ns, intake.longwords[(record + RECORD_TIME) >> 3] + offset_ns))
    length = min(np.int64(words[(record + MESSAGE) >> 2]), np.int64(MESSAGE_BYTES))
    padded = (length + 3) & ~3
    total = _MESSAGE + padded + EPB_TRAILER
    block = inboxes[inbox, INBOX_BASE] + inboxes[inbox, INBOX_TAIL]
    captured = PSEUDO_HEADER_BYTES + length
    put_head(words, block >> 2, total, inboxes[inbox, INBOX_INTERFACE] + namespace, time_ns, captured, captured)
    word = (block + EPB_DATA) >> 2
    words[word] = PSEUDO_HEADER_0
    words[word + 1] = PSEUDO_HEADER_1
    words[word + 2] = PSEUDO_HEADER_2
    words[word + 3] = DROP_HEADER_3
    target = block + _MESSAGE
    words[(target + padded - 4) >> 2] = 0  # the padding
    arena = intake.octets.ctypes.data
    memcpy(arena + target, arena + record + MESSAGE, length)
    words[(target + padded) >> 2] = total
    inboxes[inbox, INBOX_TAIL] += total
    inboxes[inbox, INBOX_MESSAGES] += 1
    intake.drops[namespace] += 1
