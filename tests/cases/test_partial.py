"""The partial match that cases are asserted with."""

import pytest

from .partial import difference


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({}, {"a": 1}),
        ({"a": {"b": None}}, {"a": {"b": None, "c": 2}, "d": 3}),
        ([1, {"a": 1}], [1, {"a": 1, "b": 2}]),
        (["..."], []),
        (["...", 2], [1, 2]),
        ([1, "..."], [1, 2, 3]),
        (["...", 1, 2, "..."], [1, 3, 1, 2]),
        (["...", 1, "...", 2], [1, 2, 1, 2]),
        ([1, "...", "...", 2], [1, 2]),
    ],
)
def test_what_fits(expected, found):
    assert difference(expected, found) is None


@pytest.mark.parametrize(
    ("expected", "found", "told"),
    [
        ({"a": 1}, {"b": 1}, "it has no `a`"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, "it.a[0].b is 2, not 1"),
        (True, 1, "it is 1, not true"),
        ({}, None, "it is null, not {}"),
        ([1], [1, 2], "it has 2 elements, not 1"),
        ([1, 2], [1], "it has 1 elements, not 2"),
        ([1, 2], [2, 1], "it[0] is 2, not 1"),
        ([1, 2, "..."], [1], "it has 1 elements, not 2 or more"),
        (["...", 2, 1, "..."], [1, 2], 'it has nothing from [0] on that fits 2, 1, "..."'),
        (["...", 2], [2, 1], "it has nothing from [0] on that fits 2"),
        ([1, "...", 1], [1], "it has nothing from [1] on that fits 1"),
        (["...", 2, "...", 2], [1, 2], 'it has nothing from [0] on that fits 2, "...", 2'),
        ([0, "...", 1, 2, "...", 3], [0, 3, 1, 2], "it has nothing from [1] on"),
    ],
)
def test_what_does_not(expected, found, told):
    assert (difference(expected, found) or "").startswith(told)
