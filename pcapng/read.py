"""Capture files -> one table of record positions, without touching the packets themselves.

The file is memory-mapped; a compiled walk over its blocks (walk.py) fills RECORD rows that point into the mapping. Only
the few blocks that are not packets are parsed in Python (sections.py). What is larger than the memory: chunks.py.
"""

import struct
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..errors import TtraceError
from ..kernels.threads import run_all
from .blocks import PCAP_MAGIC, PCAP_NANOSECONDS_MAGIC, BlockType
from .capture_file import (
    RECORD,
    CaptureFile,
    Interface,
    Statistics,
    is_for_drops,
    is_packet_interface,
    without_interfaces,
)
from .classic import ClassicReader
from .cooked import split_by_interface
from .heard import HeardInterfaces
from .parallel_walk import LEAST_PIECE, MOST_AT_ONCE
from .sections import SectionReader
from .shrinking import refuse_shorter
from .source import map_source

__all__ = [
    "RECORD",
    "CaptureFile",
    "Interface",
    "Statistics",
    "is_for_drops",
    "is_packet_interface",
    "read_capture",
    "without_interfaces",
]

Reader = SectionReader | ClassicReader

_LEAST: Final = 16
"""Bytes of the shortest record; a shorter custom block counts as a frame too, but nobody writes many of them."""
_MOST_ROWS: Final = 1 << 23
"""Rows of a table at a time: 240 MB, so a file of any size asks for no more memory than it needs."""
_FEW: Final = 1 << 10
"""Rows that are read before all cores go on."""
_TRIES: Final = 3
"""How often all cores may find less than half of what they looked at."""


def read_capture(path: str | Path, max_expanded: int | None = None) -> CaptureFile:
    """Map a pcapng or classic pcap file, compressed or not, and locate its packets; `-` is stdin.

    Raises TtraceError when the file cannot be opened or is neither. A file that ends inside a record is read up to the
    last whole one and says so in `truncated_at`. `max_expanded`: most bytes of what was compressed (spool.py).
    """
    reader = open_reader(path, max_expanded)
    capture = reader.capture
    capture.records = read_all(reader)
    HeardInterfaces(capture).see(capture.records)
    split_by_interface(capture)
    refuse_shorter()
    return capture


def open_reader(path: str | Path, max_expanded: int | None = None) -> Reader:
    """A reader at the start of a mapped capture file. Raises TtraceError when it cannot be opened or is none."""
    source = map_source(path, _format, max_expanded)
    order = _format(source.name, bytes(source.data[:4]))
    reader = ClassicReader(source, order) if order else SectionReader(source)
    reader.capture.path = str(path)
    return reader


def read_all(reader: Reader) -> npt.NDArray[np.void]:
    """RECORD rows of all packets of a file."""
    size = reader.capture.data.size
    pieces: list[npt.NDArray[np.void]] = []
    tries = _TRIES if isinstance(reader, SectionReader) else 0
    rows = 0
    while True:
        # What is not used of the room costs nothing.
        piece = np.empty(rows, RECORD)
        filled = reader.read(piece)
        pieces.append(piece[:filled])
        if filled < piece.size:
            return _joined([p for p in pieces if p.size])
        rows = min((size - reader.at) // _LEAST + 1, _MOST_ROWS)
        if tries and isinstance(reader, SectionReader) and size - reader.at > 2 * LEAST_PIECE:
            before = reader.at
            pieces.append(reader.read_ahead())
            # A new interface ends it; where they come often it is not worth it.
            tries -= reader.at - before < min(size - before, MOST_AT_ONCE) // 2
            rows = _FEW if reader.at < size else 1


def _joined(pieces: list[npt.NDArray[np.void]]) -> npt.NDArray[np.void]:
    """The pieces as one table."""
    if len(pieces) == 1:
        return pieces[0]
    ends = np.cumsum([0, *(piece.size for piece in pieces)]).tolist()
    table = np.empty(ends[-1], RECORD)
    # Copied as bytes, which releases the interpreter lock.
    bytes_ = table.view(np.uint8)

    def copy(number: int) -> None:
        start = ends[number] * RECORD.itemsize
        bytes_[start : ends[number + 1] * RECORD.itemsize] = pieces[number].view(np.uint8)

    run_all(copy, range(len(pieces)))
    return table


def _format(name: str, magic: bytes) -> str:
    """The byte order (`<` or `>`) of a pcap file, empty for a pcapng file; raises TtraceError for what is neither."""
    if magic == struct.pack("<I", BlockType.SECTION_HEADER):
        return ""
    for order in "<>":
        if magic in (struct.pack(order + "I", PCAP_MAGIC), struct.pack(order + "I", PCAP_NANOSECONDS_MAGIC)):
            return order
    raise TtraceError(
        f"`{name}` is not a capture file: it begins with {magic.hex(' ')}",
        "ttrace reads pcapng and pcap, as written by `ttrace capture`, tcpdump and Wireshark, also compressed",
    )
