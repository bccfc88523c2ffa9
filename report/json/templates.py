"""The JSON of objects of which most is the same, as the texts around what differs."""

import json
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ...correlate.arrays.grouping import group_ids
from .pieces import Column, Pool, texts


class Blank(Enum):
    """Stands for what differs. A member of an enum, which copies of an object have too."""

    BLANK = 0


BLANK: Final[Any] = Blank.BLANK


class Cut(list[str]):
    """Texts around blanks."""


def cut(value: object) -> Cut:
    """The JSON text of a value before, between and behind the blanks in it, as `json.dumps` writes it."""
    if value is BLANK:
        return Cut(["", ""])
    if isinstance(value, dict):
        return _joined("{", ((f"{json.dumps(name)}: ", inner) for name, inner in value.items()), "}")
    if isinstance(value, list):
        return _joined("[", (("", inner) for inner in value), "]")
    return Cut([json.dumps(value)])


def _joined(opening: str, members: Iterable[tuple[str, object]], closing: str) -> Cut:
    found = Cut([opening])
    for number, (name, inner) in enumerate(members):
        first, *more = cut(inner)
        found[-1] += f"{', ' if number else ''}{name}{first}"
        found += more
    found[-1] += closing
    return found


class Templates:
    """Objects of one kind: the texts around their blanks, in a pool. All have as many blanks."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[tuple[int, ...], int] = {}
        self._rows: list[list[int]] = []

    def around(
        self, columns: Sequence[npt.NDArray[np.generic]], make: Callable[[int], object]
    ) -> list[npt.NDArray[np.int64]]:
        """The texts of rows, as many of each as it has blanks and one more: the numbers of the first of all rows, of
        the second, …

        Rows that are equal in all `columns` (integers) have the same; `make` gives the object of one that is new, by
        its index, or a list of its texts.
        """
        ids, first = _grouped(columns)
        which = np.empty(first.size, np.int64)
        keys = zip(*(column[first].tolist() for column in columns), strict=True)
        for number, (key, row) in enumerate(zip(keys, first.tolist(), strict=True)):
            if key not in self._known:
                made = make(row)
                self._known[key] = len(self._rows)
                self._rows.append([self._pool.number(text) for text in (made if isinstance(made, Cut) else cut(made))])
            which[number] = self._known[key]
        if first.size == 0:
            return []
        return list(np.array([self._rows[row] for row in which], np.int64).take(ids, axis=0).T)


def laid_out(around: Sequence[npt.NDArray[np.int64] | int], *blanks: Sequence[Column]) -> list[Column]:
    """The columns of rows: the texts with what stands at each blank between them."""
    found = texts(around[0])
    for column, behind in zip(blanks, around[1:], strict=True):
        found += [*column, *texts(behind)]
    return found


def _grouped(columns: Sequence[npt.NDArray[np.generic]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """As group_ids, by the values of several integer columns: without a hash, which could take two for one."""
    ids, first = group_ids(columns[0].astype(np.uint64))
    for column in columns[1:]:
        of_column, _ = group_ids(column.astype(np.uint64))
        ids, first = group_ids(ids.astype(np.uint64) << np.uint64(32) | of_column.astype(np.uint64))
    return ids, first
