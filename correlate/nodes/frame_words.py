"""A few bytes of each frame that NAT does not change, without decoding it: enough to know a frame again."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import LinkType
from ...pcapng.read import CaptureFile

_ETHERNET: Final = 14
_NETWORK: Final[dict[int, int]] = {
    LinkType.ETHERNET: _ETHERNET,
    LinkType.RAW: 0,
    LinkType.LINUX_SLL: 16,
    LinkType.LINUX_SLL2: 20,
    LinkType.NULL: 4,
    LinkType.LOOP: 4,
}
"""Where the network header begins."""
_LEAST: Final = 20
"""Bytes of a network header without which nothing is read."""
_TCP: Final = 6
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)


def frame_words(capture: CaptureFile) -> npt.NDArray[np.uint64]:
    """A hash for each different IP packet among the records of a capture: of its id, length and protocol, and of TCP's
    sequence numbers or the first bytes of another payload. Without an id, acknowledgments that carry nothing are left
    out: they are equal by nature. A VLAN tag is passed over."""
    records, data = capture.records, capture.data
    offsets = np.array([*(_NETWORK.get(i.link_type, -1) for i in capture.interfaces), -1], np.int64)
    network = offsets[np.minimum(records["interface"], offsets.size - 1)]
    start, size = records["offset"].astype(np.int64), records["captured"].astype(np.int64)
    whole = (network >= 0) & (size >= network + _LEAST)
    at, end = (start + network)[whole], (start + size)[whole]
    tagged = (network[whole] == _ETHERNET) & (data[at - 2] == 0x81) & (data[at - 1] == 0) & (at + 4 + _LEAST <= end)
    at = np.where(tagged, at + 4, at)
    six = data[at] >> 4 == 6
    header = np.where(six, 40, (data[at] & 15).astype(np.int64) * 4)
    protocol = data[np.where(six, at + 6, at + 9)]
    words = at + header + np.where(protocol == _TCP, 4, 8)
    known = (six | (data[at] >> 4 == 4)) & (words + 9 <= end)
    at, six, header, protocol, words = (column[known] for column in (at, six, header, protocol, words))
    length = data[np.where(six, at + 4, at + 2)].astype(np.int64) << 8 | data[np.where(six, at + 5, at + 3)]
    number = np.where(six, 0, data[at + 4].astype(np.int64) << 8 | data[at + 5])
    payload = length - np.where(six, 0, header) - (data[words + 8] >> 4).astype(np.int64) * 4
    telling = (number != 0) | (protocol != _TCP) | (payload > 0)
    key = np.zeros(int(telling.sum()), np.uint64)
    for column in (length, number, protocol, *(data[words + i] for i in range(8))):
        key = (key ^ column[telling].astype(np.uint64)) * _MULTIPLIER
        key ^= key >> np.uint64(29)
    return np.unique(key)
