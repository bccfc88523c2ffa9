"""Capture files -> one table of record positions, without touching the packets themselves.

The file is memory-mapped; a compiled walk over its blocks (walk.py) fills RECORD rows that point into the mapping. Only
the few blocks that are not packets are parsed in Python (sections.py).
"""

import mmap
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import TtraceError
from .blocks import BlockType
from .capture_file import RECORD, CaptureFile, Interface, Statistics, is_packet_interface
from .classic import read_classic
from .sections import read_sections

__all__ = ["RECORD", "CaptureFile", "Interface", "Statistics", "is_packet_interface", "read_capture"]


def read_capture(path: str | Path) -> CaptureFile:
    """Map a pcapng or classic pcap file and locate its packets.

    Raises TtraceError when the file cannot be opened or is neither. A file that ends inside a record is read up to the
    last whole one and says so in `truncated_at`.
    """
    data = _map(Path(path))
    magic = bytes(data[:4])
    if magic == struct.pack("<I", BlockType.SECTION_HEADER):
        return read_sections(str(path), data)
    for order in "<>":
        if magic in (struct.pack(order + "I", 0xA1B2C3D4), struct.pack(order + "I", 0xA1B23C4D)):
            return read_classic(str(path), data, order)
    raise TtraceError(
        f"`{path}` is not a capture file: it begins with {magic.hex(' ') or 'nothing'}",
        "ttrace reads pcapng and pcap, as written by `ttrace capture`, tcpdump and Wireshark",
    )


def _map(path: Path) -> npt.NDArray[np.uint8]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size == 0:
                raise TtraceError(f"`{path}` is empty", "the capture wrote nothing; was it stopped before it began?")
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)
    except OSError as error:
        raise TtraceError(f"cannot read `{path}`: {error.strerror}", "check the name and the rights") from error
