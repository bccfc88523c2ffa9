"""Capture files -> one table of record positions, without touching the packets themselves.

The file is memory-mapped; a compiled walk over its blocks (walk.py) fills RECORD rows that point into the mapping. Only
the few blocks that are not packets are parsed in Python (sections.py).
"""

import struct
from pathlib import Path

from ..errors import TtraceError
from .blocks import BlockType
from .capture_file import RECORD, CaptureFile, Interface, Statistics, is_packet_interface
from .classic import read_classic
from .cooked import split_by_interface
from .sections import read_sections
from .source import MappedSource, map_source

__all__ = ["RECORD", "CaptureFile", "Interface", "Statistics", "is_packet_interface", "read_capture"]


def read_capture(path: str | Path) -> CaptureFile:
    """Map a pcapng or classic pcap file, compressed or not, and locate its packets; `-` is stdin.

    Raises TtraceError when the file cannot be opened or is neither. A file that ends inside a record is read up to the
    last whole one and says so in `truncated_at`.
    """
    source = map_source(path, _format)
    capture = _read(source)
    capture.path = str(path)
    if source.cut and capture.truncated_at is None:
        capture.truncated_at = int(source.data.size)
    split_by_interface(capture)
    return capture


def _read(source: MappedSource) -> CaptureFile:
    order = _format(source.name, bytes(source.data[:4]))
    return read_classic(source.name, source.data, order) if order else read_sections(source.name, source.data)


def _format(name: str, magic: bytes) -> str:
    """The byte order (`<` or `>`) of a pcap file, empty for a pcapng file; raises TtraceError for what is neither."""
    if magic == struct.pack("<I", BlockType.SECTION_HEADER):
        return ""
    for order in "<>":
        if magic in (struct.pack(order + "I", 0xA1B2C3D4), struct.pack(order + "I", 0xA1B23C4D)):
            return order
    raise TtraceError(
        f"`{name}` is not a capture file: it begins with {magic.hex(' ')}",
        "ttrace reads pcapng and pcap, as written by `ttrace capture`, tcpdump and Wireshark, also compressed",
    )
