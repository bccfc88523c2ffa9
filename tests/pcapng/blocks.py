"""Blocks of capture files built byte by byte, in both byte orders, with none of ttrace's code."""

import struct
from dataclasses import dataclass

SECTION, INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, NAMES, STATISTICS, ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6
IF_NAME, IF_TSRESOL, IF_TSOFFSET = 2, 9, 14
EPB_FLAGS = 2


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


@dataclass(frozen=True)
class Writer:
    """Builds blocks in one byte order."""

    order: str
    """`<` or `>`."""

    def pack(self, layout: str, *values: int) -> bytes:
        return struct.pack(self.order + layout, *values)

    def block(self, kind: int, body: bytes) -> bytes:
        length = len(padded(body)) + 12
        return self.pack("II", kind, length) + padded(body) + self.pack("I", length)

    def options(self, *options: tuple[int, bytes]) -> bytes:
        if not options:
            return b""
        return b"".join(self.pack("HH", code, len(value)) + padded(value) for code, value in options) + bytes(4)

    def section(self, *options: tuple[int, bytes]) -> bytes:
        return self.block(SECTION, self.pack("IHHq", 0x1A2B3C4D, 1, 0, -1) + self.options(*options))

    def interface(self, name: str = "eth0", *options: tuple[int, bytes], link_type: int = 1, snaplen: int = 0) -> bytes:
        options = ((IF_NAME, name.encode()), *options)
        return self.block(INTERFACE, self.pack("HHI", link_type, 0, snaplen) + self.options(*options))

    def enhanced(
        self, data: bytes, *options: tuple[int, bytes], interface: int = 0, time: int = 0, original: int | None = None
    ) -> bytes:
        sizes = (len(data), len(data) if original is None else original)
        body = self.pack("IIIII", interface, time >> 32, time & 0xFFFFFFFF, *sizes)
        return self.block(ENHANCED_PACKET, body + padded(data) + self.options(*options))

    def obsolete(self, data: bytes, *, interface: int = 0, time: int = 0, drops: int = 0) -> bytes:
        body = self.pack("HHIIII", interface, drops, time >> 32, time & 0xFFFFFFFF, len(data), len(data))
        return self.block(OBSOLETE_PACKET, body + padded(data))

    def simple(self, data: bytes, original: int | None = None) -> bytes:
        return self.block(SIMPLE_PACKET, self.pack("I", len(data) if original is None else original) + padded(data))

    def statistics(self, *options: tuple[int, bytes], interface: int = 0, time: int = 0) -> bytes:
        head = self.pack("III", interface, time >> 32, time & 0xFFFFFFFF)
        return self.block(STATISTICS, head + self.options(*options))

    def names(self, *records: tuple[int, bytes]) -> bytes:
        return self.block(
            NAMES, b"".join(self.pack("HH", kind, len(value)) + padded(value) for kind, value in records) + bytes(4)
        )

    def pcap(self, *packets: tuple[int, int, bytes], nanoseconds: bool = False, link_type: int = 1) -> bytes:
        """A classic pcap file; `packets` are (seconds, fraction, data)."""
        magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
        head = self.pack("IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
        return head + b"".join(self.pack("IIII", s, f, len(d), len(d)) + d for s, f, d in packets)


LITTLE, BIG = Writer("<"), Writer(">")


def whole_blocks(data: bytes) -> list[tuple[int, int]]:
    """(type, offset behind it) of each whole block of a little-endian pcapng file."""
    found = []
    at = 0
    while at + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if at + length > len(data):
            break
        at += length
        found.append((kind, at))
    return found
