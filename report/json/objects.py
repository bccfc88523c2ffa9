"""Objects that have lists, as rows of text: what is between two lists is one row, and so is each member."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import numpy as np

from .pieces import Column, Numbers, Pool, Rows, Written, numbers, texts
from .templates import BLANK, cut

SEPARATOR: Final = ", "
_OBJECT_BIT, _PART_BIT = 40, 36
"""A key says which object, which of its parts, and below these bits which member of a list."""


class Objects:
    """Objects with the same fields."""

    def __init__(self, pool: Pool, fields: Sequence[str], lists: Collection[str], *, before: str, behind: str) -> None:
        """`lists`: those of the fields that are lists; `before`, `behind`: what stands around each object."""
        self._fields, self._lists = fields, lists
        self._around, self._separator = (pool.number(before), pool.number(behind)), pool.number(SEPARATOR)
        self._texts = [
            pool.number(text) for text in cut({name: [BLANK] if name in lists else BLANK for name in fields})
        ]

    def add(
        self, rows: Rows, count: int, values: Mapping[str, Sequence[Column]], add_list: Callable[[str, Numbers], None]
    ) -> None:
        """So many objects, the first that are added to `rows`. `values`: of the fields that are no lists; `add_list`
        adds the members of a list, by keys that begin at the one that it gets for each object."""
        key = np.arange(count) << _OBJECT_BIT
        part, columns = 0, texts(self._around[0])
        for name, text in zip(self._fields, self._texts, strict=False):
            columns += texts(text)
            if name not in self._lists:
                columns += values[name]
                continue
            rows.add(key + (part << _PART_BIT), columns)
            add_list(name, key + (part + 1 << _PART_BIT))
            part, columns = part + 2, []
        rows.add(key + (part << _PART_BIT), columns + texts(self._texts[-1]) + texts(self._around[1]))

    def add_members(self, rows: Rows, keys: Numbers, of: Numbers, columns: Sequence[Column]) -> None:
        """Members of a list that are rows: `of` says of which object each is, ascending; `keys`: as `add_list` gets
        them."""
        rows.add(keys[of], texts(np.where(first_of_each(of), 0, self._separator)) + list(columns))

    def add_numbers(self, rows: Rows, keys: Numbers, of: Numbers, values: Numbers) -> None:
        """The same of members that are numbers."""
        self.add_members(rows, keys, of, numbers(values))


def first_of_each(of: Numbers) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Of each row: it is the first of its object."""
    return np.append(True, of[1:] != of[:-1])[: of.size]


def begins_of(written: Written, count: int) -> Numbers:
    """Where each of so many objects begins, which were added first, and the last one ends."""
    return np.append(written.begin[np.flatnonzero(written.order < count)], written.begin[-1])
