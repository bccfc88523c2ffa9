"""What a capture file is, once read: its mapped bytes, where each packet lies in them, and the facts about it."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .blocks import LinkType

RECORD: Final = np.dtype(
    [
        ("time_ns", "i8"),  # since the Unix epoch, by the clock of the node
        ("offset", "u8"),  # of the first captured byte, in the file
        ("captured", "u4"),  # bytes in the file
        ("original", "u4"),  # bytes on the wire
        ("interface", "u4"),  # index into CaptureFile.interfaces
        ("direction", "u1"),  # pcapng Direction: 0 unknown, 1 in, 2 out
    ]
)


@dataclass(slots=True, kw_only=True)
class Interface:
    """One interface description block, or the one interface of a classic pcap file."""

    name: str
    """if_name, or "" where the file has none."""
    link_type: int
    snaplen: int
    """Bytes kept of each packet; 0 means no limit."""
    units_per_second: int
    """Resolution of the raw timestamps."""
    offset_s: int = 0
    """if_tsoffset: seconds to add to each timestamp."""
    mac: str | None = None
    filter: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """The JSON comment of a ttrace capture: netns, inode, ifindex, container, what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """One interface statistics block: what an interface had received and lost at one moment."""

    interface: int
    time_ns: int
    received: int | None
    lost: int


@dataclass(slots=True)
class Heard:
    """What a file holds of one interface for netlink messages or snapshots."""

    records: int = 0
    conntrack: bool = False
    """There are conntrack messages among them."""


@dataclass(slots=True, kw_only=True)
class CaptureFile:
    """One capture file, mapped, with the position of each of its packets."""

    path: str
    data: npt.NDArray[np.uint8]
    """The bytes of the file (read-only mapping)."""
    records: npt.NDArray[np.void]
    """RECORD rows, in file order: row i is Wireshark's frame first + i + 1."""
    interfaces: list[Interface]
    facts: dict[str, Any] = field(default_factory=dict)
    """The JSON comment of a ttrace section header: ttrace (format version) and node."""
    statistics: list[Statistics] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """Address to name, from name resolution blocks."""
    malformed: int = 0
    """Packet blocks that cannot be read: of an interface the file does not describe, or longer than their block."""
    truncated_at: int | None = None
    """Byte where the last whole record ends, if the file ends inside another."""
    heard: dict[int, Heard] = field(default_factory=dict)
    """What the file holds, all of it, of its interfaces for netlink messages and snapshots, by their numbers."""
    first: int = 0
    """Records of the file before these: not 0 for a part of it (chunks.py)."""


def is_packet_interface(interface: Interface) -> bool:
    """True for a capture point; False for the netlink and snapshot interfaces of a ttrace capture."""
    return interface.facts.get("what", "packets") == "packets" and interface.link_type != LinkType.NETLINK


def of_snapshots(records: npt.NDArray[np.void], interfaces: list[Interface]) -> npt.NDArray[np.bool_]:
    """Which RECORD rows are snapshots of the facts of a node, as ttrace writes them; no other is."""
    is_snapshot = np.array([*(i.facts.get("what") == "snapshot" for i in interfaces), False], np.bool_)
    if not is_snapshot.any():
        return np.zeros(records.size, np.bool_)
    found: npt.NDArray[np.bool_] = is_snapshot[np.minimum(records["interface"], is_snapshot.size - 1)]
    return found
