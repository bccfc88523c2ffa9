"""Builds pcapng blocks as bytes: the format of docs/file-format.md, with the standard library only.

Source: draft-ietf-opsawg-pcapng; exported PDU tags from Wireshark's epan/exported_pdu.h.
"""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Final

from .blocks import BYTE_ORDER_MAGIC, FORMAT_VERSION, BlockType, Direction, LinkType, NameRecord, Option

_EXPORTED_DISSECTOR_NAME: Final = 12
SNAPSHOT_PART_BYTES: Final = 200_000
"""More JSON than this does not fit in one packet (Wireshark refuses more than 262,144 bytes) and is cut in parts."""

Options = Sequence[tuple[Option, bytes]]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _utf8(text: str) -> bytes:
    """The text, with what cannot be encoded (half a character, a byte of a name that is no UTF-8) escaped."""
    return text.encode(errors="backslashreplace")


def _block(kind: int, body: bytes, options: Options = ()) -> bytes:
    """Frame a body (padded to 4 bytes) and its options as one block."""
    if options:
        body += b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options)
        body += bytes(4)
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _comment(facts: Mapping[str, object]) -> tuple[Option, bytes]:
    return (Option.COMMENT, json.dumps(facts, separators=(", ", ": ")).encode())


def section_header(*, node: str, system: str, application: str, ring: tuple[str, int] | None = None) -> bytes:
    """Section header block: who wrote the file (`application`), on which kernel (`system`), for which node; and of
    which ring of files it is, and which of them."""
    of_ring: dict[str, object] = {"ring": ring[0], "number": ring[1]} if ring else {}
    options = [
        _comment({"ttrace": FORMAT_VERSION, "node": node} | of_ring),
        (Option.SHB_OS, _utf8(system)),
        (Option.SHB_USERAPPL, _utf8(application)),
    ]
    return _block(BlockType.SECTION_HEADER, struct.pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, -1), options)


def interface_description(
    *,
    link_type: LinkType,
    name: str,
    description: str,
    facts: Mapping[str, object],
    snaplen: int = 0,
    mac: bytes | None = None,
    filter_text: str | None = None,
) -> bytes:
    """Interface description block; `facts` is the JSON comment (docs/file-format.md), `mac` 6 bytes, snaplen 0 none."""
    options = [(Option.IF_NAME, _utf8(name)), (Option.IF_DESCRIPTION, _utf8(description))]
    if mac is not None and len(mac) == 6:
        options.append((Option.IF_MACADDR, mac))
    options.append((Option.IF_TSRESOL, b"\x09"))
    if filter_text:
        # Code 0: a libpcap filter string follows.
        options.append((Option.IF_FILTER, b"\0" + _utf8(filter_text)))
    options.append(_comment(facts))
    return _block(BlockType.INTERFACE_DESCRIPTION, struct.pack("<HHI", link_type, 0, snaplen), options)


def enhanced_packet(
    *,
    interface: int,
    time_ns: int,
    data: bytes,
    length: int | None = None,
    direction: Direction = Direction.UNKNOWN,
) -> bytes:
    """Enhanced packet block. `time_ns` is nanoseconds since 1970, `length` that on the wire if longer than `data`."""
    body = struct.pack(
        "<IIIII",
        interface,
        time_ns >> 32,
        time_ns & 0xFFFFFFFF,
        len(data),
        len(data) if length is None else length,
    )
    options = [(Option.EPB_FLAGS, struct.pack("<I", direction))] if direction else []
    return _block(BlockType.ENHANCED_PACKET, body + _padded(data), options)


def interface_statistics(*, interface: int, time_ns: int, received: int, dropped: int) -> bytes:
    """Interface statistics block: packets that passed the filter (lost ones included) and those lost, so far."""
    options = [
        (Option.ISB_IFRECV, struct.pack("<Q", received)),
        (Option.ISB_IFDROP, struct.pack("<Q", dropped)),
    ]
    body = struct.pack("<III", interface, time_ns >> 32, time_ns & 0xFFFFFFFF)
    return _block(BlockType.INTERFACE_STATISTICS, body, options)


def name_resolution(names: Mapping[str, str]) -> bytes:
    """Name resolution block: address (IPv4 or IPv6) to name. Empty bytes when there are no names."""
    if not names:
        return b""
    records = b""
    for address, name in names.items():
        packed = ip_address(address).packed
        value = packed + _utf8(name) + b"\0"
        kind = NameRecord.IPV4 if len(packed) == 4 else NameRecord.IPV6
        records += struct.pack("<HH", kind, len(value)) + _padded(value)
    return _block(BlockType.NAME_RESOLUTION, records + struct.pack("<HH", NameRecord.END, 0))


def exported_json(text: str) -> bytes:
    """Packet data of LINKTYPE_WIRESHARK_UPPER_PDU that Wireshark shows as JSON: dissector tag, end tag, text."""
    dissector = _padded(b"json")
    return struct.pack(">HH", _EXPORTED_DISSECTOR_NAME, len(dissector)) + dissector + bytes(4) + text.encode()


def snapshot_packets(*, moment: str, netns: str | None, kind: str, data: object) -> Iterator[bytes]:
    """Yield the packet data of one snapshot: one packet, or several whose `data` strings join to the JSON text."""
    facts: dict[str, object] = {"ttrace": "snapshot", "moment": moment, "netns": netns, "kind": kind}
    # Names of interfaces and files may hold bytes that are no UTF-8; JSON then carries them as escapes.
    text = json.dumps(data)
    if len(text) <= SNAPSHOT_PART_BYTES:
        yield exported_json(json.dumps(facts | {"part": 1, "parts": 1, "data": data}))
        return
    # Each part is quoted once more: keep the worst case (every character a quote) below Wireshark's limit.
    step = SNAPSHOT_PART_BYTES // 2
    parts = [text[start : start + step] for start in range(0, len(text), step)]
    for number, part in enumerate(parts, 1):
        yield exported_json(json.dumps(facts | {"part": number, "parts": len(parts), "data": part}))
