"""Times of netlink messages."""

import numpy as np

from ttrace.capture.stream.sources import RING_COLUMNS, STAGE_COLUMNS, Sources
from ttrace.capture.stream.staging import _take_stamp


def test_times_of_messages_never_go_back_unless_the_clock_is_set_back():
    arena = np.zeros(64, np.uint64)
    stages = np.zeros((1, STAGE_COLUMNS), np.int64)
    source = Sources(
        octets=arena.view(np.uint8), halfwords=arena.view(np.uint16), words=arena.view(np.uint32),
        longwords=arena.view(np.int64), rings=np.zeros((0, RING_COLUMNS), np.int64), stages=stages,
        times=np.zeros(1, np.int64),
    )  # fmt: skip
    second = 1_000_000_000
    taken = [int(_take_stamp(source, 0, now_ns, 0)) for now_ns in (9 * second, 9 * second - 1_000, 4 * second)]
    assert taken == [9 * second, 9 * second, 4 * second]
