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

from .capture_file import RECORD, CaptureFile, of_snapshots
from .cooked import CookedInterfaces
from .heard import HeardInterfaces
from .pages import give_back
from .read import Reader, open_reader
from .record_times import RecordTimes
from .rows import joined
from .shrinking import refuse_shorter

_AT_ONCE: Final = 1 << 16
"""Records of the first pass; of each so many the place is kept."""
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
    times: RecordTimes
    _reader: Reader
    _cooked: CookedInterfaces
    _marks: list[Any]
    """Positions of the reader in front of each _AT_ONCE records, from the first on."""

    @property
    def size(self) -> int:
        """Records of the file."""
        return self.times.size

    def chunks(self, records_per_chunk: int = PER_CHUNK) -> Iterator[Chunk]:
        """The records of the file in order, so many at a time; fewer where they are large.

        A chunk's bytes are in memory while it is the last one that was asked for; later they are read from the file
        again when somebody looks at them. One iteration at a time: a second one moves the reader.
        """
        place: Any = self._marks[0]
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
                yield Chunk(capture=replace(self.capture, records=records, frames=None, first=at), consumed=consumed)
                give_back(self.capture.data, begin, consumed)
                refuse_shorter()
                at += records.size

    def records_of(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
        """RECORD rows of single frames, by Wireshark's numbers, ascending: only what is around them is walked over.
        Raises TtraceError when the file has become shorter. It moves the reader, as chunks() does."""
        rows = frames - 1
        found = np.zeros(rows.size, RECORD)
        for mark in np.unique(rows // _AT_ONCE).tolist():
            self._reader.go_to(self._marks[mark])
            here = np.flatnonzero(rows // _AT_ONCE == mark)
            inside = rows[here] - mark * _AT_ONCE
            records = np.zeros(int(inside.max()) + 1, RECORD)
            self._reader.read(records)
            self._cooked.give(records)
            found[here] = records.take(inside)
        refuse_shorter()
        return found


def open_in_chunks(
    path: str | Path, progress: Callable[[int, int], None] | None = None, max_expanded: int | None = None
) -> ChunkedFile:
    """Map a capture file and walk over it once. Files, compressed ones and stdin as read_capture takes them (the latter
    two go through a temporary file), the same errors, and the same interfaces in the same order.

    `progress` is called with the bytes that have been walked over and those of the file.
    """
    reader = open_reader(path, max_expanded)
    capture = reader.capture
    cooked, times, heard = CookedInterfaces(capture), RecordTimes(), HeardInterfaces(capture)
    records, kept = np.empty(_AT_ONCE, RECORD), [np.empty(0, RECORD)]
    frames, seen, marks = [np.empty(0, np.int64)], 0, []
    while True:
        marks.append(reader.position())
        filled = reader.read(records, drop=True)
        cooked.see(records[:filled])
        times.see(records[:filled], capture.interfaces)
        heard.see(records[:filled])
        rows = np.flatnonzero(of_snapshots(records[:filled], capture.interfaces))
        kept.append(records.take(rows))
        frames.append(rows + seen + 1)
        seen += filled
        if progress:
            progress(reader.at, capture.data.size)
        if filled < records.size:
            break
    refuse_shorter()
    cooked.split()
    capture.records, capture.frames = joined(RECORD, kept), np.concatenate(frames)
    return ChunkedFile(capture=capture, times=times, _reader=reader, _cooked=cooked, _marks=marks)


def chunks_of_interfaces(chunked: ChunkedFile, capture: CaptureFile) -> ChunkedFile:
    """The same file, of which `capture` leaves interfaces out (`without_interfaces`): its packets in pieces, and their
    times, for which it is walked over once more."""
    rows = np.flatnonzero(of_snapshots(capture.records, capture.interfaces))
    frames = None if capture.frames is None else capture.frames[rows]
    kept = replace(capture, records=capture.records.take(rows), frames=frames)
    other = replace(chunked, capture=kept, times=RecordTimes())
    for chunk in chunked.chunks():
        other.times.see(chunk.capture.records, capture.interfaces)
    return other
