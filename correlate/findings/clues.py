"""Clues of the parts, gathered and joined: for findings about connections that may lie in different parts.

A result in memory is one part, and goes the same way.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ...errors import TtraceError
from ...pcapng.read import Interface
from ...pcapng.rows import joined as joined_rows
from ..decode.checksums import SUMS, check_sums
from ..nodes.topology import Topology
from ..result.columns import Numbers
from ..result.correlation import Correlation
from .broken import failed, judged, places_of
from .by_proxy import joined, talks_of
from .by_return import both_ways
from .by_source import asked_in_vain, from_elsewhere, said_unasked
from .common import BROKEN, CONTROL, FRAMES, NAMES_STATES, TRACED, Clues, Common, Question
from .facts import Facts
from .neighbours import bounded, questions_of
from .suspects import bounded_controls, suspects, taken
from .waiting import Around, around, resolve


def clues_of(result: Correlation) -> Clues:
    """What one part brings."""
    return gather(Facts(result, Common.nothing(result.topology)))


def gather(facts: Facts) -> Clues:
    """The same, of a part whose columns are known."""
    return Clues(
        shows_both=both_ways(facts), asked=asked_in_vain(facts), said=said_unasked(facts), talks=talks_of(facts),
        suspects=suspects(facts), traced=_traced(facts), questions=tuple(questions_of(facts)),
    )  # fmt: skip


def _traced(facts: Facts) -> npt.NDArray[np.uint8]:
    """See Clues."""
    events = facts.result.evaluations.events
    found = np.zeros(len(facts.result.topology.namespaces), np.uint8)
    found[events["namespace"]] = TRACED
    found[events["namespace"][events["conntrack_state"] > 0]] |= NAMES_STATES
    return found


class Looks(Protocol):
    """All parts once more, for what is only asked when their clues are known. Each costs as much as to go through
    them."""

    def around(self, questions: Sequence[Question]) -> Iterable[Around]:
        """What each part shows around the questions of all."""

    def taken(self, wanted: npt.NDArray[np.uint64]) -> Iterable[npt.NDArray[np.void]]:
        """CONTROL rows of each part (suspects.taken)."""

    def sums(self, frames: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """SUMS of frames (SIGHTING rows), read from the files."""


@dataclass(frozen=True, slots=True)
class InMemory:
    """Looks at a result that is one part."""

    facts: Facts

    def around(self, questions: Sequence[Question]) -> Iterable[Around]:
        """See Looks."""
        return [around(self.facts, questions)]

    def taken(self, wanted: npt.NDArray[np.uint64]) -> Iterable[npt.NDArray[np.void]]:
        """See Looks."""
        return [taken(self.facts, wanted)]

    def sums(self, frames: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """See Looks."""
        result = self.facts.result

        def read(file: int, numbers: npt.NDArray[np.int64]) -> FramesRead:
            capture = result.capture(file)
            return FramesRead(capture.data, capture.records.take(numbers - 1), capture.interfaces)

        return sums_of(frames, result.reach, read)


@dataclass(frozen=True, slots=True)
class InParts:
    """Looks at parts, one after the other."""

    parts: Iterable[Correlation]
    reach: npt.NDArray[np.int64]
    read: "Callable[[int, npt.NDArray[np.int64]], FramesRead]"
    """Frames of a file by their numbers, which ascend."""

    def around(self, questions: Sequence[Question]) -> Iterable[Around]:
        """See Looks."""
        return (around(Facts(part, Common.nothing(part.topology)), questions) for part in self.parts)

    def taken(self, wanted: npt.NDArray[np.uint64]) -> Iterable[npt.NDArray[np.void]]:
        """See Looks."""
        return (taken(Facts(part, Common.nothing(part.topology)), wanted) for part in self.parts)

    def sums(self, frames: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """See Looks."""
        return sums_of(frames, self.reach, self.read)


@dataclass(frozen=True, slots=True)
class FramesRead:
    """Single frames of a file."""

    data: npt.NDArray[np.uint8]
    """The bytes of the file."""
    records: npt.NDArray[np.void]
    """RECORD rows, one for each frame that was asked for."""
    interfaces: list[Interface]


def sums_of(
    frames: npt.NDArray[np.void],
    reach: npt.NDArray[np.int64],
    read: Callable[[int, npt.NDArray[np.int64]], FramesRead],
) -> npt.NDArray[np.void]:
    """SUMS of frames (SIGHTING rows); of a file that cannot be read any more nothing is known."""
    found = np.zeros(frames.size, SUMS)
    for file in np.unique(frames["file"]).tolist():
        here = np.flatnonzero(frames["file"] == file)
        numbers, which = np.unique(frames["frame"][here].astype(np.int64), return_inverse=True)
        try:
            there = read(file, numbers)
        except TtraceError:
            continue
        records = there.records.take(which.reshape(-1))
        found.put(here, check_sums(there.data, records, there.interfaces, frames.take(here), reach))
    return found


class AllClues:
    """Those of all parts, one after the other; what is kept of them is bounded."""

    def __init__(self) -> None:
        self._clues: Clues | None = None
        self._parts = 0

    def add(self, clues: Clues) -> "AllClues":
        """Those of the next part."""
        self._clues = clues if self._clues is None else self._clues.with_(clues, self._parts)
        self._clues = replace(self._clues, questions=tuple(bounded(self._clues.questions)))
        self._parts += 1
        return self

    def joined(self, numbers: list[Numbers], topology: Topology, looks: Looks) -> Common:
        """What they show together. `numbers`: the ids in each part; `looks`: goes through the parts once more, which is
        only done where there are questions left."""
        if self._clues is None:
            raise ValueError("add() comes first")
        clues = self._clues.numbered([one.paths for one in numbers], [one.connections for one in numbers])
        points = Counter(point.namespace for point in topology.points)
        return Common(
            shows_both=clues.shows_both,
            traced=clues.traced,
            elsewhere=from_elsewhere(clues.asked, clues.said),
            passed_on=joined(clues.talks),
            unresolved=resolve(clues.questions, looks.around(clues.questions), points) if clues.questions else (),
            broken=_broken(clues.suspects, topology, looks),
        )


def _broken(suspected: npt.NDArray[np.void], topology: Topology, looks: Looks) -> npt.NDArray[np.void]:
    """BROKEN rows: of the suspects, whose checksum is wrong indeed."""
    there = np.arange(FRAMES) < suspected["count"][:, None]
    sums = np.zeros(there.shape, SUMS)
    if suspected.size:
        sums.put(np.flatnonzero(there), looks.sums(suspected["seen"][there]))
    found = failed(suspected, sums)
    if found.suspects.size == 0:
        return np.empty(0, BROKEN)
    controls = joined_rows(CONTROL, looks.taken(places_of(found)))
    controls = bounded_controls(controls)
    return judged(found, controls, looks.sums(controls["seen"]), topology)
