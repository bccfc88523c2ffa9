"""The result of a correlation: columns inside, single paths and connections as values outside."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ...errors import TtraceError
from ...pcapng.read import CaptureFile, read_capture
from . import show, show_connections
from .columns import Columns
from .values import Connection, Hop, Path


@dataclass(kw_only=True)
class Correlation(Columns):
    """Everything found in a set of captures, or in a part of their connections.

    Ids begin at 1 and are those among all parts (`ids`); indexes begin at 0 and are those of the columns.
    """

    opened: dict[int, CaptureFile] = field(default_factory=dict)
    """Files with their bytes, by their number: those that are at hand; capture() adds others."""

    def capture(self, file: int) -> CaptureFile:
        """A file with its frames, read again where it is not at hand. Raises TtraceError when that cannot be."""
        if file not in self.opened:
            facts = self.files[file]
            capture = read_capture(facts.path)
            if capture.records.size != facts.records:
                raise TtraceError(f"`{facts.path}` is not what it was", "correlate again; was it written to meanwhile?")
            self.opened[file] = capture
        return self.opened[file]

    def path(self, number: int) -> Path:
        """One path by its id. Raises IndexError when there is none."""
        return self.path_at(_index_of(self.ids.paths, number, "path"))

    def path_at(self, index: int) -> Path:
        """One path by its index."""
        return show.path_at(self, index)

    def hop_of(self, sighting: int) -> Hop:
        """The hop that a sighting is, by its row in `sightings`."""
        return show.hop_of(self, sighting)

    def connection(self, number: int) -> Connection:
        """One connection by its id. Raises IndexError when there is none."""
        return self.connections_at([_index_of(self.ids.connections, number, "connection")])[0]

    def connection_list(self) -> list[Connection]:
        """All connections."""
        return self.connections_at(list(range(self.connections.count)))

    def connections_at(self, indexes: list[int]) -> list[Connection]:
        """Connections by their indexes, in that order."""
        return show_connections.connections_at(self, indexes)


def _index_of(ids: npt.NDArray[np.int64], number: int, what: str) -> int:
    index = int(np.searchsorted(ids, number))
    if index == ids.size or ids[index] != number:
        raise IndexError(f"there is no {what} {number}")
    return index
