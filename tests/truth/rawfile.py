"""A capture file read without any code of ttrace: frames, netfilter trace messages, and their headers."""

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TRACE_MESSAGE = 0x0A11
LINKTYPE_ETHERNET, LINKTYPE_NETLINK = 1, 253
DIRECTIONS = {0: "unknown", 1: "in", 2: "out"}


@dataclass(frozen=True)
class Point:
    """A capture point as the file names it."""

    node: str
    netns: str
    interface: str
    link_type: int
    what: str


@dataclass(frozen=True)
class Frame:
    """One packet block; `number` is Wireshark's frame number."""

    file: str
    number: int
    point: Point
    direction: str
    time_ns: int
    data: bytes

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Where and which way: (node, netns, interface, direction)."""
        return self.point.node, self.point.netns, self.point.interface, self.direction


@dataclass(frozen=True)
class Header:
    """The fields of an IPv4 packet with TCP, UDP or ICMP; of a fragment or a trace message as far as they are there."""

    source: str
    destination: str
    protocol: int
    ip_id: int
    ttl: int
    fragment: int
    length: int = 0
    """Of the datagram, as its header says."""
    source_port: int = 0
    destination_port: int = 0
    sequence: int = 0
    acknowledgment: int = 0
    flags: int = 0
    icmp: tuple[int, int] = (0, 0)
    payload: bytes = b""
    options: bytes = b""


@dataclass(frozen=True)
class TraceMessage:
    """One nftrace message, in the order of its socket."""

    file: str
    number: int
    point: Point
    id: int
    table: str
    chain: str
    header: Header | None
    interfaces: tuple[int, int]
    attributes: dict[int, bytes] = field(hash=False, compare=False)


def read_frames(path: Path) -> list[Frame]:
    """Every packet block of a pcapng file that ttrace wrote."""
    data = path.read_bytes()
    node = ""
    points: list[Point] = []
    frames = []
    position = number = 0
    while position + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, position)
        body = data[position + 8 : position + length - 4]
        if kind == 0x0A0D0D0A:
            node = json.loads(_options(body[16:])[1])["node"]
        elif kind == 1:
            options = _options(body[8:])
            facts = json.loads(options[1])
            points.append(
                Point(node, facts["netns"], options[2].decode(), struct.unpack_from("<H", body)[0], facts["what"])
            )
        elif kind == 6:
            number += 1
            interface, high, low, captured, _ = struct.unpack_from("<5I", body)
            options = _options(body[20 + (captured + 3 & ~3) :])
            flags = struct.unpack("<I", options[2])[0] if 2 in options else 0
            frames.append(
                Frame(
                    path.name,
                    number,
                    points[interface],
                    DIRECTIONS[flags & 3],
                    high << 32 | low,
                    body[20 : 20 + captured],
                )
            )
        position += length
    assert position == len(data), f"{path} ends inside a block"
    return frames


def shift_clock(source: Path, target: Path, shift_ns: int) -> None:
    """Copy a capture as if another machine, whose clock is ahead by `shift_ns`, had made it.

    The snapshots say when it began and ended: of as many digits, so that no length changes.
    """
    data = bytearray(source.read_bytes())
    (boot,) = set(re.findall(rb'"boot_id": "([0-9a-f-]{36})"', data))
    position = 0
    while position < len(data):
        kind, length = struct.unpack_from("<II", data, position)
        if kind in (5, 6):  # interface statistics and packets, both with the time in the same place
            high, low = struct.unpack_from("<II", data, position + 12)
            high, low = divmod((high << 32 | low) + shift_ns, 1 << 32)
            struct.pack_into("<II", data, position + 12, high, low)
        position += length
    data = bytearray(re.sub(rb'(?<=_ns": )[0-9]{19}\b', lambda time: b"%d" % (int(time[0]) + shift_ns), bytes(data)))
    target.write_bytes(data.replace(boot, boot[::-1]))


def packets(frames: list[Frame]) -> list[Frame]:
    """Those that AF_PACKET saw."""
    return [frame for frame in frames if frame.point.what == "packets"]


def header_of(frame: Frame) -> Header | None:
    """The IPv4 header of a captured packet; None for other protocols."""
    if frame.data[12:14] != b"\x08\x00":
        return None
    return parse_ipv4(frame.data[14:])


def parse_ipv4(data: bytes, transport: bytes | None = None) -> Header | None:
    """The fields of an IPv4 packet; `transport` when that header stands elsewhere."""
    if len(data) < 20 or data[0] >> 4 != 4:
        return None
    size = (data[0] & 15) * 4
    total, ip_id, fragment, ttl, protocol = struct.unpack_from("!HHHBB", data, 2)
    common: dict[str, Any] = {
        "source": ".".join(map(str, data[12:16])),
        "destination": ".".join(map(str, data[16:20])),
        "protocol": protocol,
        "ip_id": ip_id,
        "ttl": ttl,
        "fragment": fragment & 0x3FFF,
        "length": total,
    }
    rest = data[size:total] if transport is None else transport
    if fragment & 0x1FFF:
        return Header(**common, payload=rest)
    if protocol == 6 and len(rest) >= 20:
        ports = struct.unpack_from("!HHIIBB", rest)
        end = (rest[12] >> 4) * 4
        return Header(
            **common, source_port=ports[0], destination_port=ports[1], sequence=ports[2], acknowledgment=ports[3],
            flags=ports[5], options=rest[20:end], payload=rest[end:],
        )  # fmt: skip
    if protocol == 17 and len(rest) >= 8:
        source_port, destination_port = struct.unpack_from("!HH", rest)
        return Header(**common, source_port=source_port, destination_port=destination_port, payload=rest[8:])
    if protocol == 1 and len(rest) >= 8:
        kind, code, _, identifier, sequence = struct.unpack_from("!BBHHH", rest)
        return Header(**common, icmp=(kind, code), source_port=identifier, sequence=sequence, payload=rest[8:])
    return Header(**common, payload=rest)


def trace_messages(frames: list[Frame]) -> Iterator[TraceMessage]:
    """The nftrace messages among the frames, decoded as linux/netfilter/nf_tables.h says."""
    for frame in frames:
        if frame.point.link_type != LINKTYPE_NETLINK:
            continue
        message = frame.data[16:]
        length, kind = struct.unpack_from("=IH", message)
        if kind != TRACE_MESSAGE:
            continue
        attributes = dict(_attributes(message[20:length]))
        network = attributes.get(8)
        yield TraceMessage(
            frame.file, frame.number, frame.point, _number(attributes[6]), _text(attributes[1]), _text(attributes[2]),
            parse_ipv4(network, attributes.get(9, b"")) if network else None,
            (_number(attributes.get(10, b"")), _number(attributes.get(12, b""))), attributes,
        )  # fmt: skip


def _options(data: bytes) -> dict[int, bytes]:
    found = {}
    position = 0
    while position + 4 <= len(data):
        code, length = struct.unpack_from("<HH", data, position)
        if code == 0:
            break
        found[code] = data[position + 4 : position + 4 + length]
        position += 4 + (length + 3 & ~3)
    return found


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, position)
        yield kind & 0x3FFF, data[position + 4 : position + length]
        position += max(length + 3 & ~3, 4)


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode()
