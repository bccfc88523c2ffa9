"""The raw NETLINK_NETFILTER messages of a capture: where they are, and what all sources together make of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...pcapng.blocks import LinkType
from ...pcapng.read import CaptureFile
from ...pcapng.rows import joined
from ..schema import SIGHTING
from .attributes import u16
from .numbers import NFGENMSG_BYTES, NLMSG_FLAGS_OFFSET, NLMSG_HDRLEN, NLMSG_TYPE_OFFSET
from .ruleset_message import NEW_GENERATION, RulesetMessage

_COOKED: Final = 16
"""Bytes of the LINKTYPE_NETLINK header in front of a message (tcpdump.org/linktypes/LINKTYPE_NETLINK.html)."""
_LEAST: Final = NLMSG_HDRLEN + NFGENMSG_BYTES

MESSAGE: Final = np.dtype(
    [
        ("time_ns", "i8"),  # of receipt
        ("start", "i8"),  # its attributes, as offsets into the data of the file
        ("end", "i8"),
        ("frame", "u4"),
        ("type", "u2"),  # subsystem << 8 | message, see numbers.py
        ("flags", "u2"),  # NLM_F_*
        ("namespace", "u2"),
        ("family", "u1"),  # of struct nfgenmsg
    ],
    align=True,
)
"""One netfilter message, not decoded yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMessages:
    """Messages of one file, of the types that one source takes, in the order in which they came."""

    data: npt.NDArray[np.uint8]
    """The file."""
    file: int
    rows: npt.NDArray[np.void]
    """MESSAGE rows of the file."""
    which: npt.NDArray[np.int64]
    """The rows of these types."""
    reach: npt.NDArray[np.int64]
    """How many bytes of the transport headers count (decode/compared_bytes.py)."""


@dataclass(slots=True, kw_only=True)
class Said:
    """What messages each of which is one sighting of a packet say; row i of both belong together."""

    rows: npt.NDArray[np.void]
    """TOLD columns, then those of the source."""
    headers: npt.NDArray[np.void]
    """SIGHTING rows."""

    @classmethod
    def joined(cls, pieces: "list[Said]") -> "Said":
        """All of these behind each other; there must be one at least."""
        return cls(
            rows=joined(pieces[0].rows.dtype, (piece.rows for piece in pieces)),
            headers=joined(SIGHTING, (piece.headers for piece in pieces)),
        )


@dataclass(slots=True, kw_only=True)
class KernelMessages:
    """What the kernel said on one node, decoded."""

    events: npt.NDArray[np.void]
    """TRACE_EVENT rows, in the order of their sockets."""
    headers: npt.NDArray[np.void]
    """SIGHTING rows of the packet headers that came with the events."""
    conntrack: npt.NDArray[np.void]
    """CONNTRACK rows, in order."""
    names: dict[int, str]
    """Hash in the events to the name of the table or chain."""
    malformed: int
    """Messages that did not decode."""
    ruleset: list[RulesetMessage] = field(default_factory=list)
    """What was changed in the rules, in order."""
    said: dict[int, Said] = field(default_factory=dict)
    """By the kind of the sightings (sightings.py): messages each of which is a sighting."""

    @property
    def ruleset_changes_ns(self) -> npt.NDArray[np.int64]:
        """When a ruleset was changed (NFT_MSG_NEWGEN), with the namespace in the second column."""
        new = [(told.time_ns, told.namespace) for told in self.ruleset if told.kind == NEW_GENERATION]
        return np.array(new, np.int64).reshape(-1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMessages:
    """The messages of a file, not decoded yet."""

    rows: npt.NDArray[np.void]
    """MESSAGE rows, in order."""
    types: npt.NDArray[np.uint16]
    """Their types once more, close together."""
    malformed: int
    """Records that are no whole message."""

    def of_types(self, *types: int) -> npt.NDArray[np.int64]:
        """The rows of these types."""
        wanted = self.types == types[0]
        for other in types[1:]:
            wanted |= self.types == other
        return np.flatnonzero(wanted)


def find_messages(capture: CaptureFile, namespaces: npt.NDArray[np.uint16]) -> FoundMessages:
    """Where the netfilter messages of a file are. `namespaces`: namespace index of each of the file's interfaces."""
    is_netlink = np.array([i.link_type == LinkType.NETLINK for i in capture.interfaces], np.bool_)
    records = _count(capture.records, is_netlink) if is_netlink.any() and capture.records.size else 0
    rows, types = np.empty(records, MESSAGE), np.empty(records, np.uint16)
    count = 0
    if records:
        count = _locate(capture.data, capture.records, capture.first, is_netlink, namespaces, rows, types)
    return FoundMessages(rows=rows[:count], types=types[:count], malformed=records - count)


@njit(cache=True, nogil=True)
def _count(records, is_netlink):
    count = 0
    for i in range(records.size):
        interface = records[i].interface
        count += interface < np.uint32(is_netlink.size) and is_netlink[interface]
    return count


@njit(cache=True, nogil=True)
def _locate(data, records, first, is_netlink, namespaces, found, types):
    """Fill `found` and `types` with the whole messages; returns how many there are. `first`: records of the file before
    these."""
    count = 0
    for i in range(records.size):
        record = records[i]
        if record.interface >= np.uint32(is_netlink.size) or not is_netlink[record.interface]:
            continue
        if record.captured < _COOKED + _LEAST:
            continue
        start = np.int64(record.offset) + _COOKED
        length = u16(data, start) | (u16(data, start + 2) << 16)
        if length < _LEAST or length > np.int64(record.captured) - _COOKED:
            continue
        row = found[count]
        row.time_ns = record.time_ns
        row.start = start + _LEAST
        row.end = start + length
        row.frame = first + i + 1
        row.type = u16(data, start + NLMSG_TYPE_OFFSET)
        types[count] = row.type
        row.flags = u16(data, start + NLMSG_FLAGS_OFFSET)
        row.namespace = namespaces[record.interface]
        row.family = data[start + NLMSG_HDRLEN]
        count += 1
    return count


@dataclass(frozen=True, slots=True, kw_only=True)
class SightingSource:
    """A kind of message each of which is one sighting of a packet."""

    kind: int
    """Of its sightings (sightings.py)."""
    name: str
    """What a hop of this kind is called in the JSON contract and in tables."""
    types: tuple[int, ...]
    """Message types (numbers.py)."""
    columns: np.dtype
    """Those of TOLD, then its own."""
    decode: Callable[[RawMessages], tuple[Said, int]]
    """(what the messages say, number of malformed ones, which are left out)."""
    words: Callable[[np.void, Mapping[int, str]], str]
    """What one of them says, in a few words: from its row (`columns`) and the names of tables and chains."""
    worded: tuple[str, ...] | None = None
    """The columns that the words are made of: where messages are many, those that are equal in them are worded once.
    None: of any."""
