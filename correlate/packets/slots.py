"""What matching frames and what matching the rest have in common."""

from typing import Final

import numpy as np

from ...kernels.njit import njit

NEIGHBOURS: Final = 64
"""How many earlier packets of a run of equal ones are considered for a sighting."""


@njit(cache=True)
def number_slots(keys, slots):
    """Number the distinct keys from 0, in order of appearance, into `slots`; returns how many there are."""
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
