"""Rows of structured arrays, as wholes: NumPy copies them field by field, at 100 to 370 ns for a row of 128 bytes in
place of 7 to 24.

Some of the rows are `rows.take(numbers)`; the rest is here. A plugin of mypy (tools/rows_by_take.py) finds what copies
by field.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.void]


def filtered(rows: Table, wanted: npt.NDArray[np.bool_]) -> Table:
    """Those of the rows that are wanted (one bool per row)."""
    return rows.take(np.flatnonzero(wanted))


def copied(rows: Table) -> Table:
    """The same rows in memory of their own."""
    return _opaque(rows).copy().view(rows.dtype)  # type: ignore[rows-by-field]


def placed(room: Table, rows: Table) -> None:
    """Put rows into room for as many, of the same dtype. Raises TypeError where it is not."""
    if room.dtype != rows.dtype or room.shape != rows.shape:
        raise TypeError(f"{rows.shape} rows of {rows.dtype} in room for {room.shape} of {room.dtype}")
    _opaque(room)[:] = _opaque(rows)  # type: ignore[rows-by-field]


def joined(dtype: np.dtype[np.void], tables: Iterable[Table]) -> Table:
    """The rows of all of them, each of this dtype, one after the other, in memory of their own. Raises TypeError for a
    table of another dtype."""
    found = [np.empty(0, dtype), *tables]
    if any(one.dtype != dtype for one in found):
        raise TypeError(f"tables of {', '.join(sorted({str(one.dtype) for one in found}))}")
    return np.concatenate([_opaque(one) for one in found]).view(dtype)  # type: ignore[rows-by-field]


def _opaque(rows: Table) -> Table:
    """A view of the rows as bytes that have no fields."""
    return rows.view(np.dtype((np.void, rows.dtype.itemsize)))
