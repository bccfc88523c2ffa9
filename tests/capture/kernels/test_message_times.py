"""Times of netlink messages."""

import numpy as np

from ttrace.capture.stream.columns import INBOX_COLUMNS, RING_COLUMNS
from ttrace.capture.stream.intake import Intake
from ttrace.capture.stream.message_times import take_time


def test_times_of_messages_never_go_back_unless_the_clock_is_set_back():
    arena = np.zeros(64, np.uint64)
    inboxes = np.zeros((1, INBOX_COLUMNS), np.int64)
    intake = Intake(
        octets=arena.view(np.uint8), halfwords=arena.view(np.uint16), words=arena.view(np.uint32),
        longwords=arena.view(np.int64), rings=np.zeros((0, RING_COLUMNS), np.int64), inboxes=inboxes,
        times=np.zeros(1, np.int64),
    )  # fmt: skip
    second = 1_000_000_000
    taken = [int(take_time(intake, 0, now_ns, 0)) for now_ns in (9 * second, 9 * second - 1_000, 4 * second)]
    assert taken == [9 * second, 9 * second, 4 * second]
