"""How many processes there is memory for."""

import pytest

from ttrace.correlate.in_parts.memory import parts_at_once


@pytest.mark.parametrize(
    ("workers", "wanted", "largest", "expected"),
    [
        (8, 50_000, 51_000, 8),
        (2, 50_000, 60_000, 2),
        (2, 50_000, 500_000, 1),  # one flow that is larger than all the memory
        (8, 50_000, 250_000, 6),  # it leaves room for some others
        (8, 150_000, 150_000, 3),  # the number of parts is limited, so all are larger
    ],
)
def test_where_parts_are_larger_than_wanted_there_are_fewer_at_a_time(workers, wanted, largest, expected):
    assert parts_at_once(workers, 50_000, wanted, largest) == expected
