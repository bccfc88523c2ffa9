"""Tables that kernels fill without knowing how long they become."""

import numpy as np

from ...kernels.njit import njit


@njit(cache=True, nogil=True)
def doubled(table):
    """The rows of a two-dimensional table, with room for as many again."""
    longer = np.empty((2 * table.shape[0], table.shape[1]), table.dtype)
    for i in range(table.shape[0]):  # numba takes two seconds to compile an assignment to a slice
        for column in range(table.shape[1]):
            longer[i, column] = table[i, column]
    return longer
