"""Compiled reading of netlink attributes (linux/netlink.h). Lengths are checked: an attribute never reaches beyond its
parent."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import uncounted_njit
from ..arrays.hashing import hash_bytes
from .numbers import NLA_HDRLEN, NLA_TYPE_MASK

_NAME_SLOTS: Final = 1 << 14
"""Room for table and chain names of one file; a node with more distinct names than this loses the names beyond."""
_HEADER_BYTES: Final = 64
"""More than a trace message copies of a packet."""


class Scratch(NamedTuple):
    """What decoding the messages of one file needs beside the rows it fills."""

    names: npt.NDArray[np.uint64]
    """Hash table of names: rows of (hash, offset, length), 0 where a slot is free."""
    bytes: npt.NDArray[np.uint8]
    """To put headers together in."""
    copied: npt.NDArray[np.uint8]
    """The same, read-only as a file is: for numba another type, and all that dissects is compiled once."""
    reach: npt.NDArray[np.int64]
    """See RawMessages."""

    @classmethod
    def of(cls, reach: npt.NDArray[np.int64]) -> "Scratch":
        """For one file."""
        room = np.zeros(_HEADER_BYTES, np.uint8)
        copied = room[:]
        copied.flags.writeable = False
        return cls(names=np.zeros((_NAME_SLOTS, 3), np.uint64), bytes=room, copied=copied, reach=reach)

    def names_in(self, data: npt.NDArray[np.uint8]) -> dict[int, str]:
        """Hash to name, of all that were interned; `data`: the file."""
        rows = self.names[self.names[:, 0] != 0].tolist()
        return {key: bytes(data[offset : offset + length]).decode(errors="replace") for key, offset, length in rows}


@uncounted_njit
def u16(data, at):
    """16 bits in host order, which is little-endian in our files."""
    return np.int64(data[at]) | (np.int64(data[at + 1]) << 8)


@uncounted_njit
def attribute(data, at, end):
    """(type, first byte of the value, end of the value) of the attribute at `at`; type -1 when there is none."""
    if at + NLA_HDRLEN > end:
        return -1, end, end
    length = u16(data, at)
    if length < NLA_HDRLEN or at + length > end:
        return -1, end, end
    return u16(data, at + 2) & NLA_TYPE_MASK, at + NLA_HDRLEN, at + length


@uncounted_njit
def behind(at, stop):
    """Where the next attribute begins, after one from `at` to `stop`: they are aligned to 4 bytes."""
    return at + (((stop - at) + 3) & ~np.int64(3))


@uncounted_njit
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
