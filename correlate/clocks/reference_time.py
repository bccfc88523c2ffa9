"""Times of the nodes' clocks -> times of the reference clock, also where a clock had been set back.

A clock that is set back shows the same times twice. Then the time alone does not tell which of its pieces holds, but
the order of the frames does: they stand in a file as they came. So the frames before which a file's times go back are
found first, and count how often its clock had been set back by each frame: its epoch.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...kernels.threads import run_all
from ...pcapng.read import CaptureFile, is_packet_interface
from ...pcapng.rows import copied
from ..nodes.topology import Topology
from .align import SET_BACK_NS
from .clock import Clock

_SET: Final = (0, 0, 0.0)
"""Stands for the line of a clock that was set: its times are left as they are."""


_NEVER_NS: Final = -(1 << 63)
_NONE: Final = np.empty(0, np.int64)


class FramesSetBack:
    """Frames before which the clock of each file had been set back; the files are seen slice by slice."""

    def __init__(self, files: int) -> None:
        """`files`: how many there are."""
        self._found: list[list[npt.NDArray[np.int64]]] = [[] for _ in range(files)]
        self._last = [_NEVER_NS] * files

    def see(self, file: int, capture: CaptureFile) -> None:
        """Take notice of the next slice of file number `file`, or of all of it."""
        packets = np.array([is_packet_interface(i) for i in capture.interfaces] + [False], np.bool_)
        count, last_ns = _find_set_back(capture.records, packets, self._last[file], _NONE)
        if count:
            rows = np.empty(count, np.int64)
            _find_set_back(capture.records, packets, self._last[file], rows)
            self._found[file].append(rows + capture.first + 1)
        self._last[file] = last_ns

    def frames(self) -> list[npt.NDArray[np.int64]]:
        """Of each file their numbers, ascending."""
        return [np.concatenate([np.empty(0, np.int64), *pieces]) for pieces in self._found]


@njit(cache=True, nogil=True)
def _find_set_back(records, packets, last_ns, found):
    """(How many packets are earlier than the one before by so much, the time of the last packet); their rows go into
    `found`, where there is room. `packets`: of each interface whether it shows any, and one more."""
    count = 0
    for i in range(records.size):
        record = records[i]
        if not packets[min(np.int64(record.interface), packets.size - 1)]:
            continue
        time_ns = np.int64(record.time_ns)
        if last_ns != _NEVER_NS and time_ns < last_ns - SET_BACK_NS:
            if count < found.size:
                found[count] = i
            count += 1
        last_ns = time_ns
    return count, last_ns


def frames_set_back(captures: Sequence[CaptureFile]) -> list[npt.NDArray[np.int64]]:
    """Of each file the frames before which its clock had been set back, ascending."""
    found = FramesSetBack(len(captures))
    run_all(lambda numbered: found.see(*numbered), list(enumerate(captures)))
    return found.frames()


def sightings_on_reference(
    sightings: npt.NDArray[np.void],
    clocks: Sequence[Clock],
    topology: Topology,
    set_back: Sequence[npt.NDArray[np.int64]],
) -> npt.NDArray[np.int64]:
    """The times of SIGHTING rows in ns, by the reference clock. `set_back`: of each file, see frames_set_back."""
    lines = [clock.only_line for clock in clocks]
    numbers = _numbers(clocks, topology)
    converted = np.empty(sightings.size, np.int64)
    offset, start, growth = (np.array(of_all) for of_all in zip(*(line or _SET for line in lines), strict=True))
    _by_lines(sightings, numbers, offset, start, growth, converted)
    for number, clock in enumerate(clocks):
        if lines[number] is not None:
            continue
        here = np.flatnonzero(numbers[sightings["namespace"]] == number)
        epochs = None
        # In a file with a pause there the times do not come twice, and tell by themselves.
        if clock.epochs and _most_set_back(clock.node, topology, set_back) == clock.epochs:
            epochs = _epochs_of(sightings["frame"][here], sightings["file"][here], set_back)
        converted[here] -= clock.offsets(converted[here], epochs)
    return converted


@njit(cache=True, nogil=True)
def _by_lines(sightings, numbers, offset, start, growth, converted):
    """Fill in the times by clocks of which one line holds; all but the rows are per clock, `numbers`: that of each
    namespace."""
    for i in range(sightings.size):
        row = sightings[i]
        clock = numbers[row.namespace]
        off = offset[clock]
        if growth[clock] != 0:
            off += np.int64(np.rint(growth[clock] * np.float64(row.time_ns - start[clock])))
        converted[i] = row.time_ns - off


def messages_on_reference(
    messages: npt.NDArray[np.void], clocks: Sequence[Clock], topology: Topology
) -> npt.NDArray[np.void]:
    """A copy of CONNTRACK rows with their `time_ns` on the reference clock. No frame says in which epoch they came."""
    converted = copied(messages)
    if messages.size == 0:
        return converted
    node = _numbers(clocks, topology)[messages["namespace"]]
    for number, clock in _other_than_the_reference(clocks):
        here = node == number
        converted["time_ns"][here] -= clock.offsets(messages["time_ns"][here])
    return converted


def _other_than_the_reference(clocks: Sequence[Clock]) -> Iterable[tuple[int, Clock]]:
    """The clocks that show other times, each with its number."""
    return (
        (number, clock)
        for number, clock in enumerate(clocks)
        if clock.offset_ns or any(piece.offset_ns or piece.drift for piece in clock.pieces)
    )


def _numbers(clocks: Sequence[Clock], topology: Topology) -> npt.NDArray[np.int64]:
    """Number of the clock of each namespace."""
    numbers = {clock.node: number for number, clock in enumerate(clocks)}
    return np.array([numbers[n.node] for n in topology.namespaces] or [0], np.int64)


def _most_set_back(node: str, topology: Topology, set_back: Sequence[npt.NDArray[np.int64]]) -> int:
    """How often a file of the node shows that its clock was set back."""
    pairs = zip(set_back, topology.file_nodes, strict=True)
    return max((frames.size for frames, of_file in pairs if of_file == node), default=0)


def _epochs_of(
    frame: npt.NDArray[np.integer], file: npt.NDArray[np.integer], set_back: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.int64]:
    """How often the clock had been set back when each frame was captured."""
    epochs = np.zeros(frame.size, np.int64)
    for number, frames in enumerate(set_back):
        if frames.size:
            here = file == number
            epochs[here] = np.searchsorted(frames, frame[here], side="right")
    return epochs
