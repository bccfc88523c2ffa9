"""`tcpdump -i any` records all interfaces as one: LINKTYPE_LINUX_SLL2 names the real one in every packet.

Its interface is split into one per interface index, so that all that follows sees several capture points.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from numba import njit

from .blocks import LinkType
from .capture_file import CaptureFile

_MOST_INTERFACES: Final = 1024
"""Beyond these the packets stay at the interface of the file: no node captures so many, damaged files do."""
_NONE: Final = 0xFFFFFFFF


@njit(cache=True)
def _interface_indexes(data, records, is_cooked, out):
    """Interface index in the SLL2 header (tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html) of each packet that has
    one."""
    for i in range(records.size):
        record = records[i]
        if record.interface < np.uint32(is_cooked.size) and is_cooked[record.interface] and record.captured >= 20:
            at = np.int64(record.offset) + 4
            out[i] = (
                (np.uint32(data[at]) << 24)
                | (np.uint32(data[at + 1]) << 16)
                | (np.uint32(data[at + 2]) << 8)
                | np.uint32(data[at + 3])
            )


def split_by_interface(capture: CaptureFile) -> None:
    """Give the packets of each SLL2 interface to interfaces by their index (`capture` is changed in place).

    What has no readable header stays where it was. An interface that has nothing left is no capture point any more;
    its place in the list stays, for the statistics refer to it.
    """
    is_cooked = np.array([i.link_type == LinkType.LINUX_SLL2 for i in capture.interfaces], np.bool_)
    records = capture.records
    if not is_cooked.any() or records.size == 0:
        return
    index = np.full(records.size, _NONE, np.uint32)
    _interface_indexes(capture.data, records, is_cooked, index)
    found = np.flatnonzero(index != _NONE)
    key = (records["interface"][found].astype(np.uint64) << np.uint64(32)) | index[found]
    kinds, kind_of = np.unique(key, return_inverse=True)
    rows = found[kind_of < _MOST_INTERFACES]
    records["interface"][rows] = len(capture.interfaces) + kind_of[kind_of < _MOST_INTERFACES]
    for kind in kinds[:_MOST_INTERFACES].tolist():
        number, ifindex = kind >> 32, kind & 0xFFFFFFFF
        # The loopback device is the first of every network namespace.
        name = "lo" if ifindex == 1 else f"if{ifindex}"
        facts = capture.interfaces[number].facts | {"ifindex": ifindex, "cooked": True}
        capture.interfaces.append(replace(capture.interfaces[number], name=name, facts=facts))
    left = np.bincount(records["interface"][records["interface"] < is_cooked.size], minlength=is_cooked.size)
    for number in np.flatnonzero(is_cooked & (left == 0)).tolist():
        capture.interfaces[number].facts = capture.interfaces[number].facts | {"what": "any"}
