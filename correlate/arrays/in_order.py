"""Rows of several tables, put into another order on all cores: large rows are copied once only."""

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...kernels.threads import run_all, slices


def copy_in_order(
    tables: list[npt.NDArray[np.void]], order: npt.NDArray[np.integer], out: npt.NDArray[np.void]
) -> None:
    """Fill `out` with rows of the tables, which are counted through; `order`: number of each row."""
    begins = np.cumsum([0, *(one.size for one in tables)]).tolist()

    def copy(some: slice) -> None:
        for one, begin in zip(tables, begins, strict=False):
            if one.size:
                _copy_rows(one, order[some], begin, out[some])

    run_all(copy, slices(order.size))


@njit(cache=True, nogil=True)
def _copy_rows(part, order, begin, out):
    for i in range(order.size):
        row = order[i] - begin
        if 0 <= row < part.size:
            out[i] = part[row]
