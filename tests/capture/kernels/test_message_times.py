"""Times of netlink messages."""

import numpy as np

from ttrace.capture.kernels.message_times import take_time

from .made_up import make_intake


def test_times_of_messages_never_go_back_unless_the_clock_is_set_back():
    intake = make_intake(np.zeros(64, np.uint64), inboxes=1)
    second = 1_000_000_000
    taken = [int(take_time(intake, 0, now_ns, 0)) for now_ns in (9 * second, 9 * second - 1_000, 4 * second)]
    assert taken == [9 * second, 9 * second, 4 * second]
