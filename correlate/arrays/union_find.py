"""Which numbers belong together, for kernels: each points to another of its set, the least to itself."""

import numpy as np

from ...kernels.njit import njit


@njit(cache=True, nogil=True)
def find(parent, i):
    """The number that stands for the set of i; paths are halved on the way (Tarjan, van Leeuwen 1984)."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def join(parent, i, k):
    """Make the sets of two numbers one."""
    a, b = find(parent, i), find(parent, k)
    parent[max(a, b)] = min(a, b)


@njit(cache=True, nogil=True)
def find_all(parent):
    """The number that stands for the set of each."""
    out = np.empty_like(parent)
    for i in range(parent.size):
        out[i] = find(parent, i)
    return out
