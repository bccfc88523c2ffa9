"""What a capture file is, once read: its mapped bytes, where each packet lies in them, and the facts about it."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
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
    section: int = 0
    """The section of the file that describes it: one behind the other, each with interfaces of its own."""
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
    """The JSON comment of a ttrace section header: ttrace (format version) and node. Of the first that has one."""
    sections: list[dict[str, Any]] = field(default_factory=list)
    """The same of each section."""
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
    frames: npt.NDArray[np.int64] | None = None
    """Wireshark's frame numbers of the records, where others of the file lie between them (chunks.py)."""

    def frame_of(self, row: int) -> int:
        """Wireshark's frame number of a record."""
        return self.first + row + 1 if self.frames is None else int(self.frames[row])


def is_packet_interface(interface: Interface) -> bool:
    """True for a capture point; False for the netlink and snapshot interfaces of a ttrace capture."""
    return interface.facts.get("what", "packets") == "packets" and interface.link_type != LinkType.NETLINK


def is_for_drops(interface: Interface) -> bool:
    """Whether its records are packets that the kernel dropped."""
    return interface.facts.get("what") == "drops"


def of_snapshots(records: npt.NDArray[np.void], interfaces: list[Interface]) -> npt.NDArray[np.bool_]:
    """Which RECORD rows are snapshots of the facts of a node, as ttrace writes them; no other is."""
    return _of_kind(records, interfaces, "snapshot")


def _of_kind(records: npt.NDArray[np.void], interfaces: list[Interface], what: str) -> npt.NDArray[np.bool_]:
    is_wanted = np.array([*(i.facts.get("what") == what for i in interfaces), False], np.bool_)
    if not is_wanted.any():
        return np.zeros(records.size, np.bool_)
    found: npt.NDArray[np.bool_] = is_wanted[np.minimum(records["interface"], is_wanted.size - 1)]
    return found


_ELSEWHERE: Final = "elsewhere"
"""What an interface is for, in a capture that leaves it out."""


def without_interfaces(capture: CaptureFile, numbers: Collection[int]) -> CaptureFile:
    """The capture as if nothing were known of these interfaces: their records keep their places, and are nothing."""
    interfaces = [
        Interface(
            name=interface.name, link_type=LinkType.WIRESHARK_UPPER_PDU, snaplen=0,
            units_per_second=interface.units_per_second, facts={"what": _ELSEWHERE},
        )
        if number in numbers else interface
        for number, interface in enumerate(capture.interfaces)
    ]  # fmt: skip
    statistics = [one for one in capture.statistics if one.interface not in numbers]
    return replace(capture, interfaces=interfaces, statistics=statistics)


def left_out(records: npt.NDArray[np.void], interfaces: list[Interface]) -> npt.NDArray[np.bool_]:
    """Which RECORD rows are of interfaces that the capture leaves out."""
    return _of_kind(records, interfaces, _ELSEWHERE)
