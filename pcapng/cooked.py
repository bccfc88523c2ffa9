"""`tcpdump -i any` records all interfaces as one: LINKTYPE_LINUX_SLL2 names the real one in every packet.

Its interface is split into one per interface index, so that all that follows sees several capture points.
"""

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ..kernels.loads import be32
from ..kernels.njit import njit
from .blocks import LinkType
from .capture_file import CaptureFile

_MOST_INTERFACES: Final = 1024
"""Beyond these the packets stay at the interface of the file: no node captures so many, damaged files do."""
_NONE: Final = 0xFFFFFFFF


@njit(cache=True, nogil=True)
def _find_keys(data, records, is_cooked, keys):
    """Interface of the file << 32 | interface index in the SLL2 header of each packet
    (tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html); _NONE for what is missing."""
    for i in range(records.size):
        record = records[i]
        number = np.int64(record.interface)
        if number >= is_cooked.size or not is_cooked[number]:
            keys[i] = np.uint64(0xFFFFFFFFFFFFFFFF)
            continue
        index = be32(data, np.int64(record.offset) + 4) if record.captured >= 20 else np.uint32(_NONE)
        keys[i] = (np.uint64(number) << np.uint64(32)) | np.uint64(index)


class CookedInterfaces:
    """The interfaces behind the `any` of one file: what it holds of them is seen first, piece by piece; then its
    packets are given to them."""

    def __init__(self, capture: CaptureFile) -> None:
        self._capture = capture
        self._cooked = np.empty(0, np.bool_)
        """Which interfaces of the file are such."""
        self._packets = 0
        self._seen: dict[int, int] = {}
        """Packets by interface of the file << 32 | index of the real one."""
        self._left: dict[int, int] = {}
        """Packets without a readable header, by interface of the file."""
        self._kinds = np.empty(0, np.uint64)
        self._first = 0

    def see(self, records: npt.NDArray[np.void]) -> None:
        """Take notice of the next RECORD rows."""
        self._packets += records.size
        if self._cooked.size != len(self._capture.interfaces):
            self._cooked = np.array([i.link_type == LinkType.LINUX_SLL2 for i in self._capture.interfaces], np.bool_)
        if self._cooked.any():
            keys, counts = np.unique(self._keys(records), return_counts=True)
            for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
                number, index = key >> 32, key & _NONE
                if index != _NONE:
                    self._seen[key] = self._seen.get(key, 0) + count
                elif number != _NONE:
                    self._left[number] = self._left.get(number, 0) + count

    def split(self) -> None:
        """All has been seen: an interface for each (the capture is changed in place).

        An interface that has nothing left is no capture point any more; its place in the list stays, for the statistics
        refer to it.
        """
        interfaces = self._capture.interfaces
        kinds = sorted(self._seen)
        for kind in kinds[_MOST_INTERFACES:]:
            self._left[kind >> 32] = self._left.get(kind >> 32, 0) + self._seen[kind]
        self._kinds = np.array(kinds[:_MOST_INTERFACES], np.uint64)
        self._first = len(interfaces)
        for kind in kinds[:_MOST_INTERFACES]:
            number, ifindex = kind >> 32, kind & 0xFFFFFFFF
            # The loopback device is the first of every network namespace.
            name = "lo" if ifindex == 1 else f"if{ifindex}"
            facts = interfaces[number].facts | {"ifindex": ifindex, "cooked": True}
            interfaces.append(replace(interfaces[number], name=name, facts=facts))
        for number in np.flatnonzero(self._cooked).tolist():
            if self._packets and not self._left.get(number):
                interfaces[number].facts = interfaces[number].facts | {"what": "any"}

    def give(self, records: npt.NDArray[np.void]) -> None:
        """Give packets to their interfaces (RECORD rows, changed in place). What has no readable header stays."""
        if self._kinds.size == 0 or records.size == 0:
            return
        keys = self._keys(records)
        kind = np.minimum(np.searchsorted(self._kinds, keys), self._kinds.size - 1)
        rows = np.flatnonzero(self._kinds[kind] == keys)
        records["interface"][rows] = self._first + kind[rows]

    def _keys(self, records: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
        keys = np.empty(records.size, np.uint64)
        _find_keys(self._capture.data, records, self._cooked, keys)
        return keys


def split_by_interface(capture: CaptureFile) -> None:
    """Give the packets of each SLL2 interface to interfaces by their index (`capture` is changed in place)."""
    cooked = CookedInterfaces(capture)
    cooked.see(capture.records)
    cooked.split()
    cooked.give(capture.records)
