"""The captured packets of one or more files, as tables that can be put together."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...pcapng.rows import joined, placed
from ..schema import OUTER, SIGHTING
from .compared_bytes import WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """The captured packets of one or more files."""

    rows: npt.NDArray[np.void]
    """SIGHTING rows, in file order. `outer` is a row of `outers`, from 1."""
    outers: npt.NDArray[np.void]
    """OUTER rows: the outermost header of each encapsulated packet."""
    kept: npt.NDArray[np.int64]
    """Packets by IP version and the bytes kept of their transport headers, see compared_bytes.py."""
    table: npt.NDArray[np.void] | None = None
    """SIGHTING rows that begin with `rows`, where there is room behind them."""

    def and_behind(self, more: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """`rows` and SIGHTING rows behind them as one table: without a copy of `rows` where there is room."""
        size = self.rows.size + more.size
        if more.size == 0:
            return self.rows
        if self.table is None or self.table.size < size:
            return joined(SIGHTING, (self.rows, more))
        placed(self.table[self.rows.size : size], more)
        return self.table[:size]


def concatenate(files: list[Observations]) -> Observations:
    """The packets of all files as one table."""
    if len(files) == 1:
        return files[0]
    rows = joined(SIGHTING, (f.rows for f in files))
    ends = np.cumsum([0, *(f.rows.size for f in files)]).tolist()
    slices = [rows[start:end] for start, end in pairwise(ends)]
    return put_together(rows, [replace(f, rows=piece) for f, piece in zip(files, slices, strict=True)])


def put_together(
    rows: npt.NDArray[np.void], pieces: list[Observations], table: npt.NDArray[np.void] | None = None
) -> Observations:
    """Pieces of one table of observations as the whole (`rows`, of which theirs are slices, in order). `table`: see
    Observations."""
    before = 0
    for piece in pieces:
        if before and piece.outers.size:
            number_outers(piece.rows, before)
        before += piece.outers.size
    return Observations(
        rows=rows,
        outers=joined(OUTER, (p.outers for p in pieces)),
        kept=sum((p.kept for p in pieces), np.zeros((2, WHOLE + 1), np.int64)),
        table=table,
    )


@njit(cache=True, nogil=True)
def number_outers(rows, before):
    """Count the rows of the OUTER table from the beginning of it, `before` rows above those of this piece."""
    for i in range(rows.size):
        if rows[i].outer:
            rows[i].outer += before
