"""Rows of structured arrays as wholes."""

import numpy as np
import pytest

from ttrace.pcapng.rows import copied, filtered, joined, placed

ROW = np.dtype([("a", "i8"), ("b", "u2")], align=True)
OTHER = np.dtype([("a", "i8"), ("b", "u4")], align=True)
AROUND = np.dtype([("number", "u1"), ("row", ROW)])


def rows_of(*values):
    return np.array([(value, value % 7) for value in values], ROW)


def test_a_copy_is_equal_and_apart():
    rows = rows_of(3, -1, 8)
    found = copied(rows[::2])
    assert found.dtype == ROW
    assert found.tolist() == rows[::2].tolist()
    found["a"] = 0
    assert rows["a"].tolist() == [3, -1, 8]


def test_rows_by_a_mask():
    rows = rows_of(3, -1, 8)
    found = filtered(rows, rows["a"] > 0)
    assert found.tolist() == rows_of(3, 8).tolist()
    assert filtered(rows, np.zeros(3, np.bool_)).dtype == ROW


def test_tables_one_after_the_other():
    one, other = rows_of(1, 2, 3, 4), rows_of(9)
    found = joined(ROW, (table for table in (one[::2], rows_of(), other)))
    assert found.dtype == ROW
    assert found.tolist() == rows_of(1, 3, 9).tolist()
    single = joined(ROW, [other])
    single["a"] = 5
    assert other["a"].tolist() == [9]
    assert joined(ROW, []).tolist() == []
    with pytest.raises(TypeError):
        joined(ROW, [one, np.zeros(1, OTHER)])


def test_rows_put_into_room_for_them():
    room = np.zeros(4, ROW)
    placed(room[1:3], rows_of(5, 6))
    assert room["a"].tolist() == [0, 5, 6, 0]
    around = np.zeros(2, AROUND)
    around["number"] = 7, 8
    placed(around["row"], rows_of(1, 2))
    assert around.tolist() == [(7, (1, 1)), (8, (2, 2))]
    for wrong in (rows_of(1), np.zeros(4, OTHER)):
        with pytest.raises(TypeError):
            placed(room, wrong)
