"""The second pass: every frame and kernel message goes to the part that its addresses belong to."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..decode.compared_bytes import WHOLE
from ..decode.observations import Observations
from ..netfilter.messages import KernelMessages, Said
from ..netfilter.sources import SIGHTING_SOURCES
from ..progress import Done
from ..schema import CONNTRACK, OUTER, SIGHTING, TRACE_EVENT
from .decoding import Decoder, messages_of, slices
from .flow_groups import Assignment
from .keys import outer_key, pair_of
from .number_table import NumberTable
from .spill import Spill, SpilledRows, close_all
from .survey import Survey
from .work_folder import WorkFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTables:
    """Where the kernel's messages of one file are, of one part."""

    events: SpilledRows
    headers: SpilledRows
    conntrack: SpilledRows
    said: dict[int, tuple[SpilledRows, SpilledRows]]
    """By the kind of the sightings: what single messages say, and their headers."""

    def read(self, names: dict[int, str], malformed: int) -> KernelMessages:
        """The messages. `names`: of tables and chains; `malformed`: messages of the file that did not decode."""
        said = {kind: Said(rows=rows.read(), headers=headers.read()) for kind, (rows, headers) in self.said.items()}
        return KernelMessages(
            events=self.events.read(),
            headers=self.headers.read(),
            conntrack=self.conntrack.read(),
            names=names,
            malformed=malformed,
            said=said,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTables:
    """Where the frames and kernel messages of one part are."""

    rows: SpilledRows
    outers: SpilledRows
    messages: tuple[MessageTables, ...]
    """Of each file."""

    def observations(self) -> Observations:
        """The captured packets, in the order of their files."""
        rows = self.rows.read()
        place = (rows["file"].astype(np.int64) << 32) | rows["frame"]
        if (place[1:] < place[:-1]).any():  # fragments come behind their file
            rows = rows.take(np.argsort(place, kind="stable"))
        return Observations(rows=rows, outers=self.outers.read(), kept=np.zeros((2, WHOLE + 1), np.int64))


class _Messages:
    """The kernel's messages of one file on disk."""

    def __init__(self, folder: WorkFolder, parts: int) -> None:
        self.events = Spill(folder, "events", TRACE_EVENT, parts)
        self.headers = Spill(folder, "headers", SIGHTING, parts)
        self.conntrack = Spill(folder, "conntrack", CONNTRACK, parts)
        self.said = {
            source.kind: (Spill(folder, "said", source.columns, parts), Spill(folder, "said-of", SIGHTING, parts))
            for source in SIGHTING_SOURCES
        }

    def part(self, number: int) -> MessageTables:
        """Those of one part."""
        said = {kind: (rows.part(number), headers.part(number)) for kind, (rows, headers) in self.said.items()}
        return MessageTables(
            events=self.events.part(number), headers=self.headers.part(number), conntrack=self.conntrack.part(number),
            said=said,
        )  # fmt: skip

    def spills(self) -> list[Spill]:
        """All of them."""
        return [self.events, self.headers, self.conntrack, *(spill for both in self.said.values() for spill in both)]


class Distribution:
    """All frames and messages on disk, part by part. What belongs to no packet is in part 0."""

    def __init__(self, survey: Survey, assignment: Assignment, files: int, folder: WorkFolder) -> None:
        parts = assignment.parts
        self._survey, self._assignment = survey, assignment
        self._rows, self._outers = Spill(folder, "frames", SIGHTING, parts), Spill(folder, "outers", OUTER, parts)
        self._messages = [_Messages(folder, parts) for _ in range(files)]
        self._outer_counts = np.zeros(parts, np.int64)
        self._header_counts = np.zeros((files, parts), np.int64)
        self._ids, self._part_of_id = NumberTable(), np.zeros(1 << 12, np.int32)

    def part(self, number: int) -> PartTables:
        """Where a part is."""
        messages = tuple(spilled.part(number) for spilled in self._messages)
        return PartTables(rows=self._rows.part(number), outers=self._outers.part(number), messages=messages)

    def close(self) -> None:
        """Give the room on the disk back."""
        close_all([self._rows, self._outers])
        for spilled in self._messages:
            close_all(spilled.spills())

    def take_frames(self, observations: Observations) -> None:
        """Put the frames of one slice where they belong."""
        rows = observations.rows
        part = self._part_of(pair_of(rows))
        inside = np.flatnonzero(rows["outer"])
        if inside.size:
            outers = observations.outers.take(rows["outer"][inside].astype(np.int64) - 1)
            rows["outer"][inside] = self._renumber(part[inside], self._outer_counts) + 1
            self._outers.distribute(part[inside], outers)
        self._rows.distribute(part, rows)

    def take_messages(self, file: int, messages: KernelMessages) -> None:
        """The same with the kernel messages of the same slice."""
        entries, headers, events = messages.conntrack, messages.headers, messages.events
        spilled = self._messages[file]
        pairs = np.minimum(entries["original"], entries["restored"])
        spilled.conntrack.distribute(self._part_of(pairs), entries)
        for kind, said in messages.said.items():
            part = self._part_of(self._pairs_of_headers(said.headers))
            for spill, rows in zip(spilled.said[kind], (said.rows, said.headers), strict=True):
                spill.distribute(part, rows)
        if events.size == 0:
            return
        part_of_header = self._part_of(self._pairs_of_headers(headers))
        ids = (events["namespace"].astype(np.uint64) << np.uint64(32)) | events["id"]
        part = self._parts_of_events(ids, events["header"], part_of_header)
        with_header = np.flatnonzero(events["header"] >= 0)
        headers = headers.take(events["header"][with_header])
        events["header"][with_header] = self._renumber(part[with_header], self._header_counts[file])
        spilled.headers.distribute(part[with_header], headers)
        spilled.events.distribute(part, events)

    def _part_of(self, pairs: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        return self._assignment.part[self._survey.groups.find(pairs)].astype(np.int64)

    def _pairs_of_headers(self, headers: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
        """Address pairs of the packets that trace messages are about; what is in a tunnel only a frame shows."""
        return self._survey.tunnels.pairs_of(outer_key(headers["namespace"], headers), pair_of(headers))

    def _parts_of_events(
        self, ids: npt.NDArray[np.uint64], header: npt.NDArray[np.int64], part_of_header: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """An event without a header belongs to the last one with its id that had one (netfilter/evaluations.py), maybe
        in an earlier slice."""
        numbers = self._ids.add(ids)
        if self._ids.count > self._part_of_id.size:
            self._part_of_id = np.append(self._part_of_id, np.zeros(self._ids.count, np.int32))
        part = np.empty(ids.size, np.int64)
        _follow_ids(numbers, header, part_of_header, self._part_of_id, part)
        return part

    def _renumber(self, part: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Rows of each part numbered on from `counts`, which is brought up to date."""
        numbers = np.empty(part.size, np.int64)
        _number(part, counts, numbers)
        return numbers


def distribute(
    decoder: Decoder, survey: Survey, assignment: Assignment, folder: WorkFolder, done: Done
) -> Distribution:
    """Read all captures again, and put every packet into its part."""
    found = Distribution(survey, assignment, len(decoder.files), folder)
    for piece in slices(decoder, survey.reach, done):
        found.take_frames(piece.observations)
        if piece.capture.records.size:
            found.take_messages(piece.file, messages_of(decoder, piece, survey.reach))
    return found


@njit(cache=True)
def _follow_ids(numbers, header, part_of_header, part_of_id, out):
    for i in range(numbers.size):
        if header[i] >= 0:
            part_of_id[numbers[i]] = part_of_header[header[i]]
        out[i] = part_of_id[numbers[i]]


@njit(cache=True)
def _number(part, counts, out):
    for i in range(part.size):
        out[i] = counts[part[i]]
        counts[part[i]] += 1
