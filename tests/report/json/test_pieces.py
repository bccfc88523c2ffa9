"""The compiled writer of text against Python's own: numbers of any size, any address, texts in the order of keys."""

import ipaddress
from itertools import pairwise

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ttrace.correlate.result.words import address_text
from ttrace.report.json.pieces import NO_END, NO_PORT, Pool, Rows, ends, numbers, only_at, texts

INT64 = st.integers(-(2**63), 2**63 - 1)
WORD = st.integers(0, 2**64 - 1)
GROUPS = st.lists(st.sampled_from([0, 0, 0, 1, 0x10, 0xABCD, 0xFFFF]), min_size=8, max_size=8)
"""Of an IPv6 address: with gaps of all lengths, at all places."""


def written(pool: Pool, *blocks: tuple[list[int], list]) -> list[str]:
    """The rows of some blocks (keys, columns), as they follow each other."""
    rows = Rows(pool)
    for keys, columns in blocks:
        rows.add(np.array(keys, np.int64), columns)
    data, begin, _ = rows.written()
    text = bytes(data).decode("ascii")
    return [text[a:b] for a, b in pairwise(begin)]


def end_text(high: int, low: int, port: int) -> str:
    """What `ends` is to write."""
    address = "-" if port == NO_END else address_text(high, low)
    if port < 0:
        return f'"{address}"'
    return f'"[{address}]:{port}"' if ":" in address else f'"{address}:{port}"'


@settings(deadline=None)
@given(st.lists(INT64))
@example([0, -1, 9, 10, -(2**63), 2**63 - 1, 10**18, 10**18 - 1])
def test_numbers_are_written_in_digits(values):
    column = numbers(np.array(values, np.int64))
    assert written(Pool(), (list(range(len(values))), column)) == [str(value) for value in values]


@settings(deadline=None)
@given(st.lists(st.tuples(WORD, WORD, st.integers(NO_END, 65535))))
@example([(0, 0, NO_PORT), (0, 0, 80), (0, 0, NO_END), (0, 0xFFFFFFFFFFFF, 65535), (2**64 - 1, 2**64 - 1, 65535)])
def test_ends_are_written_as_addresses_with_ports(values):
    high, low = (np.array([value[half] for value in values], np.uint64) for half in range(2))
    column = ends(high, low, np.array([port for _, _, port in values], np.int64))
    assert written(Pool(), (list(range(len(values))), column)) == [end_text(*value) for value in values]


@settings(deadline=None)
@given(st.lists(GROUPS, min_size=1), st.sampled_from([NO_PORT, 0, 443]))
def test_ipv6_addresses_have_their_first_longest_gap_closed(addresses, port):
    of = [int.from_bytes(b"".join(group.to_bytes(2, "big") for group in groups), "big") for groups in addresses]
    high, low = (np.array([(one >> shift) & (2**64 - 1) for one in of], np.uint64) for shift in (64, 0))
    found = written(Pool(), (list(range(len(of))), ends(high, low, np.full(len(of), port))))
    for one, text in zip(of, found, strict=True):
        if one >> 32 != 0xFFFF:
            assert text == (
                f'"{ipaddress.IPv6Address(one)}"' if port < 0 else f'"[{ipaddress.IPv6Address(one)}]:{port}"'
            )


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["", "a", "\\u00e9", "x" * 300]), INT64, st.booleans())))
def test_rows_come_in_the_order_of_their_keys(values):
    pool = Pool()
    keys = [key for key, *_ in values]
    shown = np.array([text for _, text, _, _ in values], object)
    which = np.array([pool.number(text) for text in shown], np.int64)
    number, chosen = np.array([n for *_, n, _ in values], np.int64), np.array([c for *_, c in values], np.bool_)
    some = np.flatnonzero(chosen)
    told = only_at(some, len(values), numbers(number[some]), pool.number("none"))
    columns = [*texts(which), *told, *texts(pool.number("; "))]
    expected = [f"{text}{n if c else 'none'}; " for _, text, n, c in sorted(values, key=lambda value: value[0])]
    assert written(pool, (keys, columns)) == expected


def test_of_one_key_the_block_that_was_added_first_comes_first():
    pool = Pool()
    head, item = texts(pool.number("head ")), numbers(np.array([7, 8]))
    assert written(pool, ([1, 2], head), ([1, 1], item), ([], [])) == ["head ", "7", "8", "head "]


def test_nothing_is_nothing():
    assert written(Pool()) == []
