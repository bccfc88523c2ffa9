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
from .read import Reader, open_reader
from .residence import give_back
from .walk import survey_records

_SPACING: Final = 1 << 16
"""Records between two places that are remembered: so many are walked over to find a single one."""
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
class CaptureStream:
    """A capture file whose packets are not in memory."""

    capture: CaptureFile
    """All but the packets. Its records are those of the snapshot interfaces only, with offsets into its data."""
    size: int
    """Records of the file."""
    packets: npt.NDArray[np.int64]
    """Records of each interface; in the last element, those that belong to none."""
    first_ns: int
    """Time of the first record; 0 without any."""
    span_ns: tuple[int, int]
    """Earliest and latest time of all but the snapshots, malformed packets at 0 among them; (0, 0) without any."""
    dated_ns: tuple[int, int] | None
    """Earliest and latest time that is above 0, snapshots included; None without any."""
    _reader: Reader
    _cooked: CookedInterfaces
    _places: list[Any]
    """Positions of the reader, _SPACING records apart."""

    def chunks(self, records_per_chunk: int = PER_CHUNK, start: int = 0) -> Iterator[Chunk]:
        """The records of the file in order, from number `start` (0 is Wireshark's frame 1), so many at a time; fewer
        where they are large.

        A chunk's bytes are in memory while it is the last one that was asked for; later they are read from the file
        again when somebody looks at them. One iteration at a time: a second one, or locate(), moves the reader.
        """
        if start >= self.size:
            return
        self._reader.go_to(self._places[start // _SPACING])
        self._reader.read(np.empty(start % _SPACING, RECORD), drop=True)
        at, place = start, _position(self._reader)
        while at < self.size:
            self._reader.go_to(place)
            begin = self._reader.at
            records = np.empty(min(records_per_chunk, self.size - at), RECORD)
            records = records[: self._reader.read(records, begin + _MOST_BYTES)]
            place, consumed = _position(self._reader), self._reader.at
            if consumed == begin:
                return  # the file has become shorter
            if records.size:
                self._cooked.give(records)
                yield Chunk(capture=replace(self.capture, records=records, first=at), consumed=consumed)
                give_back(self.capture.data, begin, consumed)
                at += records.size

    def locate(self, numbers: npt.NDArray[np.integer]) -> npt.NDArray[np.void]:
        """RECORD rows of single records by their numbers, in any order (0 is Wireshark's frame 1)."""
        found = np.empty(numbers.size, RECORD)
        around = np.asarray(numbers) // _SPACING
        for place in np.unique(around).tolist():
            records = np.empty(min(_SPACING, self.size - place * _SPACING), RECORD)
            self._reader.go_to(self._places[place])
            self._reader.read(records, drop=True)
            self._cooked.give(records)
            here = around == place
            found[here] = records[numbers[here] - place * _SPACING]
        return found


def _position(reader: Reader) -> Any:  # noqa: ANN401 - each kind of reader has its own
    return reader.position()


def open_capture(path: str | Path, progress: Callable[[int, int], None] | None = None) -> CaptureStream:
    """Map a capture file and walk over it once. Files, compressed ones and stdin as read_capture takes them (the latter
    two go through a temporary file), the same errors, and the same interfaces in the same order.

    `progress` is called with the bytes that have been walked over and those of the file.
    """
    reader = open_reader(path)
    capture = reader.capture
    cooked, survey, places = CookedInterfaces(capture), _Survey(), []
    records = np.empty(_SPACING, RECORD)
    while True:
        places.append(reader.position())
        filled = reader.read(records, drop=True)
        cooked.see(records[:filled])
        survey.see(records[:filled], capture.interfaces)
        if progress:
            progress(reader.at, capture.data.size)
        if filled < records.size:
            break
    cooked.split()
    capture.records = survey.kept()
    return CaptureStream(
        capture=capture,
        size=survey.size,
        packets=survey.per_interface(cooked.packets(), len(capture.interfaces)),
        first_ns=survey.first_ns,
        span_ns=survey.span_ns(),
        dated_ns=survey.dated_ns(),
        _reader=reader,
        _cooked=cooked,
        _places=places,
    )


_NO_TIME: Final = (2**63 - 1, -(2**63))


class _Survey:
    """What the first pass keeps of the records."""

    def __init__(self) -> None:
        self.size = 0
        self.first_ns = 0
        self._counts = np.zeros(1, np.int64)
        self._times = np.array(_NO_TIME * 2, np.int64)
        self._kept: list[npt.NDArray[np.void]] = []

    def see(self, records: npt.NDArray[np.void], interfaces: list[Interface]) -> None:
        """Take notice of the next RECORD rows."""
        if self.size == 0 and records.size:
            self.first_ns = int(records["time_ns"][0])
        self.size += records.size
        is_snapshot = np.array([*(i.facts.get("what") == "snapshot" for i in interfaces), False], np.bool_)
        if self._counts.size < is_snapshot.size:
            none, known = self._counts[-1], self._counts[:-1]
            self._counts = np.zeros(is_snapshot.size, np.int64)
            self._counts[: known.size], self._counts[-1] = known, none
        survey_records(records, is_snapshot, self._counts, self._times)
        if is_snapshot.any():
            wanted = is_snapshot[np.minimum(records["interface"], is_snapshot.size - 1)]
            self._kept.append(records[wanted])

    def kept(self) -> npt.NDArray[np.void]:
        """The records of the snapshot interfaces."""
        return np.concatenate([np.empty(0, RECORD), *self._kept])

    def per_interface(self, split: dict[int, tuple[int, int]], interfaces: int) -> npt.NDArray[np.int64]:
        """Records of each interface, and of none; `split`: of those that came from the file's own."""
        counts = np.zeros(interfaces + 1, np.int64)
        counts[: self._counts.size - 1], counts[-1] = self._counts[:-1], self._counts[-1]
        for number, (origin, count) in split.items():
            counts[number] += count
            counts[origin] -= count
        return counts

    def span_ns(self) -> tuple[int, int]:
        """See CaptureStream."""
        return (int(self._times[0]), int(self._times[1])) if self._times[0] <= self._times[1] else (0, 0)

    def dated_ns(self) -> tuple[int, int] | None:
        """See CaptureStream."""
        return (int(self._times[2]), int(self._times[3])) if self._times[2] <= self._times[3] else None
