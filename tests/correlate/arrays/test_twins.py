"""The kernels of arrays/ do what their plain twins say, on tables made to have what is rare in traffic."""

from collections import Counter
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ttrace.correlate.arrays import grouping
from ttrace.correlate.arrays.union_find import find_all, join

from . import twins

compared = settings(max_examples=300, deadline=None, derandomize=True)
UNSIGNED = (*range(6), 2**20, 2**32, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1)
SIGNED = (-(2**63), -(2**32), -2, -1, 0, 1, 2**32, 2**63 - 1)
"""Numbers at the borders of their types, and small ones: a hash table must bear both as keys."""
sizes = st.sampled_from([0, 1, 3, 20, 100])
randoms = st.integers(0, 2**32).map(Random)


def column(random, size, values):
    """Of a few of the values, so that most come again."""
    some = random.sample(values, random.randint(1, min(4, len(values))))
    return [random.choice(some) for _ in range(size)]


def array(values, dtype=np.uint64):
    return np.array(values, dtype)


def lists(runs):
    return [runs.rows[a:b].tolist() for a, b in zip(runs.start[:-1], runs.start[1:], strict=True)]


def test_groups():
    met = Counter()

    @compared
    @given(sizes, randoms)
    def compare(size, random):
        keys = column(random, size, UNSIGNED)
        ids, first = grouping.group_ids(array(keys))
        assert (ids.tolist(), first.tolist()) == twins.group_ids(keys)
        assert lists(grouping.runs_of_keys(array(keys))) == twins.runs_of_keys(keys)
        met["empty"] += size == 0
        met["all in one group"] += first.size == 1 < size
        met["the highest bit set"] += any(key >= 2**63 for key in keys)

    compare()
    assert min(met.values()) >= 20, met


def test_more_groups_than_the_first_table_has_room_for():
    met = Counter()

    @compared
    @given(st.integers(2_040, 2_056), st.sampled_from([1, 2**20, 2**40]))
    def compare(count, step):
        keys = [step * number for number in (*range(count), *range(0, count, 7))]
        ids, first = grouping.group_ids(array(keys))
        assert (ids.tolist(), first.tolist()) == ([key // step for key in keys], list(range(count)))
        met["filled"] += count == 2_048
        met["grown"] += count > 2_048

    compare()
    assert min(met.values()) >= 1, met


def test_rows_in_runs_that_are_sorted_and_sifted():
    met = Counter()

    @compared
    @given(sizes, randoms)
    def compare(size, random):
        keys, minor, major = (column(random, size, values) for values in (UNSIGNED, SIGNED, UNSIGNED))
        wanted = column(random, size, (False, True))
        runs, plain = grouping.runs_of_keys(array(keys)), twins.runs_of_keys(keys)
        in_order = twins.sorted_by(plain, minor, major)
        found = runs.sorted_by(array(minor, np.int64), array(major))
        assert lists(found) == in_order
        assert lists(found.only(array(wanted, np.bool_))) == twins.only(in_order, wanted)
        assert lists(runs) == plain, "the runs themselves stay as they are"
        met["empty"] += size == 0
        met["longer than what is sorted in place"] += any(len(run) > 32 for run in plain)
        met["draws"] += any(len({(minor[row], major[row]) for row in run}) < len(run) for run in plain)
        met["a run of which nothing is left"] += [] in twins.only(plain, wanted)

    compare()
    assert min(met.values()) >= 20, met


def test_chosen_rows_by_group():
    met = Counter()

    @compared
    @given(sizes, randoms, st.integers(1, 6), st.booleans())
    def compare(size, random, count, all_of_them):
        ids = column(random, size, range(count))
        rows = None if all_of_them else random.sample(range(size), size // 2)
        chosen = None if rows is None else array(rows, np.int64)
        found = grouping.runs_of_ids(array(ids, np.int64), count, chosen)
        assert lists(found) == twins.runs_of_ids(ids, count, rows)
        met["empty"] += size == 0
        met["an empty group"] += [] in lists(found)
        met["in another order"] += rows is not None and rows != sorted(rows)

    compare()
    assert min(met.values()) >= 20, met


def test_first_of_known_keys():
    met = Counter()

    @compared
    @given(sizes, sizes, randoms)
    def compare(size, others, random):
        known, wanted = column(random, size, UNSIGNED), column(random, others, UNSIGNED)
        assert grouping.first_with(array(known), array(wanted)).tolist() == twins.first_with(known, wanted)
        met["nothing known"] += size == 0 < others
        met["nothing wanted"] += others == 0
        met["known several times"] += any(known.count(key) > 1 for key in wanted)
        met["not known"] += size > 0 and -1 in twins.first_with(known, wanted)

    compare()
    assert min(met.values()) >= 20, met


def test_distinct_values_and_pairs():
    met = Counter()

    @compared
    @given(sizes, randoms)
    def compare(size, random):
        values = column(random, size, SIGNED)
        once, number = grouping.distinct(array(values, np.int64))
        assert (once.tolist(), number.tolist()) == twins.distinct(values)
        pairs = list(zip(*(column(random, size, (0, 1, 2, 2**31 - 1)) for _ in range(2)), strict=True))
        found = grouping.distinct_pairs(array(pairs, np.int64).reshape(-1, 2))
        assert [tuple(pair) for pair in found.tolist()] == twins.distinct_pairs(pairs)
        met["empty"] += size == 0
        met["negative"] += any(value < 0 for value in values)
        met["again"] += len(set(pairs)) < size

    compare()
    assert min(met.values()) >= 20, met


def test_order_of_keys():
    met = Counter()

    @compared
    @given(sizes, randoms)
    def compare(size, random):
        keys = column(random, size, UNSIGNED)
        assert grouping.radix_order(array(keys)).tolist() == twins.stable_order(keys)
        met["empty"] += size == 0
        met["again"] += len(set(keys)) < size

    compare()
    assert min(met.values()) >= 20, met


def test_hashes_are_equal_where_all_columns_are():
    met = Counter()

    @compared
    @given(sizes, randoms)
    def compare(size, random):
        first, second = column(random, size, range(3)), column(random, size, UNSIGNED)
        rows = list(zip(first, second, strict=True))
        hashes = grouping.hashed(array(first, np.uint16), array(second)).tolist()
        assert twins.group_ids(hashes) == twins.group_ids(rows)
        met["equal rows"] += len(set(rows)) < size
        met["rows that differ in one column"] += len(set(first)) < len(set(rows))

    compare()
    assert min(met.values()) >= 20, met


def test_sets_of_numbers_that_are_joined():
    met = Counter()

    @compared
    @given(st.sampled_from([1, 3, 30]), randoms)
    def compare(count, random):
        pairs = [(random.randrange(count), random.randrange(count)) for _ in range(random.randint(0, count))]
        parent = np.arange(count)
        for a, b in pairs:
            join(parent, a, b)
        assert find_all(parent).tolist() == twins.least_of_sets(count, pairs)
        met["nothing joined"] += not pairs
        met["joined again"] += len(pairs) > count - len(set(find_all(parent).tolist()))
        met["three and more"] += max(Counter(find_all(parent).tolist()).values()) > 2

    compare()
    assert min(met.values()) >= 20, met
