"""Dense numbers of keys: all are found again, and none far from where it belongs."""

import numpy as np

from ttrace.correlate.in_parts.number_table import NumberTable


def test_a_table_of_numbers_finds_what_was_added():
    keys = np.random.default_rng(3).integers(0, 2**64, 50_000, np.uint64)
    table = NumberTable()
    first = table.add(keys[:30_000])
    again = table.add(keys)
    assert (again[:30_000] == first).all()
    assert np.unique(again).size == np.unique(keys).size == table.count
    assert (table.find(keys) == again).all()
    assert (table.find(keys + np.uint64(1)) == -1).all()


def test_a_table_of_numbers_is_not_slow_for_keys_that_are_no_hashes():
    """Steps of 4,096, as trace ids are addresses: the whole table would be one chain of neighbours."""
    table = NumberTable()
    keys = np.arange(200_000, dtype=np.uint64) * np.uint64(4096)
    table.add(keys)
    slots = np.flatnonzero(table._numbers >= 0)
    longest = np.diff(np.flatnonzero(np.append(True, np.diff(slots) > 1))).max()
    assert longest < 200
