"""Packets of which the same is to be said, as groups."""

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import group_ids, hashed
from .facts import Facts, Rows
from .kinds import MOST_OF_A_KIND


def groups(facts: Facts, paths: Rows, *columns: npt.NDArray[np.generic]) -> list[Rows]:
    """The paths by the values of `columns` (one value for each of the paths): those with most paths first, each in
    order of time."""
    if paths.size == 0:
        return []
    which, example = group_ids(hashed(*columns))
    count = np.bincount(which, minlength=example.size)
    first = np.full(example.size, np.iinfo(np.int64).max)
    np.minimum.at(first, which, facts.begin_ns[paths])
    order = np.lexsort((facts.begin_ns[paths], which))
    bounds = np.append(0, np.cumsum(count))
    chosen = np.lexsort((first, -count))[:MOST_OF_A_KIND]
    return [paths[order[bounds[one] : bounds[one + 1]]] for one in chosen.tolist()]
