"""Text from columns: what many objects share is a text in a pool, and one compiled kernel puts these, numbers and
addresses behind each other, row by row.

A million packets make a gigabyte of text that differs in times, numbers of frames and addresses alone. So a row is a
few numbers: which texts, and what stands between them.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.copies import copy_bytes
from ...kernels.njit import njit

_TEXT: Final = 0
"""The value is the number of a text in the pool."""
_NUMBER: Final = 1
_END: Final = 2
"""An address: the value and the next one are its halves, and the one behind them the port."""
_QUOTED: Final = 3
"""The same in quotes."""
NO_PORT: Final = -1
NO_END: Final = -2
"""Instead of a port: there is no address either."""
_MOST_DIGITS: Final = 20
_MOST_OF_END: Final = 49
"""`"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"`."""

Numbers = npt.NDArray[np.int64]


class Pool:
    """Texts, each stored once, by numbers from 0: the empty one."""

    def __init__(self) -> None:
        self._numbers = {"": 0}
        self._data, self._start = bytearray(), array("q", (0, 0))

    def number(self, text: str) -> int:
        """The number of a text; it is ASCII."""
        found = self._numbers.setdefault(text, len(self._numbers))
        if found == len(self._start) - 1:
            self._data += text.encode("ascii")
            self._start.append(len(self._data))
        return found

    def packed(self) -> tuple[npt.NDArray[np.uint8], Numbers]:
        """(all texts behind each other, where each begins and the last ends)."""
        return np.array(self._data, np.uint8), np.array(self._start, np.int64)


class Column(NamedTuple):
    """What stands at one place of each row."""

    kind: npt.NDArray[np.uint8] | int
    """One for each row, or for all of them."""
    value: Numbers | int


def texts(numbers: npt.NDArray[np.integer] | int) -> list[Column]:
    """Texts by their numbers in the pool: one for each row, or for all of them."""
    return [Column(_TEXT, numbers if isinstance(numbers, int) else numbers.astype(np.int64, copy=False))]


def numbers(values: npt.NDArray[np.integer]) -> list[Column]:
    """Numbers, in decimal digits."""
    return [Column(_NUMBER, values.astype(np.int64, copy=False))]


def ends(
    high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64], port: Numbers, *, quoted: bool = True
) -> list[Column]:
    """Addresses with their ports; `port` may be NO_PORT, and NO_END for `-`."""
    kind = _QUOTED if quoted else _END
    halves = [Column(kind, half.astype(np.uint64, copy=False).view(np.int64)) for half in (high, low)]
    return [*halves, Column(kind, port)]


def only_at(rows: Numbers, count: int, columns: Sequence[Column], instead: int = 0) -> list[Column]:
    """The columns of `count` rows, of which only these have what is in `columns`; the others have a text (its number in
    the pool)."""
    found = []
    for column in columns:
        kind, value = np.full(count, _TEXT, np.uint8), np.full(count, instead)
        kind[rows], value[rows] = column
        found.append(Column(kind, value))
        instead = 0
    return found


class Written(NamedTuple):
    """Text, and where its rows are."""

    data: npt.NDArray[np.uint8]
    begin: Numbers
    """Where each row begins, in their order, and the last one ends."""
    order: Numbers
    """Which row it is, by the order in which they were added."""


@dataclass(frozen=True, slots=True)
class _Block:
    keys: Numbers
    columns: list[Column]


class Rows:
    """Rows of text, to be written in the order of their keys."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._blocks: list[_Block] = []

    def add(self, keys: Numbers, columns: Sequence[Column]) -> None:
        """A row for each key; those of one key stay in the order in which they were added."""
        if keys.size:
            self._blocks.append(_Block(keys, list(columns)))

    def written(self) -> Written:
        """All that was added."""
        data, start = self._pool.packed()
        lengths = np.diff(start)
        blocks = self._blocks
        room = sum(_room(block, lengths) for block in blocks)
        tokens = sum(block.keys.size * len(block.columns) for block in blocks)
        kinds, values = np.empty(tokens, np.uint8), np.empty(tokens, np.int64)
        first, begun = [np.zeros(1, np.int64)], 0
        for block in blocks:
            size, width = block.keys.size, len(block.columns)
            here = slice(begun, begun + size * width)
            for number, column in enumerate(block.columns):
                kinds[here].reshape(size, width)[:, number] = column.kind
                values[here].reshape(size, width)[:, number] = column.value
            first.append(begun + width * np.arange(1, size + 1))
            begun = here.stop
        order = np.argsort(np.concatenate([np.empty(0, np.int64), *(b.keys for b in blocks)]), kind="stable")
        out, begin = np.empty(room, np.uint8), np.empty(order.size + 1, np.int64)
        end = _write(order, np.concatenate(first), kinds, values, data, start, out, begin)
        return Written(data=out[:end], begin=begin, order=order)


def _room(block: _Block, lengths: Numbers) -> int:
    """Bytes that the rows of a block take at most."""
    size, room = block.keys.size, 0
    for kind, value in block.columns:
        if isinstance(kind, int) and kind != _TEXT:
            room += size * (_MOST_DIGITS if kind == _NUMBER else _MOST_OF_END)
        elif isinstance(value, int):
            room += size * int(lengths[value])
        else:
            shown = value if isinstance(kind, int) else value[kind == _TEXT]
            room += int(lengths[shown].sum()) + (size - shown.size) * _MOST_OF_END
    return room


@njit(cache=True, nogil=True)
def _write(order, first, kinds, values, data, start, out, begin):
    """Write the rows; returns where the last one ends. `first`: of each row its first value, and one more; `data`,
    `start`: the pool."""
    at = 0
    for k in range(order.size):
        begin[k] = at
        i, end = first[order[k]], first[order[k] + 1]
        while i < end:
            value = values[i]
            if kinds[i] == _TEXT:
                size = start[value + 1] - start[value]
                copy_bytes(out, at, data, start[value], size)
                at += size
            elif kinds[i] == _NUMBER:
                at = _put_number(out, at, value)
            else:
                quoted = kinds[i] == _QUOTED
                if quoted:
                    out[at] = ord('"')
                at = _put_end(out, at + quoted, np.uint64(value), np.uint64(values[i + 1]), values[i + 2])
                if quoted:
                    out[at] = ord('"')
                at += quoted
                i += 2
            i += 1
    begin[order.size] = at
    return at


@njit(cache=True, nogil=True)
def _put_number(out, at, value):
    rest = np.uint64(value)
    if value < 0:
        out[at] = ord("-")
        at += 1
        rest = np.uint64(0) - rest
    size, more = 1, rest
    while more >= np.uint64(10):
        more //= np.uint64(10)
        size += 1
    for i in range(at + size - 1, at - 1, -1):
        tens = rest // np.uint64(10)
        out[i] = np.uint8(ord("0")) + np.uint8(rest - tens * np.uint64(10))
        rest = tens
    return at + size


@njit(cache=True, nogil=True)
def _put_end(out, at, high, low, port):
    """An address as `ipaddress` writes it, with its port."""
    if port == NO_END:
        out[at] = ord("-")
        at += 1
    elif high == 0 and low >> np.uint64(32) == np.uint64(0xFFFF):
        for part in range(4):
            at = _put_number(out, at, np.int64((low >> np.uint64(24 - 8 * part)) & np.uint64(255)))
            out[at] = ord(".")
            at += 1
        at -= 1
    else:
        if port >= 0:
            out[at] = ord("[")
            at += 1
        at = _put_ipv6(out, at, high, low)
        if port >= 0:
            out[at] = ord("]")
            at += 1
    if port >= 0:
        out[at] = ord(":")
        at = _put_number(out, at + 1, port)
    return at


@njit(cache=True, nogil=True)
def _group(high, low, i):
    """One of the eight groups of an IPv6 address."""
    half = high if i < 4 else low
    return (half >> np.uint64(16 * (3 - i % 4))) & np.uint64(0xFFFF)


@njit(cache=True, nogil=True)
def _put_ipv6(out, at, high, low):
    """RFC 5952, 4: the first of the longest runs of two or more groups of zeros is `::`."""
    gap = gap_end = run = 0
    for i in range(8):
        if _group(high, low, i) != 0:
            run = i + 1
        elif i + 1 - run > max(gap_end - gap, 1):
            gap, gap_end = run, i + 1
    i = 0
    while i < 8:
        if i == gap and gap_end > gap:
            out[at] = out[at + 1] = ord(":")
            at += 2
            i = gap_end
            continue
        if i > 0 and (i != gap_end or gap_end == gap):
            out[at] = ord(":")
            at += 1
        group = _group(high, low, i)
        for shift in (12, 8, 4, 0):
            digit = (group >> np.uint64(shift)) & np.uint64(15)
            if shift == 0 or group >> np.uint64(shift) != 0:
                out[at] = np.uint8(ord("0") if digit < 10 else ord("a") - 10) + np.uint8(digit)
                at += 1
        i += 1
    return at
