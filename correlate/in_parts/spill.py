"""Tables too large for memory: rows of one kind in a file, by the part they belong to."""

import os
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import no_room
from .work_folder import WorkFolder


@dataclass(frozen=True, slots=True)
class SpilledRows:
    """Where the rows of one part are: a small value, that any process can read them by."""

    path: str
    dtype: np.dtype
    extents: tuple[tuple[int, int], ...]
    """(offset, length in bytes) of each piece, in the order they came."""

    def read(self) -> npt.NDArray[np.void]:
        """All of them, in the order they came."""
        rows = np.empty(sum(length for _, length in self.extents) // self.dtype.itemsize, self.dtype)
        if rows.size == 0:
            return rows
        view = rows.view(np.uint8).data
        at = 0
        with Path(self.path).open("rb", buffering=0) as file:
            for offset, length in self.extents:
                end = at + length
                while at < end:
                    read = os.preadv(file.fileno(), [view[at:end]], offset + length - (end - at))
                    if read == 0:
                        raise EOFError(f"{self.path} ends before {offset + length}")
                    at += read
        return rows


class Spill:
    """A file in a work folder that rows of one dtype are appended to."""

    def __init__(self, folder: WorkFolder, what: str, dtype: np.dtype, parts: int) -> None:
        """`what`: a part of its name; `parts`: how many there are. Raises TtraceError when there is no room."""
        self._folder = folder  # which is there as long as somebody knows it
        self._path, self._dtype = folder.new_name(what), dtype
        self._extents: list[list[tuple[int, int]]] = [[] for _ in range(parts)]
        self._size = 0
        try:
            self._file = Path(self._path).open("xb", buffering=0)  # noqa: SIM115 - close() closes it
        except OSError as error:
            raise no_room(error) from error
        self._finish = weakref.finalize(self, self._file.close)

    def append(self, part: int, rows: npt.NDArray[np.void]) -> None:
        """Rows of one part, behind those it has. Raises TtraceError when the disk is full."""
        if rows.size == 0:
            return
        view = np.ascontiguousarray(rows).view(np.uint8).data
        self._extents[part].append((self._size, len(view)))
        self._size += len(view)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise no_room(error) from error

    def distribute(self, part: npt.NDArray[np.int64], rows: npt.NDArray[np.void]) -> None:
        """Rows with the part that each belongs to; those of one part keep their order."""
        order = np.argsort(part, kind="stable")
        ordered = rows.take(order)
        bounds = np.searchsorted(part[order], np.arange(len(self._extents) + 1))
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            self.append(number, ordered[bounds[number] : bounds[number + 1]])

    def part(self, number: int) -> SpilledRows:
        """The rows that a part has so far."""
        return SpilledRows(self._path, self._dtype, tuple(self._extents[number]))

    def close(self) -> None:
        """Give the room on the disk back."""
        self._finish()
        with suppress(FileNotFoundError):  # the folder is gone already
            Path(self._path).unlink()


def close_all(spills: Sequence[Spill]) -> None:
    """Give the room of all of them back."""
    for spill in spills:
        spill.close()
