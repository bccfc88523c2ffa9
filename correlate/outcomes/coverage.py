"""When and how completely each node and capture point was captured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.read import CaptureFile
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


_FAR_NS: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTimes:
    """By the clock of the file's node, in ns."""

    first: int
    """Of the first record."""
    least: int
    """Earliest of those that are no snapshots; far away where there are none."""
    most: int
    """Latest of the same."""

    @classmethod
    def of(cls, capture: CaptureFile) -> "FileTimes | None":
        """Of a file whose records are all at hand; None where there are none."""
        records = capture.records
        if records.size == 0:
            return None
        # Snapshots are taken after the last packet: they say nothing of what would have been captured then.
        snapshots = [k for k, f in enumerate(capture.interfaces) if f.facts.get("what") == "snapshot"]
        every = records["time_ns"]
        times = every[~np.isin(records["interface"], snapshots)] if snapshots else every
        return cls(first=int(every[0]), least=int(times.min(initial=_FAR_NS)), most=int(times.max(initial=-_FAR_NS)))


def find_coverage(
    files: Sequence[FileFacts], times: Sequence[FileTimes | None], topology: Topology, clocks: list[Clock]
) -> Coverage:
    """On the reference clock; `times`: of each file, None where it holds nothing."""
    coverage = Coverage(start_ns={}, end_ns={}, gaps={}, files={})
    for i, (file, of_file) in enumerate(zip(files, times, strict=True)):
        if of_file is None:
            continue
        node = topology.file_nodes[i]
        namespaces = topology.file_namespaces[i]
        clock = next(c for c in clocks if c.node == node)
        offset = int(clock.offsets(np.array([of_file.first]))[0])
        covered = [of_file.first, *_covered(topology, node)]
        start, end = min(of_file.least, *covered) - offset, max(of_file.most, *covered) - offset
        coverage.start_ns[node] = min(coverage.start_ns.get(node, start), start)
        coverage.end_ns[node] = max(coverage.end_ns.get(node, end), end)
        for place in np.unique(topology.places[i][np.array(file.captures_packets, np.bool_)]).tolist():
            coverage.files.setdefault(place, []).append((start, end))
        previous: dict[int, tuple[int, int]] = {}
        for statistics in file.statistics:
            if statistics.interface >= namespaces.size:
                continue
            lost_before, time_before = previous.get(statistics.interface, (0, start))
            now = statistics.time_ns - offset
            if statistics.lost > lost_before:
                gaps = coverage.gaps.setdefault(int(namespaces[statistics.interface]), [])
                gaps.append((time_before, now))
            previous[statistics.interface] = (statistics.lost, now)
    return coverage


def _covered(topology: Topology, node: str) -> list[int]:
    """When a capture of this node began and stopped taking packets, where it says so."""
    facts = topology.nodes[node]
    return [time for time in (facts.began_ns, facts.ended_ns) if time is not None]


_EDGE_NS: Final = 200_000_000
"""A packet last seen this close to the end of a capture may have gone on after it."""


def unseen_in_namespaces(
    coverage: Coverage, topology: Topology, namespace: npt.NDArray[np.int64], times_ns: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Per packet that should have been seen in a namespace after a time: the Reason why the capture may have missed it
    there; NONE where it would have seen it."""
    found = np.full(namespace.size, Reason.NONE, np.uint8)
    for index in np.unique(namespace).tolist():
        here = namespace == index
        if any(p.filter for p in topology.points if p.namespace == index):
            found[here] = Reason.FILTERED
            continue
        node = topology.namespaces[index].node
        end, start = coverage.end_ns.get(node), coverage.start_ns.get(node)
        if end is not None and start is not None:
            found[here & ((times_ns > end - _EDGE_NS) | (times_ns < start))] = Reason.CAPTURE_ENDED
        for begin, finish in coverage.gaps.get(index, []):
            gap = here & (times_ns >= begin - _EDGE_NS) & (times_ns <= finish + _EDGE_NS)
            found[gap] = Reason.CAPTURE_LOST
    return found


def unseen_at_points(
    coverage: Coverage, topology: Topology, place: npt.NDArray[np.int64], times_ns: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """The same for those that should have been seen at a capture point."""
    found = np.full(place.size, Reason.NONE, np.uint8)
    for point in topology.points:
        here = place == point.index
        if not here.any():
            continue
        if point.filter:
            found[here] = Reason.FILTERED
            continue
        outside = here.copy()
        for begin, end in coverage.files.get(point.index, []):
            outside &= (times_ns < begin) | (times_ns > end)
        found[outside] = Reason.CAPTURE_ENDED
        for first, last in coverage.gaps.get(point.namespace, []):
            found[here & (times_ns >= first) & (times_ns <= last)] = Reason.CAPTURE_LOST
    return found


def unseen_beside(
    coverage: Coverage,
    topology: Topology,
    place: int,
    spans: Sequence[tuple[int, int]],
    times_ns: npt.NDArray[np.int64],
    time_ns: int,
) -> tuple[Reason, int]:
    """The same for one packet that was seen elsewhere at `times_ns`, and how far its frame at `time_ns` is off: before
    the beginning (negative) or behind the end of what `spans` say of the point."""
    if spans and times_ns.max() < (start := min(begin for begin, _ in spans)):
        return Reason.CAPTURE_ENDED, time_ns - start
    if spans and times_ns.min() > (last := max(end for _, end in spans)):
        return Reason.CAPTURE_ENDED, time_ns - last
    gaps = coverage.gaps.get(topology.points[place].namespace, [])
    if any(begin - _EDGE_NS <= time_ns <= end + _EDGE_NS for begin, end in gaps):
        return Reason.CAPTURE_LOST, 0
    return Reason.NONE, 0
