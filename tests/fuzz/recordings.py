"""Seeds: what pcaps/ holds, taken apart with none of ttrace's code."""

import json
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ttrace.tests.pcapng.blocks import ENHANCED_PACKET, INTERFACE, LITTLE

PCAPS = Path(__file__).parents[2] / "pcaps"
ETHERNET, NETLINK, UPPER_PDU = 1, 253, 252


@cache
def recordings() -> list[bytes]:
    """The files themselves."""
    return [path.read_bytes() for path in sorted(PCAPS.glob("*/*.pcapng"))]


def split_blocks(data: bytes) -> list[bytes]:
    """Blocks as their type and body, without the lengths; what is no block more is one piece."""
    found = []
    at = 0
    while at + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if length < 12 or at + length > len(data):
            break
        found.append(struct.pack("<I", kind) + data[at + 8 : at + length - 4])
        at += length
    return found


def join_blocks(blocks: list[bytes]) -> bytes:
    """Blocks with lengths that are right."""
    return b"".join(
        LITTLE.block(int.from_bytes(block[:4], "little"), block[4:]) if len(block) >= 4 else block for block in blocks
    )


def split_messages(data: bytes) -> list[bytes]:
    """Records behind lengths of four bytes."""
    found = []
    at = 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def join_messages(messages: list[bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(message)) + message for message in messages)


def frames(link_type: int) -> Iterator[bytes]:
    """Every frame of an interface of this type, of all recordings."""
    for data in recordings():
        types: list[int] = []
        for block in split_blocks(data):
            kind, body = int.from_bytes(block[:4], "little"), block[4:]
            if kind == INTERFACE:
                types.append(int.from_bytes(body[:2], "little"))
            elif kind == ENHANCED_PACKET:
                interface, _, _, captured = struct.unpack_from("<IIII", body)
                if types[interface] == link_type:
                    yield body[20 : 20 + captured]


@cache
def messages(*types: int) -> list[bytes]:
    """Netlink messages of these types, each once, with their header."""
    found = (frame[16:] for frame in frames(NETLINK))
    return list(dict.fromkeys(m for m in found if int.from_bytes(m[4:6], "little") in types))


@cache
def snapshots() -> list[dict[str, Any]]:
    """The JSON of every snapshot that is whole."""
    found = []
    for frame in frames(UPPER_PDU):
        value = json.loads(frame[frame.index(b"{") :])
        if value.get("parts", 1) == 1:
            found.append(value)
    return found


def in_batches(records: list[bytes], size: int) -> list[bytes]:
    """So many records at a time, one behind the other."""
    return [join_messages(records[at : at + size]) for at in range(0, len(records), size)]


def snapshot_frame(value: Any) -> bytes:
    """As ttrace writes one: a tag 12 with the dissector's name, an end tag, JSON."""
    return struct.pack(">HH4sHH", 12, 4, b"json", 0, 0) + json.dumps(value).encode()
