"""A capture file in pieces, for files that are larger than the memory.

What is known of a file as a whole (its interfaces, names, statistics, snapshots) needs one pass over it, which keeps no
packet; then its packets can be had in pieces, as often as needed, and single ones by their number. Behind the reader
the pages of the mapped file are given back, so what stays in memory is a piece and what was made of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .capture_file import RECORD, CaptureFile, Interface
from .cooked import CookedInterfaces
from .pages import give_back
from .read import Reader, open_reader

_AT_ONCE: Final = 1 << 16
"""Records of the first pass."""
PER_CHUNK: Final = 1 << 18
"""Records of a chunk, unless told otherwise: 8 MB, and 60 MB of SIGHTING and OUTER rows."""


_MOST_BYTES: Final = 1 << 28
"""Of the file, in a chunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Consecutive records of a file."""

    capture: CaptureFile
    """The file, with these records and no others: they are `capture.first` and those behind it, so row i is Wireshark's
    frame capture.first + i + 1."""
    consumed: int
    """Bytes of the file up to the end of the chunk, of capture.data.size."""


@dataclass(slots=True, kw_only=True)
class ChunkedFile:
    """A capture file whose packets are not in memory."""

    capture: CaptureFile
    """All but the packets. Its records are those of the snapshot interfaces only, with offsets into its data."""
    size: int
    """Records of the file."""
    first_ns: int
    """Time of the first record; 0 without any."""
    span_ns: tuple[int, int]
    """Earliest and latest time of all but the snapshots, malformed packets at 0 among them; (0, 0) without any."""
    _reader: Reader
    _cooked: CookedInterfaces
    _begin: Any
    """Position of the reader in front of the first record."""

    def chunks(self, records_per_chunk: int = PER_CHUNK) -> Iterator[Chunk]:
        """The records of the file in order, so many at a time; fewer where they are large.

        A chunk's bytes are in memory while it is the last one that was asked for; later they are read from the file
        again when somebody looks at them. One iteration at a time: a second one moves the reader.
        """
        place: Any = self._begin
        at = 0
        while at < self.size:
            self._reader.go_to(place)
            begin = self._reader.at
            records = np.empty(min(records_per_chunk, self.size - at), RECORD)
            records = records[: self._reader.read(records, begin + _MOST_BYTES)]
            place, consumed = self._reader.position(), self._reader.at
            if consumed == begin:
                return  # the file has become shorter
            if records.size:
                self._cooked.give(records)
                yield Chunk(capture=replace(self.capture, records=records, first=at), consumed=consumed)
                give_back(self.capture.data, begin, consumed)
                at += records.size


def open_in_chunks(path: str | Path, progress: Callable[[int, int], None] | None = None) -> ChunkedFile:
    """Map a capture file and walk over it once. Files, compressed ones and stdin as read_capture takes them (the latter
    two go through a temporary file), the same errors, and the same interfaces in the same order.

    `progress` is called with the bytes that have been walked over and those of the file.
    """
    reader = open_reader(path)
    capture = reader.capture
    cooked, survey, begin = CookedInterfaces(capture), _Survey(), reader.position()
    records = np.empty(_AT_ONCE, RECORD)
    while True:
        filled = reader.read(records, drop=True)
        cooked.see(records[:filled])
        survey.see(records[:filled], capture.interfaces)
        if progress:
            progress(reader.at, capture.data.size)
        if filled < records.size:
            break
    cooked.split()
    capture.records = survey.kept()
    return ChunkedFile(
        capture=capture,
        size=survey.size,
        first_ns=survey.first_ns,
        span_ns=survey.span_ns(),
        _reader=reader,
        _cooked=cooked,
        _begin=begin,
    )


class _Survey:
    """What the first pass keeps of the records."""

    def __init__(self) -> None:
        self.size = 0
        self.first_ns = 0
        self._least: list[int] = []
        self._most: list[int] = []
        self._kept: list[npt.NDArray[np.void]] = []

    def see(self, records: npt.NDArray[np.void], interfaces: list[Interface]) -> None:
        """Take notice of the next RECORD rows."""
        if records.size == 0:
            return
        if self.size == 0:
            self.first_ns = int(records["time_ns"][0])
        self.size += records.size
        is_snapshot = np.array([*(i.facts.get("what") == "snapshot" for i in interfaces), False], np.bool_)
        times_ns = records["time_ns"]
        if is_snapshot.any():
            wanted = is_snapshot[np.minimum(records["interface"], is_snapshot.size - 1)]
            self._kept.append(records[wanted])
            times_ns = times_ns[~wanted]
        if times_ns.size:
            self._least.append(int(times_ns.min()))
            self._most.append(int(times_ns.max()))

    def kept(self) -> npt.NDArray[np.void]:
        """The records of the snapshot interfaces."""
        return np.concatenate([np.empty(0, RECORD), *self._kept])

    def span_ns(self) -> tuple[int, int]:
        """See ChunkedFile."""
        return min(self._least, default=0), max(self._most, default=0)
