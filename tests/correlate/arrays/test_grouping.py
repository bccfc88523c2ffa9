"""Groups of rows by hash tables and counting sorts, against NumPy's sorts."""

import numpy as np
import pytest

from ttrace.correlate.arrays.grouping import (
    Runs,
    distinct,
    distinct_pairs,
    first_with,
    group_ids,
    hashed,
    radix_order,
    runs_of_ids,
    runs_of_keys,
)

SIZES = (0, 1, 2, 5_000, 600_000)
"""The last one is shared by several threads."""


def keys_of(size, distinct_keys):
    rng = np.random.default_rng(size + distinct_keys)
    return rng.integers(0, 2**64, distinct_keys, np.uint64)[rng.integers(0, distinct_keys, size)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("distinct_keys", [1, 7, 100_000])
def test_groups_are_numbered_in_order_of_first_appearance(size, distinct_keys):
    keys = keys_of(size, distinct_keys)
    ids, first = group_ids(keys)
    assert (keys[first][ids] == keys).all()
    assert (np.diff(first) > 0).all()
    assert first.size == np.unique(keys).size


@pytest.mark.slow
def test_small_numbers_are_as_good_as_hashes():
    ids, first = group_ids(np.arange(100_000, dtype=np.uint64) << np.uint64(40))
    assert (ids == np.arange(100_000)).all()
    assert (first == ids).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("distinct_keys", [1, 7, 100_000])
def test_runs_sorted_by_several_keys_are_in_the_order_of_lexsort(size, distinct_keys):
    keys = keys_of(size, distinct_keys)
    rng = np.random.default_rng(size)
    minor, major = rng.integers(0, 50, size), rng.integers(0, 3, size).astype(np.uint8)
    runs = runs_of_keys(keys).sorted_by(minor, major)
    group = np.repeat(np.arange(runs.start.size - 1), np.diff(runs.start))
    ids, _ = group_ids(keys)
    assert (ids[runs.rows] == group).all()
    assert (runs.rows == np.lexsort((minor, major, ids))).all()


def test_pieces_are_all_groups_with_their_numbers():
    runs = runs_of_keys(keys_of(1_000_000, 1_000))
    pieces = runs.pieces()
    assert len(pieces) > 1
    assert np.concatenate([piece.start[:-1] for piece in pieces]).tolist() == runs.start[:-1].tolist()
    assert [piece.first for piece in pieces[1:]] == np.cumsum([piece.start.size - 1 for piece in pieces])[:-1].tolist()


def test_one_group_of_all_rows_can_be_cut_into_pieces():
    runs = Runs(np.arange(1_000_000, dtype=np.int32), np.array([0, 1_000_000]))
    assert sum(piece.start.size - 1 for piece in runs.pieces()) == 1
    assert (runs.sorted_by(-np.arange(1_000_000)).rows == np.arange(1_000_000)[::-1]).all()


def test_chosen_rows_stay_in_their_order():
    runs = runs_of_ids(np.array([1, 0, 1, 3, 1]), 4, np.array([4, 3, 2, 1]))
    assert runs.rows.tolist() == [1, 4, 2, 3]
    assert runs.start.tolist() == [0, 1, 3, 3, 4]


def test_groups_without_rows_that_are_wanted_stay_empty():
    runs = runs_of_ids(np.array([1, 0, 1]), 2).only(np.array([True, False, True]))
    assert (runs.rows.tolist(), runs.start.tolist()) == ([0, 2], [0, 0, 2])


def test_first_of_equal_keys_is_found():
    known = np.array([7, 5, 7, 0], np.uint64)
    assert first_with(known, np.array([7, 0, 1, 5], np.uint64)).tolist() == [0, 3, -1, 1]
    assert first_with(known[:0], known).tolist() == [-1, -1, -1, -1]


def test_distinct_is_what_unique_says():
    values = np.random.default_rng(1).integers(-50, 50, 1_000)
    expected, inverse = np.unique(values, return_inverse=True)
    found, number = distinct(values)
    assert (found == expected).all()
    assert (number == inverse).all()


def test_pairs_are_named_once_and_in_order():
    pairs = np.array([[2, 1], [0, 5], [2, 1], [0, 4]])
    assert distinct_pairs(pairs).tolist() == [[0, 4], [0, 5], [2, 1]]
    assert distinct_pairs(pairs[:0]).shape == (0, 2)


def test_hashes_of_columns_differ_by_each_of_them():
    a, b = np.array([1, 1, 2, 1]), np.array([1, 2, 1, 1], np.uint16)
    key = hashed(a, b)
    assert key[0] == key[3]
    assert np.unique(key).size == 3


@pytest.mark.parametrize("bits", [1, 8, 48, 64])
def test_radix_order_is_the_stable_order(bits):
    keys = np.random.default_rng(bits).integers(0, 2**64, 10_000, np.uint64) >> np.uint64(64 - bits)
    assert (radix_order(keys) == np.argsort(keys, kind="stable")).all()
    assert radix_order(keys[:0]).size == 0
