"""Compiled reading of netlink attributes (linux/netlink.h). Lengths are checked: an attribute never reaches beyond its
parent."""

import numpy as np

from ...kernels.njit import njit
from ..arrays.hashing import hash_bytes


@njit(cache=True)
def u16(data, at):
    """16 bits in host order, which is little-endian in our files."""
    return np.int64(data[at]) | (np.int64(data[at + 1]) << 8)


@njit(cache=True)
def attribute(data, at, end):
    """(type, first byte of the value, end of the value) of the attribute at `at`; type -1 when there is none."""
    if at + 4 > end:
        return -1, end, end
    length = u16(data, at)
    if length < 4 or at + length > end:
        return -1, end, end
    return u16(data, at + 2) & 0x3FFF, at + 4, at + length


@njit(cache=True)
def intern(data, start, end, names):
    """Hash of a name; remembers in `names` (hash, offset, length) where it stands."""
    while end > start and data[end - 1] == 0:
        end -= 1
    key = hash_bytes(data, start, end, np.uint64(1)) | np.uint64(1)
    mask = names.shape[0] - 1
    slot = np.int64(key & np.uint64(mask))
    for _ in range(names.shape[0]):
        if names[slot, 0] == key:
            break
        if names[slot, 0] == 0:
            names[slot, 0] = key
            names[slot, 1] = start
            names[slot, 2] = end - start
            break
        slot = (slot + 1) & mask
    return key
