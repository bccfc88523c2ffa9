"""A stretch of a pcapng file walked over on all cores.

Where a block begins is known from the one before it, so the file is guessed to have a block wherever several in a row
have lengths that fit. A guess may be wrong (packets can carry capture files), but it cannot mislead: what was found
from there counts only when the walk over what is before arrives exactly there. Else that piece is walked over again,
from where it really begins.

The pieces are small: what is found in one stays in the cache until those before it are done, so that its place in the
table is known.
"""

from threading import Condition
from typing import Final

import numpy as np
import numpy.typing as npt

from ..kernels.threads import run_all
from .blocks import BlockType
from .capture_file import RECORD
from .pages import fetch
from .rows import copied
from .walk import BLOCK, END, find_block, walk_blocks

LEAST_PIECE: Final = 4 << 20
"""Bytes of a piece."""
MOST_AT_ONCE: Final = 1 << 30
"""Bytes walked over at once; they are mapped, and have room for as many RECORD rows as they can hold packets."""
_LEAST_PACKET: Final = 32
"""Bytes of the shortest enhanced packet block."""
_SEARCHED: Final = 1 << 20
"""Bytes that are searched for a block; packets are not so large."""


class Stretch:
    """The next stretch of a file, up to anything that changes what the packets behind it mean."""

    def __init__(
        self, data: npt.NDArray[np.uint8], state: npt.NDArray[np.void], interfaces: npt.NDArray[np.void]
    ) -> None:
        """Walk over it from `state`, a WALK row; `interfaces`: INTERFACE rows of the file."""
        self.state = copied(state)
        """WALK row: where the walk has come to."""
        self.passed: list[tuple[int, int, int]] = []
        """Blocks that are no packets and no descriptions: type, offset and end."""
        self._data = data
        self._interfaces = interfaces
        start = int(state["at"][0])
        self._end = min(data.size, start + MOST_AT_ONCE)
        self._starts = [near // 4 * 4 for near in range(start, self._end, LEAST_PIECE)]
        self._rows_of_piece = LEAST_PIECE // _LEAST_PACKET + 2
        self._free: list[npt.NDArray[np.void]] = []
        """Tables for pieces, to be used again."""
        # What is not used of the room costs nothing.
        self._table = np.empty(len(self._starts) * self._rows_of_piece, RECORD)
        self._filled = 0
        self._turn = Condition()
        self._next = 0
        """The first piece that has no place yet."""
        self._ended = False
        """No piece behind it counts."""
        run_all(self._walk_piece, range(len(self._starts)))

    @property
    def records(self) -> npt.NDArray[np.void]:
        """RECORD rows of its packets."""
        return self._table[: self._filled]

    def _walk_piece(self, number: int) -> None:
        """Walk over a piece from where it seems to begin, and give it its place when it is its turn."""
        try:
            near = self._starts[number]
            stop = self._starts[number + 1] if number + 1 < len(self._starts) else self._end
            rows = self._free.pop() if self._free else np.empty(self._rows_of_piece, RECORD)
            fetch(self._data, near, stop)
            guess, piece = near, _Piece(self.state)
            if number:
                big = bool(self.state["big"][0])
                guess = int(find_block(self._data, near, min(near + _SEARCHED, stop), big))
            if guess >= 0:
                piece.walk(self._data, guess, stop, rows, self._interfaces)
            with self._turn:
                self._turn.wait_for(lambda: self._next == number or self._ended)
                place = self._place(piece, guess, stop, rows)
            # Copied as bytes, which releases the interpreter lock.
            begin, size = place * RECORD.itemsize, piece.filled * RECORD.itemsize
            self._table.view(np.uint8)[begin : begin + size] = rows.view(np.uint8)[:size]
            self._free.append(rows)
        except BaseException:
            with self._turn:
                self._ended = True
                self._turn.notify_all()
            raise

    def _place(self, piece: "_Piece", guess: int, stop: int, rows: npt.NDArray[np.void]) -> int:
        """Append a piece to what is before it: where in the table its rows belong."""
        place, at = self._filled, int(self.state["at"][0])
        if self._ended or at >= stop:  # by a block that is larger than a piece
            piece.filled = 0
        else:
            if at != guess:
                piece.walk(self._data, at, stop, rows, self._interfaces)
            self._filled += piece.filled
            self.passed += piece.passed
            piece.state["malformed"] += self.state["malformed"]
            self.state = piece.state
            self._ended = int(self.state["at"][0]) < stop
        self._next += 1
        self._turn.notify_all()
        return place


class _Piece:
    """What was found from one offset on."""

    def __init__(self, state: npt.NDArray[np.void]) -> None:
        """`state`: a WALK row of the same section."""
        self.state = copied(state)
        self.filled = 0
        self.passed: list[tuple[int, int, int]] = []
        self._big = int(state["big"][0])

    def walk(
        self,
        data: npt.NDArray[np.uint8],
        start: int,
        stop: int,
        rows: npt.NDArray[np.void],
        interfaces: npt.NDArray[np.void],
    ) -> None:
        """Fill RECORD rows from data[start:stop], anew. The walk is at or behind `stop` then, or before what only the
        reader of the file can deal with."""
        state, pause, big = self.state, END, self._big
        state["at"], state["malformed"], state["big"] = start, 0, big
        self.filled, self.passed = 0, []
        while pause == END and int(state["at"][0]) < stop:
            got, pause = walk_blocks(data, stop, state, rows[self.filled :], interfaces)
            self.filled += got
            if pause == BLOCK:
                kind, block, behind = (int(state[name][0]) for name in ("kind", "block", "at"))
                if kind in (BlockType.SECTION_HEADER, BlockType.INTERFACE_DESCRIPTION):
                    state["at"], state["big"] = block, big
                    return
                self.passed.append((kind, block, behind))
                pause = END
