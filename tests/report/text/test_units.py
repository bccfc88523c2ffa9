"""Numbers in words."""

import pytest

from ttrace.report.text.units import duration, plural, size


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 us"),
        (184_400, "184 us"),
        (-2_000, "-2 us"),
        (9_999_000, "9,999 us"),
        (12_400_000, "12.4 ms"),
        (-3_200_000_000, "-3.20 s"),
    ],
)
def test_durations(nanoseconds, text):
    assert duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1,023 bytes"),
        (1024, "1.0 KiB"),
        (1_500_000, "1.4 MiB"),
        (5 << 40, "5.0 TiB"),
    ],
)
def test_sizes(count, text):
    assert size(count) == text


def test_plurals():
    assert [plural(n, "path") for n in (0, 1, 2000)] == ["0 paths", "1 path", "2,000 paths"]
