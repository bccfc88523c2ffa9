"""The result of a correlation in parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...pcapng.chunks import ChunkedFile
from ...pcapng.read import CaptureFile
from ..findings.clues import AllClues, FramesRead, InParts
from ..findings.common import Common
from ..nodes.surroundings import Surroundings
from ..packets.numbering import first_of_each, in_order_of_time
from ..pipeline import Setting
from ..result.columns import Numbers
from ..result.correlation import Correlation
from .part_files import load_beside
from .work_folder import WorkFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """When the paths and connections of a part began, in their order there."""

    path_ns: npt.NDArray[np.int64]
    path_place: npt.NDArray[np.int64]
    """Where their first sighting stands (packets/numbering.py)."""
    connection_ns: npt.NDArray[np.int64]
    connection_place: npt.NDArray[np.int64]

    @classmethod
    def of(cls, result: Correlation) -> "Order":
        """Of one part."""
        seen, times_ns = result.sightings, result.times_ns
        path_ns, path_place = first_of_each(result.packets.packet, result.packets.count, seen, times_ns)
        connection_ns, connection_place = first_of_each(
            result.connections.connection, result.connections.count, seen, times_ns
        )
        return cls(
            path_ns=path_ns, path_place=path_place, connection_ns=connection_ns, connection_place=connection_place
        )


class PartedCorrelation:
    """Everything found, of which one part at a time is in memory."""

    def __init__(
        self,
        *,
        setting: Setting,
        folder: WorkFolder,
        parts: Sequence[str],
        orders: Sequence[Order],
        clues: AllClues,
        largest: int,
        surroundings: Surroundings,
        opened: Sequence[ChunkedFile],
    ) -> None:
        """`parts`: the file of each, in the folder; `largest`: sightings of the largest part; `opened`: the captures,
        of which single frames are read again."""
        self._setting, self._folder, self._parts = setting, folder, parts
        self.largest, self.surroundings = largest, surroundings
        self._opened: dict[int, CaptureFile] = {}
        self._clues, self._files = clues, opened
        self._paths = _numbered([order.path_ns for order in orders], [order.path_place for order in orders])
        self._connections = _numbered(
            [order.connection_ns for order in orders], [order.connection_place for order in orders]
        )

    @property
    def count(self) -> int:
        """Parts."""
        return len(self._parts)

    @cached_property
    def paths(self) -> int:
        """Of all parts."""
        return sum(ids.size for ids in self._paths)

    @cached_property
    def connections(self) -> int:
        """Of all parts."""
        return sum(ids.size for ids in self._connections)

    @cached_property
    def common(self) -> Common:
        """What findings have to know of all parts."""
        numbers = zip(self._paths, self._connections, strict=True)
        return self._clues.joined(
            [Numbers(paths=paths, connections=connections) for paths, connections in numbers],
            self._setting.topology,
            InParts(self, self._setting.reach, self._read),
        )

    def __iter__(self) -> Iterator[Correlation]:
        """The parts, with the ids that their paths and connections have among all."""
        for number in range(self.count):
            yield self.part(number)

    def part(self, number: int) -> Correlation:
        """One part."""
        kept: Correlation
        kept, _ = load_beside(self._parts[number])
        return replace(
            kept,
            files=self._setting.files,
            opened=self._opened,
            topology=self._setting.topology,
            coverage=self._setting.coverage,
            surroundings=self.surroundings,
            histories=self._setting.histories,
            among_all=Numbers(paths=self._paths[number], connections=self._connections[number]),
        )

    def _read(self, file: int, numbers: npt.NDArray[np.int64]) -> FramesRead:
        """Frames of a capture by their numbers, which ascend."""
        chunked = self._files[file]
        return FramesRead(chunked.capture.data, chunked.records_of(numbers), chunked.capture.interfaces)

    def close(self) -> None:
        """Give the room on the disk back."""
        self._folder.close()


def _numbered(times: list[npt.NDArray[np.int64]], places: list[npt.NDArray[np.int64]]) -> list[npt.NDArray[np.int64]]:
    """Ids from 1, in order of appearance, of all parts together."""
    sizes = [part.size for part in times]
    order = in_order_of_time(np.concatenate(times), np.concatenate(places))
    ids = np.empty(order.size, np.int64)
    ids[order] = np.arange(1, order.size + 1)
    return np.split(ids, np.cumsum(sizes)[:-1])
