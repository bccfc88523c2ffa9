"""A stretch of a pcapng file walked over on all cores.

Where a block begins is known from the one before it, so the file is guessed to have a block wherever several in a row
have lengths that fit. A guess may be wrong (packets can carry capture files), but it cannot mislead: what was found
from there counts only when the walk over what is before arrives exactly there.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .blocks import BlockType
from .capture_file import RECORD
from .residence import WINDOW, fetch
from .threads import run_all, threads
from .walk import BLOCK, END, find_block, walk_blocks

LEAST_PART: Final = 4 << 20
"""Bytes that are worth a thread."""
MOST_AT_ONCE: Final = 1 << 30
"""Bytes walked over at once; they are mapped, and have room for as many RECORD rows as they can hold packets."""
_LEAST_PACKET: Final = 32
"""Bytes of the shortest enhanced packet block."""
_PER_THREAD: Final = 2
_SEARCHED: Final = 1 << 20
"""Bytes that are searched for a block; packets are not so large."""

Columns = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]]


@dataclass(slots=True, kw_only=True)
class Part:
    """What was found between two offsets, up to anything that changes what the packets behind it mean."""

    start: int
    stop: int
    state: npt.NDArray[np.void]
    """WALK row: where the walk is. Before `stop` it has come to what only the reader of the file can deal with."""
    records: npt.NDArray[np.void]
    passed: list[tuple[int, int, int]]
    """Blocks that are no packets and no descriptions: type, offset and end."""


def walk_in_parts(data: npt.NDArray[np.uint8], state: npt.NDArray[np.void], columns: Columns) -> list[Part]:
    """Walk over the next stretch of a file from `state`, a WALK row. Part after part is to be taken as long as each
    begins where the one before has come to."""
    start = int(state["at"][0])
    end = min(data.size, start + MOST_AT_ONCE)
    count = min(threads() * _PER_THREAD, (end - start) // LEAST_PART)
    starts = [start]
    for number in range(1, count):
        near = start + (end - start) * number // count // 4 * 4
        found = int(find_block(data, near, min(near + _SEARCHED, end), bool(state["big"][0])))
        if found >= 0 and found > starts[-1]:
            starts.append(found)
    parts = [
        Part(start=a, stop=b, state=_at(state, a), records=np.empty((b - a) // _LEAST_PACKET + 1, RECORD), passed=[])
        for a, b in zip(starts, [*starts[1:], end], strict=True)
    ]
    return run_all(lambda part: _walk(data, part, columns), parts)


def _at(state: npt.NDArray[np.void], offset: int) -> npt.NDArray[np.void]:
    there = state.copy()
    there["at"], there["malformed"] = offset, 0
    return there


def _walk(data: npt.NDArray[np.uint8], part: Part, columns: Columns) -> Part:
    state, filled, big = part.state, 0, int(part.state["big"][0])
    while (at := int(state["at"][0])) < part.stop:
        stop = min(at + WINDOW, part.stop)
        fetch(data, at, stop)
        pause = END
        while pause == END and int(state["at"][0]) < stop:
            got, pause = walk_blocks(data, stop, state, part.records[filled:], *columns)
            filled += got
            if pause == BLOCK:
                kind, block, behind = (int(state[name][0]) for name in ("kind", "block", "at"))
                if kind in (BlockType.SECTION_HEADER, BlockType.INTERFACE_DESCRIPTION):
                    state["at"], state["big"] = block, big
                    break
                part.passed.append((kind, block, behind))
                pause = END
        if pause != END:
            break
    part.records = part.records[:filled]
    return part
