"""Rows on disk come back as they went, by their part."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from ttrace.correlate.in_parts.spill import Spill
from ttrace.correlate.in_parts.work_folder import WorkFolder

ROW = np.dtype([("key", "u8"), ("number", "i4")])


def rows_of(keys):
    rows = np.zeros(len(keys), ROW)
    rows["key"] = keys
    return rows


@pytest.fixture
def spill():
    made = Spill(WorkFolder(), "rows", ROW, 3)
    yield made
    made.close()


def test_rows_of_a_part_keep_their_order_over_all_pieces(spill):
    spill.distribute(np.array([2, 0, 2, 0]), rows_of([5, 6, 7, 8]))
    spill.append(2, rows_of([4]))
    spill.append(2, rows_of([]))
    spill.distribute(np.array([0, 2]), rows_of([1, 2]))
    assert [spill.part(number).read()["key"].tolist() for number in range(3)] == [[6, 8, 1], [], [5, 7, 4, 2]]


def test_where_they_are_can_be_sent_elsewhere(spill):
    spill.append(1, rows_of([3, 1]))
    sent = pickle.loads(pickle.dumps(spill.part(1)))
    assert (sent.read() == rows_of([3, 1])).all()


@pytest.mark.fault("correlate", "a temporary file was cut", "an error, no endless loop")
def test_a_file_that_has_become_shorter_is_no_endless_loop(spill):
    spill.append(0, rows_of([1, 2]))
    where = spill.part(0)
    with Path(where.path).open("r+b") as file:
        file.truncate(ROW.itemsize)
    with pytest.raises(EOFError):
        where.read()
