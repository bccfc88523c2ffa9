"""A recording without some of what the kernel or the capture said: its file rewritten, without code of ttrace."""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

NETLINK, SNAPSHOT = 253, 252
"""Link types of messages and snapshots (docs/file-format.md)."""
_PSEUDO_HEADER, _MESSAGE_HEADER, _FAMILY_HEADER = 16, 16, 4
"""Of LINKTYPE_NETLINK, struct nlmsghdr and struct nfgenmsg."""

Attributes = dict[int, set[int]]
"""Type of a message (nlmsg_type) -> types of the attributes that go, at its top level."""
Keep = Callable[[bytes, int], bytes | None]
"""(bytes of a packet, its link type) -> what becomes of them; None: the packet goes."""


def thin(source: Path, target: Path, keep: Keep) -> None:
    """Write `source` to `target` with each packet as `keep` has it."""
    links: list[int] = []
    out = bytearray()
    for kind, body in _blocks(source.read_bytes()):
        if kind == 1:
            links.append(struct.unpack_from("<H", body)[0])
        if kind == 6:
            interface, high, low, length, _ = struct.unpack_from("<5I", body)
            kept = keep(body[20 : 20 + length], links[interface])
            if kept is None:
                continue
            options = body[20 + -(-length // 4) * 4 :]
            original = struct.unpack_from("<I", body, 16)[0] - length + len(kept)
            body = struct.pack("<5I", interface, high, low, len(kept), original) + _padded(kept) + options
        out += struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
    target.write_bytes(out)


def without_attributes(gone: Attributes) -> Keep:
    """Messages lose these attributes."""

    def keep(data: bytes, link: int) -> bytes | None:
        if link != NETLINK or message_type(data) not in gone:
            return data
        at = _PSEUDO_HEADER + _MESSAGE_HEADER + _FAMILY_HEADER
        kept = b""
        while at + 4 <= len(data):
            length, kind = struct.unpack_from("<HH", data, at)
            attribute = data[at : at + -(-length // 4) * 4]
            if kind & 0x3FFF not in gone[message_type(data)]:
                kept += attribute
            at += max(4, len(attribute))
        head = data[: _PSEUDO_HEADER + _MESSAGE_HEADER + _FAMILY_HEADER]
        size = len(head) - _PSEUDO_HEADER + len(kept)
        return head[:_PSEUDO_HEADER] + struct.pack("<I", size) + head[_PSEUDO_HEADER + 4 :] + kept

    return keep


def without_messages(*types: int) -> Keep:
    """These messages go."""
    return lambda data, link: None if link == NETLINK and message_type(data) in types else data


def without_snapshots(kind: str) -> Keep:
    """The snapshots of this kind go."""

    def keep(data: bytes, link: int) -> bytes | None:
        return None if link == SNAPSHOT and json.loads(data[data.index(b"{") :])["kind"] == kind else data

    return keep


def without_fields(kind: str, *fields: str) -> Keep:
    """The snapshots of this kind lose these fields of their data, or of each row of it."""

    def keep(data: bytes, link: int) -> bytes | None:
        if link != SNAPSHOT:
            return data
        at = data.index(b"{")
        snapshot = json.loads(data[at:])
        if snapshot["kind"] != kind or snapshot["parts"] != 1:
            return data
        rows = snapshot["data"] if isinstance(snapshot["data"], list) else [snapshot["data"]]
        for row in rows:
            for field in fields:
                row.pop(field, None)
        return data[:at] + json.dumps(snapshot).encode()

    return keep


def message_type(data: bytes) -> int:
    """nlmsg_type of a packet of LINKTYPE_NETLINK."""
    kind: int = struct.unpack_from("<H", data, _PSEUDO_HEADER + 4)[0]
    return kind


def _blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        yield kind, data[at + 8 : at + length - 4]
        at += length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
