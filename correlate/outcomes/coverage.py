"""When and how completely each node and capture point was captured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...pcapng.read import is_for_drops
from ...pcapng.record_times import RecordTimes
from ..clocks.clock import Clock
from ..nodes.file_facts import FileFacts
from ..nodes.topology import Topology
from .kinds import Reason


@dataclass(slots=True, kw_only=True)
class Coverage:
    """When and how completely each namespace was captured, on the reference clock."""

    start_ns: dict[str, int]
    """Per node."""
    end_ns: dict[str, int]
    gaps: dict[int, list[tuple[int, int]]]
    """Namespace index to the intervals in which its captures lost something."""
    files: dict[int, list[tuple[int, int]]]
    """Capture point to the (start, end) of the files that hold it."""
    uncounted: set[int] = field(default_factory=set)
    """Capture points of which a file does not say what its capture lost there, as no pcap does."""


def find_coverage(
    files: Sequence[FileFacts], times: Sequence[RecordTimes], topology: Topology, clocks: list[Clock]
) -> Coverage:
    """On the reference clock; `times`: of each file."""
    coverage = Coverage(start_ns={}, end_ns={}, gaps={}, files={})
    whole = _whole_captures(times, topology) | _ring_runs(times, topology)
    for i, (file, of_file) in enumerate(zip(files, times, strict=True)):
        if of_file.size == 0:
            continue
        node = topology.file_nodes[i]
        clock = next(c for c in clocks if c.node == node)
        # Of several files of one node, each covers the time of its own records.
        alone = topology.file_nodes.count(node) == 1
        covered = [
            of_file.first_ns,
            *(of_file.span_ns or ()),
            *whole.get(i, ()),
            *(_covered(topology, node) if alone else []),
        ]
        # Each by its own time: in a day, 100 ppm are 8.6 s.
        start, end = clock.reference_ns(min(covered)), clock.reference_ns(max(covered))
        coverage.start_ns[node] = min(coverage.start_ns.get(node, start), start)
        coverage.end_ns[node] = max(coverage.end_ns.get(node, end), end)
        for place in np.unique(topology.places[i][np.array(file.captures_packets, np.bool_)]).tolist():
            coverage.files.setdefault(place, []).append((start, end))
        coverage.uncounted |= _uncounted(file, topology.places[i])
        # What a file of a ring lost, it lost in its own time.
        own = _ring_spans(of_file, topology.ring_files[i]) if topology.ring_files[i] else []
        since = clock.reference_ns(min(own)) if own else start
        _add_gaps(coverage.gaps, file, topology.file_namespaces[i], clock, since)
    return coverage


def _add_gaps(
    gaps: dict[int, list[tuple[int, int]]],
    file: FileFacts,
    namespaces: npt.NDArray[np.integer],
    clock: Clock,
    start_ns: int,
) -> None:
    """When a file that begins at `start_ns` lost something, by its statistics; `namespaces`: of its interfaces."""
    previous: dict[int, tuple[int, int]] = {}
    for statistics in file.statistics:
        # Drops of the kernel over the limit are counted as lost: no frame and no other message is missing for that.
        if statistics.interface >= namespaces.size or is_for_drops(file.interfaces[statistics.interface]):
            continue
        lost_before, time_before = previous.get(statistics.interface, (0, start_ns))
        now = clock.reference_ns(statistics.time_ns)
        if statistics.lost > lost_before:
            gaps.setdefault(int(namespaces[statistics.interface]), []).append((time_before, now))
        previous[statistics.interface] = (statistics.lost, now)


def _uncounted(file: FileFacts, places: npt.NDArray[np.uint32]) -> set[int]:
    """The capture points of which the file has no count of losses. `places`: of each of its interfaces."""
    counts = {statistics.interface for statistics in file.statistics}
    captures = enumerate(file.captures_packets)
    return {int(places[interface]) for interface, is_point in captures if is_point and interface not in counts}


def _whole_captures(times: Sequence[RecordTimes], topology: Topology) -> dict[int, tuple[int, int]]:
    """Of files that are pieces of one capture: when it began and ended, for nothing is missed between two. So far apart
    that another piece has its place there, one may be missing, and then they are captures by themselves. Those of a
    ring are numbered."""
    whole: dict[int, tuple[int, int]] = {}
    for first in {piece for piece in topology.piece_of if piece is not None}:
        files = [i for i, piece in enumerate(topology.piece_of) if piece == first]
        if topology.ring_files[first] is not None:
            continue
        spans = sorted((span, i) for i in files if (span := times[i].span_ns) is not None)
        runs = [[spans[0]]] if spans else []
        for one, other in pairwise(spans):
            (start, end), (following, last) = one[0], other[0]
            if following - end > min(end - start, last - following) // _MISSING:
                runs.append([])
            runs[-1].append(other)
        for run in runs:
            whole |= dict.fromkeys((i for _, i in run), (run[0][0][0], run[-1][0][1]))
    return whole


def _ring_runs(times: Sequence[RecordTimes], topology: Topology) -> dict[int, tuple[int, int]]:
    """Of the files of rings: when the run of files began and ended that each is one of, with none missing."""
    rings: dict[int, list[tuple[int, int]]] = {}
    for i, (of_file, piece) in enumerate(zip(topology.ring_files, topology.piece_of, strict=True)):
        if of_file is not None:
            rings.setdefault(i if piece is None else piece, []).append((of_file[0], i))
    found: dict[int, tuple[int, int]] = {}
    for numbered in rings.values():
        runs: list[list[tuple[int, int]]] = []
        for number, i in sorted(numbered):
            if not runs or runs[-1][-1][0] + 1 != number:
                runs.append([])
            runs[-1].append((number, i))
        for run in runs:
            spans = [time for _, i in run for time in _ring_spans(times[i], topology.ring_files[i])]
            if spans:
                found |= dict.fromkeys((i for _, i in run), (min(spans), max(spans)))
    return found


def _ring_spans(times: RecordTimes, of_file: tuple[int, int | None, int | None] | None) -> list[int]:
    """Times within which a file of a ring has every packet."""
    said = [time for time in (of_file or (0, None, None))[1:] if time is not None]
    return [*said, *(times.span_ns or ())]


def _covered(topology: Topology, node: str) -> list[int]:
    """When a capture of this node began and stopped taking packets, where it says so."""
    facts = topology.nodes[node]
    return [time for time in (facts.began_ns, facts.ended_ns) if time is not None]


_MISSING: Final = 4
"""A pause between two files that lasts longer than this part of either may be a file that is not given."""
_NEXT_NS: Final = 200_000_000
"""A packet that was seen somewhere passes the next point at most so much later: one last seen this close to the end of
a capture may have gone on after it."""
_TOLD_LATE_NS: Final = 200_000_000
"""What the kernel's messages alone show was there so much earlier at most: during a loss that had ended by then."""


class Watch(NamedTuple):
    """How one place was watched, on the reference clock."""

    spans: list[tuple[int, int]]
    """(start, end) in ns of each file that holds it."""
    gaps: list[tuple[int, int]]
    """When something was lost there."""
    filtered: bool
    """A filter left something out."""
    counted: bool = True
    """It is known what the captures lost there."""


def watch_of_point(coverage: Coverage, topology: Topology, place: int) -> Watch:
    """How a capture point was watched."""
    point = topology.points[place]
    # ttrace's own captures tell of a loss when it happens, and of all in the end. One that came to its end without that
    # was saved by something else, which kept the snapshots and dropped the counts.
    running = topology.namespaces[point.namespace].known and topology.nodes[point.node].ended_ns is None
    counted = place not in coverage.uncounted or running
    return Watch(coverage.files.get(place, []), coverage.gaps.get(point.namespace, []), bool(point.filter), counted)


def watches_in_namespace(coverage: Coverage, topology: Topology, namespace: int) -> list[Watch]:
    """How each capture point of a namespace was watched; where it has none, how its messages were."""
    places = [point.index for point in topology.points if point.namespace == namespace]
    if places:
        return [watch_of_point(coverage, topology, place) for place in places]
    node = topology.namespaces[namespace].node
    spans = [(coverage.start_ns[node], coverage.end_ns[node])] if node in coverage.start_ns else []
    return [Watch(spans, coverage.gaps.get(namespace, []), filtered=False)]


class Missed(NamedTuple):
    """Per packet: how the captures may have missed it. They would have seen it where all of these are False."""

    not_running: npt.NDArray[np.bool_]
    """No file covers the time in which it passed."""
    lost: npt.NDArray[np.bool_]
    """Something was lost in that time."""
    filtered: npt.NDArray[np.bool_]
    uncounted: npt.NDArray[np.bool_]
    """Nobody says whether something was."""


def missed(watches: Sequence[Watch], first_ns: npt.NDArray[np.int64], last_ns: npt.NDArray[np.int64]) -> Missed:
    """How packets may have been missed that passed, at a time from `first_ns` to `last_ns`, one of these places: where
    it is not known which, each must have been watched."""
    found = Missed(*(np.zeros(first_ns.size, np.bool_) for _ in Missed._fields))
    for watch in watches:
        running = np.zeros(first_ns.size, np.bool_)
        for begin, end in watch.spans:
            running |= (begin <= first_ns) & (last_ns <= end)
        found.not_running[~running] = True
        for begin, end in watch.gaps:
            found.lost[(begin <= last_ns) & (first_ns <= end + _TOLD_LATE_NS)] = True
        found.filtered[:] |= watch.filtered
        found.uncounted[:] |= not watch.counted
    return found


def lost_where(coverage: Coverage, namespace: int, gone_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Per packet that was last seen at `gone_ns`: the captures of a namespace lost something when it would have come
    there."""
    watch = Watch([], coverage.gaps.get(namespace, []), filtered=False)
    return missed([watch], gone_ns, gone_ns + _NEXT_NS).lost


def unseen(
    watches_of: Callable[[int], Sequence[Watch]], where: npt.NDArray[np.int64], gone_ns: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Per packet that was last seen at `gone_ns`: the Reason why it may have passed unseen where it had to be next,
    NONE where the captures would have seen it. `watches_of`: for each number in `where`."""
    found = np.full(where.size, Reason.NONE, np.uint8)
    for number in np.unique(where).tolist():
        here = np.flatnonzero(where == number)
        by = missed(watches_of(number), gone_ns[here], gone_ns[here] + _NEXT_NS)
        found[here[by.uncounted]] = Reason.MAYBE_MISSED
        found[here[by.not_running]] = Reason.CAPTURE_ENDED
        found[here[by.lost]] = Reason.CAPTURE_LOST
        found[here[by.filtered]] = Reason.FILTERED
    return found
