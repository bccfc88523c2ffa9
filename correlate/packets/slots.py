"""What matching frames and what matching the rest have in common."""

from typing import Final

import numpy as np

from ...kernels.njit import njit
from ..arrays.hashing import mix

NEIGHBOURS: Final = 64
"""How many earlier packets of a run of equal ones are considered for a sighting."""


_FEW: Final = 32
"""Keys that are compared with each other sooner than a table of them is made."""


@njit(cache=True)
def number_slots(keys, slots):
    """Number the distinct keys from 0, in order of appearance, into `slots`; returns how many there are."""
    if keys.size > _FEW:
        return _number_many(keys, slots)
    distinct = np.empty(keys.size, np.int64)
    known = 0
    for i in range(keys.size):
        slot = -1
        for s in range(known):
            if distinct[s] == keys[i]:
                slot = s
                break
        if slot < 0:
            slot = known
            distinct[known] = keys[i]
            known += 1
        slots[i] = slot
    return known


@njit(cache=True)
def _number_many(keys, slots):
    """The same through a table, so that time grows with the keys alone."""
    size = 1
    while size < 2 * keys.size:
        size *= 2
    table = np.full(size, -1, np.int64)  # the first row with a key, at the place of its hash or behind
    known = 0
    for i in range(keys.size):
        at = np.int64(mix(np.uint64(keys[i]), np.uint64(0)) >> np.uint64(1)) & (size - 1)
        while table[at] >= 0 and keys[table[at]] != keys[i]:
            at = (at + 1) & (size - 1)
        if table[at] < 0:
            table[at] = i
            slots[i] = known
            known += 1
        else:
            slots[i] = slots[table[at]]
    return known
