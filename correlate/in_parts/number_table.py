"""64-bit keys -> dense numbers, for keys that come in chunks and may be many millions."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.hashing import SPREAD

_FIRST_SIZE: Final = 1 << 12
_FULLEST: Final = 0.6
"""Part of the slots in use, beyond which the table is doubled."""


class NumberTable:
    """Numbers keys from 0 in order of appearance: open addressing, 12 bytes a slot."""

    def __init__(self) -> None:
        self._keys = np.zeros(_FIRST_SIZE, np.uint64)
        self._numbers = np.full(_FIRST_SIZE, -1, np.int32)
        self.count = 0

    def add(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """The number of each key; new ones get the next."""
        if self.count + keys.size > _FULLEST * self._keys.size:
            # Most keys of a chunk are known already: count the new ones before room is made for them.
            new = np.unique(keys[self.find(keys) < 0]).size
            size = self._keys.size
            while self.count + new > _FULLEST * size:
                size *= 2
            if size > self._keys.size:
                self._grow(size)
        numbers = np.empty(keys.size, np.int32)
        self.count = int(_add(self._keys, self._numbers, keys, self.count, numbers))
        return numbers

    def find(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """The number of each key, -1 where it has none."""
        numbers = np.empty(keys.size, np.int32)
        _find(self._keys, self._numbers, keys, numbers)
        return numbers

    def _grow(self, size: int) -> None:
        keys, numbers = np.zeros(size, np.uint64), np.full(size, -1, np.int32)
        _rehash(self._keys, self._numbers, keys, numbers)
        self._keys, self._numbers = keys, numbers


@njit(cache=True, inline="always")
def _slot(keys, numbers, key):
    """Where a key is, or belongs."""
    mask = keys.size - 1
    # Not all keys are hashes (trace ids are not): the upper half of a product depends on all bits below it.
    slot = np.int64((key * SPREAD) >> np.uint64(32)) & mask
    while numbers[slot] >= 0 and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@njit(cache=True)
def _add(keys, numbers, wanted, count, out):
    for i in range(wanted.size):
        slot = _slot(keys, numbers, wanted[i])
        if numbers[slot] < 0:
            keys[slot] = wanted[i]
            numbers[slot] = count
            count += 1
        out[i] = numbers[slot]
    return count


@njit(cache=True)
def _find(keys, numbers, wanted, out):
    for i in range(wanted.size):
        out[i] = numbers[_slot(keys, numbers, wanted[i])]


@njit(cache=True)
def _rehash(keys, numbers, new_keys, new_numbers):
    for i in range(keys.size):
        if numbers[i] >= 0:
            slot = _slot(new_keys, new_numbers, keys[i])
            new_keys[slot] = keys[i]
            new_numbers[slot] = numbers[i]
