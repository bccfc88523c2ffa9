"""The pcapng format (draft-ietf-opsawg-pcapng): sections, interfaces, names, statistics."""

import ipaddress
import json
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import TtraceError
from .blocks import FORMAT_VERSION, BlockType, NameRecord, Option
from .capture_file import RECORD, CaptureFile, Interface, Statistics
from .packet_blocks import INTERFACE
from .pages import WINDOW, fetch, give_back
from .parallel_walk import Stretch
from .rows import copied, joined
from .source import MappedSource
from .walk import BLOCK, DAMAGED, END, FULL, UNKNOWN, WALK, walk_blocks

_MOST_INTERFACES: Final = 1 << 16
"""Of a file. What more there are belongs to a damaged one: their packets are counted as malformed."""
_MOST_OPTIONS: Final = 1 << 12
"""That are read of one block."""
_ADDRESS_BYTES: Final[dict[int, int]] = {NameRecord.IPV4: 4, NameRecord.IPV6: 16}


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a pcapng file, to come back to."""

    state: npt.NDArray[np.void]
    section: int


class _InterfaceTable:
    """What a walk knows of the interfaces of a file."""

    def __init__(self) -> None:
        self._size = 0
        self.rows = np.empty(4, INTERFACE)
        """INTERFACE rows, with room behind them."""

    def append(self, interface: Interface) -> None:
        """The next interface."""
        if self._size == self.rows.size:
            self.rows = joined(INTERFACE, [self.rows, np.empty_like(self.rows)])
        self.rows[self._size] = interface.units_per_second, interface.offset_s, interface.snaplen or 2**32
        self._size += 1


class SectionReader:
    """A mapped pcapng file, read in pieces of any size: once from its start to its end, then from any place again."""

    def __init__(self, source: MappedSource) -> None:
        self._source = source
        self.capture = CaptureFile(path=source.name, data=source.data, records=np.empty(0, RECORD), interfaces=[])
        """What is known of the file so far; its records are those of whoever reads them."""
        self._state = np.zeros(1, WALK)
        self._interfaces = _InterfaceTable()
        self._bases: list[int] = []
        """First interface of each section."""
        self._section = -1
        self._parsed = 0
        """What is no packet has been parsed up to here."""
        self._fetched = 0
        self._whole = False
        """All has been read once."""

    @property
    def at(self) -> int:
        """Offset of the next block."""
        return int(self._state["at"][0])

    def read(self, records: npt.NDArray[np.void], end: int | None = None, *, drop: bool = False) -> int:
        """Fill RECORD rows with the next packets; returns how many there were. Fewer than rows only at the end, or
        where a block ends at or behind offset `end`. `drop`: what was walked over is not kept in memory.

        Raises TtraceError when not even the first block is one.
        """
        data, filled = self.capture.data, 0
        end = data.size if end is None else min(end, data.size)
        while self.at < end or end == data.size:
            begin, stop = self.at, min(self.at + WINDOW, end)
            if stop > self._fetched:
                fetch(data, max(begin, self._fetched), stop)
                self._fetched = stop
            got, pause = walk_blocks(data, stop, self._state, records[filled:], self._interfaces.rows)
            filled += got
            if drop:
                give_back(data, begin, self.at)
            if pause == BLOCK:
                self._arrive()
            elif pause == UNKNOWN:
                self._look_ahead()
            elif pause == FULL:
                break
            elif pause != END or self.at == data.size:
                self._end(pause)
                break
        return filled

    def read_ahead(self) -> npt.NDArray[np.void]:
        """RECORD rows of the next packets, as many as can be found on all cores: maybe none, and maybe not all."""
        if self._section < 0 or self._state["complete"][0]:
            return np.empty(0, RECORD)
        found = Stretch(self.capture.data, self._state, self._interfaces.rows)
        self._state = found.state
        for kind, start, end in found.passed:
            self._parse(kind, start, end)
        return found.records

    def position(self) -> Position:
        """Where the reader is."""
        return Position(copied(self._state), self._section)

    def go_to(self, position: Position) -> None:
        """Go on from a place where it has been; not before all has been read once."""
        self._state = copied(position.state)
        self._section = position.section
        self._fetched = 0
        self._enter()

    def _arrive(self) -> None:
        """The block behind the reader is no packet."""
        start, end, kind = (int(self._state[name][0]) for name in ("block", "at", "kind"))
        if kind == BlockType.SECTION_HEADER:
            self._section += 1
        if start >= self._parsed:
            self._parse(kind, start, end)
        self._enter()

    def _enter(self) -> None:
        """Tell the walk which interfaces its section has."""
        if self._section < 0:
            return
        following = self._section + 1
        base = self._bases[self._section]
        end = self._bases[following] if following < len(self._bases) else len(self.capture.interfaces)
        self._state["base"], self._state["count"] = base, end - base
        self._state["complete"] = self._whole or self._parsed > self.at

    def _look_ahead(self) -> None:
        """Parse all that is no packet up to the end of the section: a packet may only name what was described before,
        but not every file keeps to that."""
        state, passed = copied(self._state), np.empty(1 << 12, RECORD)
        state["complete"] = 1
        while True:
            _, pause = walk_blocks(self.capture.data, self.capture.data.size, state, passed, self._interfaces.rows)
            start, end, kind = (int(state[name][0]) for name in ("block", "at", "kind"))
            if pause == BLOCK and kind != BlockType.SECTION_HEADER:
                self._parse(kind, start, end)
            elif pause != FULL:
                self._parsed = start if pause == BLOCK else end
                break
        self._enter()

    def _end(self, pause: int) -> None:
        at = self.at
        if pause == DAMAGED and at == 0:
            raise TtraceError(
                f"`{self._source.name}` is damaged at byte {at:,}: not a pcapng block",
                "was the file changed on its way here?",
            )
        if pause != END or self._source.cut:
            self.capture.truncated_at = at
        if not self._whole:
            self.capture.malformed = int(self._state["malformed"][0])
            self._whole = True

    def _parse(self, kind: int, start: int, end: int) -> None:
        """Parse a block that is no packet."""
        self._parsed = end
        capture, order = self.capture, "<>"[int(self._state["big"][0])]
        body = bytes(capture.data[start + 8 : end - 4])
        if kind == BlockType.SECTION_HEADER:
            self._bases.append(len(capture.interfaces))
            facts = _json_comment(_options(body[16:], order))
            self._refuse_newer(facts)
            capture.sections.append(facts if isinstance(facts.get("node", ""), str) else {})
            capture.facts = capture.facts or capture.sections[-1]
        elif kind == BlockType.INTERFACE_DESCRIPTION and len(body) >= 8 and len(capture.interfaces) < _MOST_INTERFACES:
            capture.interfaces.append(_parse_interface(body, order, len(self._bases) - 1))
            self._interfaces.append(capture.interfaces[-1])
        elif kind == BlockType.NAME_RESOLUTION:
            capture.names.update(_parse_names(body, order))
        elif kind == BlockType.INTERFACE_STATISTICS and len(body) >= 12:
            capture.statistics.append(_parse_statistics(body, order, self._bases[-1], capture.interfaces))

    def _refuse_newer(self, facts: dict[str, Any]) -> None:
        """Of a later format nothing is known, and half-read it would say what is not true. Raises TtraceError."""
        version = facts.get("ttrace")
        if type(version) is int and version > FORMAT_VERSION:
            raise TtraceError(
                f"`{self._source.name}` is of format {version} of ttrace, and this ttrace reads up to {FORMAT_VERSION}",
                "update ttrace here, or have the file converted by the ttrace that wrote it",
            )


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


def _parse_interface(body: bytes, order: str, section: int) -> Interface:
    link_type, _reserved, snaplen = struct.unpack_from(order + "HHI", body)
    options = _options(body[8:], order)
    interface = Interface(name="", link_type=link_type, snaplen=snaplen, units_per_second=1_000_000, section=section)
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
        size = _ADDRESS_BYTES.get(kind)
        value = body[at + 4 : at + 4 + length]
        if kind == NameRecord.END:
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
