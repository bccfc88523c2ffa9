"""The classic pcap format (draft-ietf-opsawg-pcap): one interface, no directions."""

import struct

import numpy as np
import numpy.typing as npt

from ..errors import TtraceError
from .capture_file import RECORD, CaptureFile, Interface
from .walk import walk_records


def read_classic(path: str, data: npt.NDArray[np.uint8], order: str) -> CaptureFile:
    """Read a mapped pcap file; `order` is `<` or `>`, from its magic."""
    if data.size < 24:
        raise TtraceError(f"`{path}` ends inside its file header", "the capture wrote nothing useful")
    magic, _major, _minor, _zone, _accuracy, snaplen, link_type = struct.unpack(order + "IHHiIII", bytes(data[:24]))
    fraction_ns = 1 if magic == 0xA1B23C4D else 1000
    packets, end = walk_records(data, np.empty(0, RECORD), order == ">", fraction_ns)
    records = np.zeros(packets, RECORD)
    if packets:
        walk_records(data, records, order == ">", fraction_ns)
    # The upper bits of the link type field carry the FCS length (draft-ietf-opsawg-pcap, section 4).
    interface = Interface(
        name="", link_type=link_type & 0xFFFF, snaplen=snaplen, units_per_second=1_000_000_000 // fraction_ns
    )
    truncated_at = int(end) if end != data.size else None
    return CaptureFile(path=path, data=data, records=records, interfaces=[interface], truncated_at=truncated_at)
