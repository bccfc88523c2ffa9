"""Capture files -> one table of record positions, without touching the packets themselves.

The file is memory-mapped; a compiled walk over its blocks fills `RECORD` rows that point into the mapping. Only the few
blocks that are not packets (section, interface, names, statistics) are parsed in Python.
"""

import ipaddress
import json
import mmap
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from ..errors import TtraceError
from .blocks import BYTE_ORDER_MAGIC, BlockType, LinkType, Option

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

_SECTION: Final = int(BlockType.SECTION_HEADER)
_ENHANCED: Final = int(BlockType.ENHANCED_PACKET)
_SIMPLE: Final = int(BlockType.SIMPLE_PACKET)
_MAGIC: Final = BYTE_ORDER_MAGIC


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


@dataclass(slots=True, kw_only=True)
class CaptureFile:
    """One capture file, mapped, with the position of each of its packets."""

    path: str
    data: npt.NDArray[np.uint8]
    """The bytes of the file (read-only mapping)."""
    records: npt.NDArray[np.void]
    """RECORD rows, in file order: row i is Wireshark's frame i + 1."""
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


def read_capture(path: str | Path) -> CaptureFile:
    """Map a pcapng or classic pcap file and locate its packets.

    Raises TtraceError when the file cannot be opened or is neither. A file that ends inside a record is read up to the
    last whole one and says so in `truncated_at`.
    """
    data = _map(Path(path))
    magic = bytes(data[:4])
    if magic == struct.pack("<I", _SECTION):
        return _read_pcapng(str(path), data)
    for order in "<>":
        if magic in (struct.pack(order + "I", 0xA1B2C3D4), struct.pack(order + "I", 0xA1B23C4D)):
            return _read_pcap(str(path), data, order)
    raise TtraceError(
        f"`{path}` is not a capture file: it begins with {magic.hex(' ') or 'nothing'}",
        "ttrace reads pcapng and pcap, as written by `ttrace capture`, tcpdump and Wireshark",
    )


def _map(path: Path) -> npt.NDArray[np.uint8]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size == 0:
                raise TtraceError(f"`{path}` is empty", "the capture wrote nothing; was it stopped before it began?")
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)
    except OSError as error:
        raise TtraceError(f"cannot read `{path}`: {error.strerror}", "check the name and the rights") from error


@njit(cache=True, inline="always")
def _u32(data, at, big):
    if big:
        return (
            (np.uint32(data[at]) << 24)
            | (np.uint32(data[at + 1]) << 16)
            | (np.uint32(data[at + 2]) << 8)
            | data[at + 3]
        )
    return (np.uint32(data[at + 3]) << 24) | (np.uint32(data[at + 2]) << 16) | (np.uint32(data[at + 1]) << 8) | data[at]


@njit(cache=True)
def _walk(data, special, records, units, offsets, snaplens, interface_base):
    """One walk over the blocks. With empty tables it only counts; else it fills `special` (type, offset, section) and
    `records`.

    Returns (packets, special blocks, end of the last whole block, state): state 0 whole, 1 cut short, 2 damaged.
    """
    size = data.size
    at = np.int64(0)
    packets = 0
    others = 0
    malformed = 0
    section = -1
    base = np.int64(0)
    count = np.int64(0)
    big = False
    fill_records = records.size > 0
    fill_special = special.shape[0] > 0
    while at + 12 <= size:
        kind = _u32(data, at, big)
        if kind == _SECTION:
            magic = _u32(data, at + 8, False)
            if magic == _MAGIC:
                big = False
            elif magic == 0x4D3C2B1A:
                big = True
            else:
                return packets, others, malformed, at, 2
            section += 1
            if fill_records:
                base = interface_base[section]
                count = interface_base[section + 1] - base
        length = np.int64(_u32(data, at + 4, big))
        if length < 12 or length % 4 != 0:
            return packets, others, malformed, at, 2
        if at + length > size:
            return packets, others, malformed, at, 1
        if _u32(data, at + length - 4, big) != length:
            return packets, others, malformed, at, 2
        if kind in (_ENHANCED, _SIMPLE, 2, 9, 0x204, 0x216, 0x00000BAD, 0x40000BAD):
            # Wireshark counts systemd, sysdig and custom blocks as frames: they take a number, and point at nothing.
            if fill_records:
                row = records[packets]
                row.time_ns = 0
                row.captured = 0
                row.original = 0
                row.offset = at
                row.direction = 0
                row.interface = 0xFFFFFFFF
                if kind == _SIMPLE and length >= 16 and count > 0:
                    row.interface = base
                    row.original = _u32(data, at + 8, big)
                    row.captured = min(np.int64(row.original), snaplens[base], length - 16)
                    row.offset = at + 12
                elif (kind == _ENHANCED or kind == 2) and length >= 32:
                    if kind == _ENHANCED:
                        interface = np.int64(_u32(data, at + 8, big))
                    elif big:
                        interface = (np.int64(data[at + 8]) << 8) | data[at + 9]
                    else:
                        interface = (np.int64(data[at + 9]) << 8) | data[at + 8]
                    captured = np.int64(_u32(data, at + 20, big))
                    if interface < count and captured <= length - 32:
                        interface += base
                        raw = (np.uint64(_u32(data, at + 12, big)) << np.uint64(32)) | np.uint64(
                            _u32(data, at + 16, big)
                        )
                        per_second = units[interface]
                        if per_second == np.uint64(1000000000):
                            time_ns = np.int64(raw)
                        elif per_second <= np.uint64(10000000000):
                            whole = np.int64(raw // per_second)
                            part = np.int64((raw % per_second) * np.uint64(1000000000) // per_second)
                            time_ns = whole * 1000000000 + part
                        else:
                            whole = np.int64(raw // per_second)
                            time_ns = whole * 1000000000 + np.int64(np.float64(raw % per_second) / per_second * 1e9)
                        row.time_ns = time_ns + offsets[interface] * 1000000000
                        row.interface = interface
                        row.captured = captured
                        row.original = _u32(data, at + 24, big)
                        row.offset = at + 28
                        option = at + 28 + ((captured + 3) & ~np.int64(3))
                        end = at + length - 4
                        while option + 4 <= end:
                            if big:
                                code = (np.int64(data[option]) << 8) | data[option + 1]
                                option_length = (np.int64(data[option + 2]) << 8) | data[option + 3]
                            else:
                                code = (np.int64(data[option + 1]) << 8) | data[option]
                                option_length = (np.int64(data[option + 3]) << 8) | data[option + 2]
                            if code == 0:
                                break
                            if code == 2 and option_length == 4 and option + 8 <= end:
                                row.direction = _u32(data, option + 4, big) & 3
                            option += 4 + ((option_length + 3) & ~np.int64(3))
                if row.interface == np.uint32(0xFFFFFFFF) and kind in (_ENHANCED, _SIMPLE, 2):
                    malformed += 1
            packets += 1
        else:
            if fill_special:
                special[others, 0] = kind
                special[others, 1] = at
                special[others, 2] = section
            others += 1
        at += length
    return packets, others, malformed, at, 0 if at == size else 1


def _read_pcapng(path: str, data: npt.NDArray[np.uint8]) -> CaptureFile:
    no_rows, no_blocks, none = np.empty(0, RECORD), np.empty((0, 3), np.int64), np.empty(0, np.int64)
    no_units = np.empty(0, np.uint64)
    packets, others, _, end, state = _walk(data, no_blocks, no_rows, no_units, none, none, none)
    if state == 2 and packets == 0 and others == 0:
        raise TtraceError(
            f"`{path}` is damaged at byte {end:,}: not a pcapng block", "was the file changed on its way here?"
        )
    special = np.empty((others, 3), np.int64)
    _walk(data, special, no_rows, no_units, none, none, none)
    capture = CaptureFile(path=path, data=data, records=np.zeros(packets, RECORD), interfaces=[])
    bases = _parse_special(capture, special)
    if packets:
        units = np.array([i.units_per_second for i in capture.interfaces], np.uint64)
        offsets = np.array([i.offset_s for i in capture.interfaces], np.int64)
        snaplens = np.array([i.snaplen or 2**32 for i in capture.interfaces], np.int64)
        _, _, capture.malformed, _, _ = _walk(data, no_blocks, capture.records, units, offsets, snaplens, bases)
    if state != 0:
        capture.truncated_at = int(end)
    return capture


def _parse_special(capture: CaptureFile, special: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Parse the blocks that are not packets; returns the first interface of each section, and their number at the
    end."""
    bases: list[int] = []
    order = "<"
    for kind, offset, _section in special.tolist():
        head = bytes(capture.data[offset : offset + 12])
        if kind == BlockType.SECTION_HEADER:
            order = "<" if struct.unpack("<I", head[8:])[0] == BYTE_ORDER_MAGIC else ">"
            bases.append(len(capture.interfaces))
        length = struct.unpack(order + "I", head[4:8])[0]
        body = bytes(capture.data[offset + 8 : offset + length - 4])
        if kind == BlockType.SECTION_HEADER and not capture.facts:
            facts = _json_comment(_options(body[16:], order))
            capture.facts = facts if isinstance(facts.get("node", ""), str) else {}
        elif kind == BlockType.INTERFACE_DESCRIPTION and len(body) >= 8:
            capture.interfaces.append(_parse_interface(body, order))
        elif kind == BlockType.NAME_RESOLUTION:
            capture.names.update(_parse_names(body, order))
        elif kind == BlockType.INTERFACE_STATISTICS and len(body) >= 12:
            capture.statistics.append(_parse_statistics(body, order, bases[-1], capture.interfaces))
    return np.array([*bases, len(capture.interfaces)], np.int64)


def _options(body: bytes, order: str) -> list[tuple[int, bytes]]:
    options = []
    at = 0
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        if code == Option.END:
            break
        options.append((code, body[at + 4 : at + 4 + length]))
        at += 4 + (length + 3) // 4 * 4
    return options


def _json_comment(options: list[tuple[int, bytes]]) -> dict[str, Any]:
    for code, value in options:
        if code == Option.COMMENT and value.startswith(b"{"):
            try:
                facts = json.loads(value)
            except (ValueError, RecursionError):
                continue  # somebody else's comment that happens to begin with a brace
            if isinstance(facts, dict):
                return facts
    return {}


def _parse_interface(body: bytes, order: str) -> Interface:
    link_type, _reserved, snaplen = struct.unpack_from(order + "HHI", body)
    options = _options(body[8:], order)
    interface = Interface(name="", link_type=link_type, snaplen=snaplen, units_per_second=1_000_000)
    for code, value in options:
        if code == Option.IF_NAME:
            interface.name = value.rstrip(b"\0").decode(errors="replace")
        elif code == Option.IF_MACADDR and len(value) == 6:
            interface.mac = value.hex(":")
        elif code == Option.IF_TSRESOL and value:
            exponent = value[0] & 0x7F
            interface.units_per_second = min(2**exponent if value[0] & 0x80 else 10**exponent, 2**63)
        elif code == Option.IF_TSOFFSET and len(value) == 8:
            interface.offset_s = struct.unpack(order + "q", value)[0]
        elif code == Option.IF_FILTER and value[:1] == b"\0":
            interface.filter = value[1:].rstrip(b"\0").decode(errors="replace")
    interface.facts = _interface_facts(_json_comment(options))
    return interface


def _interface_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """What a ttrace capture says of an interface, without what is not of the right type."""
    kept: dict[str, Any] = {k: v for k in ("netns", "container", "what") if isinstance(v := facts.get(k), str)}
    for name in ("ifindex", "inode"):
        value = facts.get(name)
        if isinstance(value, int) and 0 <= value < 2**63:
            kept[name] = value
    if kept.get("ifindex", 0) >= 2**32:
        del kept["ifindex"]
    return kept


def _parse_names(body: bytes, order: str) -> dict[str, str]:
    names = {}
    at = 0
    while at + 4 <= len(body):
        kind, length = struct.unpack_from(order + "HH", body, at)
        size = {1: 4, 2: 16}.get(kind)
        value = body[at + 4 : at + 4 + length]
        if kind == 0:
            break
        if size is not None and len(value) > size:
            name = value[size:].split(b"\0")[0].decode(errors="replace")
            names[str(ipaddress.ip_address(value[:size]))] = name
        at += 4 + (length + 3) // 4 * 4
    return names


def _parse_statistics(body: bytes, order: str, base: int, interfaces: list[Interface]) -> Statistics:
    number, high, low = struct.unpack_from(order + "III", body)
    counters = {c: struct.unpack(order + "Q", v)[0] for c, v in _options(body[12:], order) if len(v) == 8}
    interface = base + number
    known = interfaces[interface] if interface < len(interfaces) else None
    units, offset_s = (known.units_per_second, known.offset_s) if known else (1_000_000, 0)
    return Statistics(
        interface=interface,
        time_ns=((high << 32) | low) * 1_000_000_000 // units + offset_s * 1_000_000_000,
        received=counters.get(Option.ISB_IFRECV),
        lost=counters.get(Option.ISB_IFDROP, 0) + counters.get(Option.ISB_OSDROP, 0),
    )


@njit(cache=True)
def _walk_pcap(data, records, big, fraction_ns):
    at = np.int64(24)
    packets = 0
    while at + 16 <= data.size:
        captured = np.int64(_u32(data, at + 8, big))
        if at + 16 + captured > data.size:
            break
        if records.size > 0:
            row = records[packets]
            row.time_ns = np.int64(_u32(data, at, big)) * 1000000000 + np.int64(_u32(data, at + 4, big)) * fraction_ns
            row.offset = at + 16
            row.captured = captured
            row.original = _u32(data, at + 12, big)
            row.interface = 0
            row.direction = 0
        packets += 1
        at += 16 + captured
    return packets, at


def _read_pcap(path: str, data: npt.NDArray[np.uint8], order: str) -> CaptureFile:
    if data.size < 24:
        raise TtraceError(f"`{path}` ends inside its file header", "the capture wrote nothing useful")
    magic, _major, _minor, _zone, _accuracy, snaplen, link_type = struct.unpack(order + "IHHiIII", bytes(data[:24]))
    fraction_ns = 1 if magic == 0xA1B23C4D else 1000
    packets, end = _walk_pcap(data, np.empty(0, RECORD), order == ">", fraction_ns)
    records = np.zeros(packets, RECORD)
    if packets:
        _walk_pcap(data, records, order == ">", fraction_ns)
    # The upper bits of the link type field carry the FCS length (draft-ietf-opsawg-pcap, section 4).
    interface = Interface(
        name="", link_type=link_type & 0xFFFF, snaplen=snaplen, units_per_second=1_000_000_000 // fraction_ns
    )
    truncated_at = int(end) if end != data.size else None
    return CaptureFile(path=path, data=data, records=records, interfaces=[interface], truncated_at=truncated_at)


def is_packet_interface(interface: Interface) -> bool:
    """True for a capture point; False for the netlink and snapshot interfaces of a ttrace capture."""
    return interface.facts.get("what", "packets") == "packets" and interface.link_type != LinkType.NETLINK
