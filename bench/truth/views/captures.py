"""Any capture file -> records: pcap of each byte order and resolution, pcapng, either in gzip."""

import gzip
import struct
import zlib
from collections import Counter
from dataclasses import dataclass

from ..clock import Record

GZIP = b"\x1f\x8b"
PCAPNG = b"\x0a\x0d\x0d\x0a"
UNITS = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
"""Magic of a pcap to the nanoseconds of its fraction."""
SECTION, INTERFACE, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 3, 6
RESOLUTION_OPTION = 9
LATEST_NS = (2**32 - 100_000_000) * 10**9
"""What is written has other clocks, and 32 bits for the seconds."""
MOST_BYTES = 1 << 24
"""No record is longer; what says so is damaged."""


class UnreadableError(Exception):
    """No capture, or none with a frame in it."""


@dataclass(frozen=True)
class Capture:
    """The frames of one link type: those of the one that has the most."""

    link: int
    records: list[Record]
    left_out: int
    """Frames of other link types."""


def read_any(path, most):
    """The first `most` frames of a capture. Raises UnreadableError."""
    try:
        data = path.read_bytes()
        if data[:2] == GZIP:
            data = gzip.decompress(data)
        found = list(_records(data))
    except (OSError, EOFError, struct.error, ValueError, zlib.error) as error:
        raise UnreadableError(str(error) or type(error).__name__) from error
    if not found:
        raise UnreadableError("no frames")
    if max(record.time_ns for _, record in found) > LATEST_NS:
        raise UnreadableError("times that no pcap can hold")
    link = Counter(link for link, _ in found).most_common(1)[0][0]
    records = [record for of_link, record in found if of_link == link]
    return Capture(link, records[:most], len(found) - len(records))


def _records(data):
    """Yield (link type, record); a file cut short ends early."""
    if data[:4] == PCAPNG:
        yield from _of_pcapng(data)
        return
    for order in "<>":
        (magic,) = struct.unpack_from(f"{order}I", data)
        if magic in UNITS and len(data) >= 24:
            yield from _of_pcap(data, order, UNITS[magic])
            return
    raise UnreadableError("neither pcap nor pcapng")


def _of_pcap(data, order, unit):
    (link,) = struct.unpack_from(f"{order}I", data, 20)
    head = struct.Struct(f"{order}4I")
    position = 24
    while position + 16 <= len(data):
        seconds, fraction, kept, length = head.unpack_from(data, position)
        position += 16
        if kept > MOST_BYTES or position + kept > len(data):
            return
        yield link & 0xFFFF, Record(seconds * 10**9 + fraction * unit, length, data[position : position + kept])
        position += kept


def _of_pcapng(data):
    interfaces, order, position = [], "<", 0
    while position + 12 <= len(data):
        if data[position : position + 4] == PCAPNG:
            order = "<" if data[position + 8 : position + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        kind, size = struct.unpack_from(f"{order}II", data, position)
        if size < 12 or position + size > len(data):
            return
        body = data[position + 8 : position + size - 4]
        if kind == INTERFACE:
            link, _, snaplen = struct.unpack_from(f"{order}HHI", body)
            interfaces.append((link, snaplen, _unit(body[8:], order)))
        elif kind == ENHANCED:
            number, high, low, kept, length = struct.unpack_from(f"{order}5I", body)
            link, _, (count, per) = interfaces[number]
            ticks = high << 32 | low
            yield link, Record(ticks * count // per, length, body[20 : 20 + kept])
        elif kind == SIMPLE and interfaces:
            (length,) = struct.unpack_from(f"{order}I", body)
            link, snaplen, _ = interfaces[0]
            yield link, Record(0, length, body[4 : 4 + min(length, snaplen or length)])
        position += size


def _unit(options, order):
    """(nanoseconds, per ticks) of an interface."""
    position = 0
    while position + 4 <= len(options):
        code, size = struct.unpack_from(f"{order}HH", options, position)
        if code == RESOLUTION_OPTION and size:
            value = options[position + 4]
            return 10**9, 2 ** (value & 127) if value & 128 else 10**value
        position += 4 + (size + 3) // 4 * 4
    return 1000, 1
