"""What else the kernel said of packets, as columns: two messages that are equal in them are told in the same words."""

import numpy as np
import numpy.typing as npt

from ...correlate.netfilter.sources import source_of_kind
from ...correlate.result.correlation import Correlation
from ...correlate.sightings import of_kind
from .pieces import Numbers

_DEVICE_AND_VERDICT = ("verdict", "output_index", "input_index")


class SaidColumns:
    """Of one result."""

    def __init__(self, result: Correlation) -> None:
        self._result = result
        self._tables: dict[int, list[npt.NDArray[np.generic]]] = {}

    def of(self, kind: int, sightings: Numbers) -> list[npt.NDArray[np.generic]]:
        """Of some sightings of a kind of its own: columns of integers."""
        if kind not in self._tables:
            self._tables[kind] = self._table(kind)
        rows = sightings - of_kind(self._result.sightings, kind).start
        return [column[rows] for column in self._tables[kind]]

    def _table(self, kind: int) -> list[npt.NDArray[np.generic]]:
        table, worded = self._result.said_of_kind[kind].rows, source_of_kind(kind).worded
        names = table.dtype.names or () if worded is None else (*_DEVICE_AND_VERDICT, *worded)
        return [_numbered(table[name]) for name in names]


def _numbered(column: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """A column of numbers as it is; of texts, their numbers."""
    if column.dtype.kind != "S":
        return column
    return np.unique(column, return_inverse=True)[1].reshape(-1)
