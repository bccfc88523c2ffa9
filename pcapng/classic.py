"""The classic pcap format (draft-ietf-opsawg-pcap): one interface, no directions."""

import struct

import numpy as np
import numpy.typing as npt

from ..errors import TtraceError
from .blocks import PCAP_NANOSECONDS_MAGIC
from .capture_file import RECORD, CaptureFile, Interface
from .pages import WINDOW, fetch, give_back
from .source import MappedSource
from .walk import walk_records


class ClassicReader:
    """A mapped pcap file, read in pieces of any size."""

    def __init__(self, source: MappedSource, order: str) -> None:
        """`order` is `<` or `>`, from its magic."""
        path, data = source.name, source.data
        if data.size < 24:
            raise TtraceError(f"`{path}` ends inside its file header", "the capture wrote nothing useful")
        magic, _major, _minor, _zone, _accuracy, snaplen, link_type = struct.unpack(order + "IHHiIII", bytes(data[:24]))
        self._cut = source.cut
        self.at = 24
        """Offset of the next record."""
        self._big = order == ">"
        self._fraction_ns = 1 if magic == PCAP_NANOSECONDS_MAGIC else 1000
        # The upper bits of the link type field carry the FCS length (draft-ietf-opsawg-pcap, section 4).
        interface = Interface(
            name="",
            link_type=link_type & 0xFFFF,
            snaplen=snaplen,
            units_per_second=1_000_000_000 // self._fraction_ns,
        )
        self.capture = CaptureFile(path=path, data=data, records=np.empty(0, RECORD), interfaces=[interface])

    def read(self, records: npt.NDArray[np.void], end: int | None = None, *, drop: bool = False) -> int:
        """Fill RECORD rows with the next packets; returns how many there were. Fewer than rows only at the end, or
        where a record ends at or behind offset `end`. `drop`: what was walked over is not kept in memory."""
        data, filled = self.capture.data, 0
        end = data.size if end is None else min(end, data.size)
        while filled < records.size and (self.at < end or end == data.size):
            begin, stop = self.at, min(self.at + WINDOW, end)
            fetch(data, begin, stop)
            got, self.at = walk_records(data, begin, stop, records[filled:], self._big, self._fraction_ns)
            filled += got
            if drop:
                give_back(data, begin, self.at)
            if filled < records.size and (self.at < stop or self.at == data.size):
                self.capture.truncated_at = self.at if self._cut or self.at != data.size else None
                break
        return filled

    def position(self) -> int:
        """Where the reader is."""
        return self.at

    def go_to(self, position: int) -> None:
        """Go on from there."""
        self.at = position
