"""The pcapng format (draft-ietf-opsawg-pcapng): sections, interfaces, names, statistics."""

import ipaddress
import json
import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import TtraceError
from .blocks import BYTE_ORDER_MAGIC, BlockType, Option
from .capture_file import RECORD, CaptureFile, Interface, Statistics
from .walk import walk_blocks

_MOST_INTERFACES: Final = 1 << 16
"""Of a file. What more there are belongs to a damaged one: their packets are counted as malformed."""
_MOST_OPTIONS: Final = 1 << 12
"""That are read of one block."""


def read_sections(path: str, data: npt.NDArray[np.uint8]) -> CaptureFile:
    """Read a mapped pcapng file. Raises TtraceError when not even its first block is one."""
    no_rows, no_blocks, none = np.empty(0, RECORD), np.empty((0, 3), np.int64), np.empty(0, np.int64)
    no_units = np.empty(0, np.uint64)
    packets, others, _, end, state = walk_blocks(data, no_blocks, no_rows, no_units, none, none, none)
    if state == 2 and packets == 0 and others == 0:
        raise TtraceError(
            f"`{path}` is damaged at byte {end:,}: not a pcapng block", "was the file changed on its way here?"
        )
    special = np.empty((others, 3), np.int64)
    walk_blocks(data, special, no_rows, no_units, none, none, none)
    capture = CaptureFile(path=path, data=data, records=np.zeros(packets, RECORD), interfaces=[])
    bases = _parse_special(capture, special)
    if packets:
        units = np.array([i.units_per_second for i in capture.interfaces], np.uint64)
        offsets = np.array([i.offset_s for i in capture.interfaces], np.int64)
        snaplens = np.array([i.snaplen or 2**32 for i in capture.interfaces], np.int64)
        _, _, capture.malformed, _, _ = walk_blocks(data, no_blocks, capture.records, units, offsets, snaplens, bases)
    if state != 0:
        capture.truncated_at = int(end)
    return capture


def _parse_special(capture: CaptureFile, special: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Parse the blocks that are not packets; returns the first interface of each section, and their number at the
    end."""
    bases: list[int] = []
    order = "<"
    for kind, offset in ((int(kind), int(offset)) for kind, offset, _section in special):
        head = bytes(capture.data[offset : offset + 12])
        if kind == BlockType.SECTION_HEADER:
            order = "<" if struct.unpack("<I", head[8:])[0] == BYTE_ORDER_MAGIC else ">"
            bases.append(len(capture.interfaces))
        length = struct.unpack(order + "I", head[4:8])[0]
        body = bytes(capture.data[offset + 8 : offset + length - 4])
        if kind == BlockType.SECTION_HEADER and not capture.facts:
            facts = _json_comment(_options(body[16:], order))
            capture.facts = facts if isinstance(facts.get("node", ""), str) else {}
        elif kind == BlockType.INTERFACE_DESCRIPTION and len(body) >= 8 and len(capture.interfaces) < _MOST_INTERFACES:
            capture.interfaces.append(_parse_interface(body, order))
        elif kind == BlockType.NAME_RESOLUTION:
            capture.names.update(_parse_names(body, order))
        elif kind == BlockType.INTERFACE_STATISTICS and len(body) >= 12:
            capture.statistics.append(_parse_statistics(body, order, bases[-1], capture.interfaces))
    return np.array([*bases, len(capture.interfaces)], np.int64)


def _options(body: bytes, order: str) -> list[tuple[int, bytes]]:
    options: list[tuple[int, bytes]] = []
    at = 0
    while at + 4 <= len(body) and len(options) < _MOST_OPTIONS:
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
