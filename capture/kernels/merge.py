"""The compiled merge: blocks of all packet rings, and messages that wait in inboxes, sorted by time into a batch."""

import numpy as np

from .batch import add_piece, begin_batch, is_full
from .columns import BATCH_PACKETS, INBOX_BASE, INBOX_BYTES, INBOX_HEAD, INBOX_TAIL, NEVER, WRITTEN_PACKETS
from .compiled import inlined_njit, kernel_njit
from .intake import Intake, Integer, Integers, Sink
from .layouts import EPB_TOTAL_WORD
from .messages import message_time
from .packet_blocks import write_packets
from .rings import SET_BACK_NS, is_from_before, is_half_full, ring_time
from .syscalls import memcpy


@kernel_njit
def merge(intake: Intake, sink: Sink, progress: Integers, horizon_ns: Integer) -> Integer:
    """Gather a batch of everything not later than `horizon_ns`, oldest first, until it is full or the packet limit.

    Returns the time of the oldest packet or message that is left, NEVER if there is none: with one that is not later
    than the horizon, call again. Finished blocks stay with us until `release`.
    """
    times = intake.times
    for inlet in range(times.shape[0]):
        times[inlet] = _inlet_time(intake, inlet)
    begin_batch(progress)
    # A constant's type is its own: all that is called would be compiled for it, and for int64 once more.
    begin: Integer = np.int64(0)
    position: Integer = np.int64(0)
    oldest_ns: Integer = NEVER
    while True:
        inlet, oldest_ns, next_ns = _oldest(times)
        if oldest_ns > horizon_ns or oldest_ns == NEVER or is_full(progress, position):
            break
        if inlet < intake.rings.shape[0]:
            if progress[WRITTEN_PACKETS] + progress[BATCH_PACKETS] >= sink.packet_limit:
                oldest_ns = NEVER
                break
            # Stay with this ring while it is the oldest: a burst costs no comparison with the others.
            until_ns = min(next_ns, horizon_ns)
            begin, position = write_packets(intake, sink, progress, inlet, until_ns, begin, position)
        else:
            position = _write_message(intake, sink, inlet - intake.rings.shape[0], position)
        times[inlet] = _inlet_time(intake, inlet)
    add_piece(sink, progress, sink.octets.ctypes.data + begin, position - begin)
    return oldest_ns


@inlined_njit
def _inlet_time(intake: Intake, inlet: Integer) -> Integer:
    """Time of the oldest packet or message of a ring or an inbox; NEVER if there is none."""
    inbox = inlet - intake.rings.shape[0]
    time_ns: Integer = NEVER
    if inbox < 0:
        time_ns = ring_time(intake.words, intake.rings, inlet)
    else:
        time_ns = message_time(intake.words, intake.inboxes, inbox)
    return time_ns


@inlined_njit
def _oldest(times: Integers) -> tuple[Integer, Integer, Integer]:
    """Which inlet has the oldest packet or message, its time, and the time of the next inlet."""
    oldest: Integer = 0
    oldest_ns: Integer = NEVER
    next_ns: Integer = NEVER
    for inlet in range(times.shape[0]):
        time_ns = times[inlet]
        if time_ns < oldest_ns:
            next_ns = oldest_ns
            oldest_ns = time_ns
            oldest = inlet
        elif time_ns < next_ns:
            next_ns = time_ns
    return oldest, oldest_ns, next_ns


@inlined_njit
def _write_message(intake: Intake, sink: Sink, inbox: Integer, position: Integer) -> Integer:
    """Copy the oldest block of an inbox to `position`; returns the end of what was written."""
    inboxes = intake.inboxes
    block = inboxes[inbox, INBOX_BASE] + inboxes[inbox, INBOX_HEAD]
    total = np.int64(intake.words[(block >> 2) + EPB_TOTAL_WORD])
    memcpy(sink.octets.ctypes.data + position, intake.octets.ctypes.data + block, total)
    inboxes[inbox, INBOX_HEAD] += total
    if inboxes[inbox, INBOX_HEAD] == inboxes[inbox, INBOX_TAIL]:
        inboxes[inbox, INBOX_HEAD] = 0
        inboxes[inbox, INBOX_TAIL] = 0
    return position + total


@kernel_njit
def is_set_back(intake: Intake, now_ns: Integer) -> bool:
    """Whether the clock was set back, and something waits from before: its time would not come for long."""
    for ring in range(intake.rings.shape[0]):
        if is_from_before(intake.words, intake.rings, ring, now_ns):
            return True
    for inbox in range(intake.inboxes.shape[0]):
        time_ns = message_time(intake.words, intake.inboxes, inbox)
        if time_ns != NEVER and time_ns > now_ns + SET_BACK_NS:
            return True
    return False


@kernel_njit
def is_urgent(intake: Intake) -> bool:
    """Whether a ring or an inbox is half full: then it is emptied at once, even if that costs some order."""
    for ring in range(intake.rings.shape[0]):
        if is_half_full(intake.words, intake.rings, ring):
            return True
    inboxes = intake.inboxes
    urgent = False
    for inbox in range(inboxes.shape[0]):
        urgent |= inboxes[inbox, INBOX_TAIL] * 2 > inboxes[inbox, INBOX_BYTES]
    return urgent
