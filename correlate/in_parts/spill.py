"""Tables too large for memory: rows of one kind on disk, by the part they belong to."""

import os
import tempfile
import weakref
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...errors import no_room


class Spill:
    """A temporary file without a name, which is gone whatever happens, that rows of one dtype are appended to."""

    def __init__(self, dtype: np.dtype, parts: int) -> None:
        """`parts`: how many there are."""
        self._dtype = dtype
        self._extents: list[list[tuple[int, int]]] = [[] for _ in range(parts)]
        self._size = 0
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - close() closes it
        except OSError as error:
            raise no_room(error) from error
        self.close = weakref.finalize(self, self._file.close)
        """Gives its room on the disk back; whoever forgets it, or fails, does so too."""

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
        ordered = rows[order]
        bounds = np.searchsorted(part[order], np.arange(len(self._extents) + 1))
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            self.append(number, ordered[bounds[number] : bounds[number + 1]])

    def read(self, part: int) -> npt.NDArray[np.void]:
        """All rows of a part, in the order they came."""
        extents = self._extents[part]
        rows = np.empty(sum(length for _, length in extents) // self._dtype.itemsize, self._dtype)
        view = rows.view(np.uint8).data
        at = 0
        for offset, length in extents:
            done = 0
            while done < length:
                done += os.preadv(self._file.fileno(), [view[at + done : at + length]], offset + done)
            at += length
        return rows


def close_all(spills: Sequence[Spill]) -> None:
    """Give the room of all of them back."""
    for spill in spills:
        spill.close()
