"""Sequence numbers as positions in their stream."""

import numpy as np

from ttrace.correlate.sequences.byte_stream import unwrapped


def positions(*numbers: tuple[int, int, int]) -> list[int]:
    """Of (sequence number, group, time)."""
    columns = np.array(numbers, np.int64).reshape(-1, 3)
    return unwrapped(columns[:, 0], columns[:, 1], columns[:, 2]).tolist()


def test_numbers_count_from_the_first_of_their_group_across_the_wrap():
    start = 2**32 - 100
    assert positions((start, 1, 0), (7, 2, 0), (50, 1, 1), (start + 20, 1, 2), (5, 2, 1)) == [0, 0, 150, 20, -2]


def test_of_nothing_there_are_none():
    """A lone reset sends no bytes and acknowledges none."""
    assert positions() == []
