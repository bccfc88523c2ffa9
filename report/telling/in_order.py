"""The texts of all parts in the order of their ids, through a temporary file where there are several parts."""

import os
import tempfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from ...correlate.result.correlation import Correlation
from ...correlate.result.select import Selection
from ...errors import no_room
from .parts import Parts

_AT_ONCE: Final = 1 << 24
"""Bytes that are read back at once, unless a single text has more."""
_TOGETHER: Final = 1024
"""Texts that go into the temporary file at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The texts of some paths or connections, one behind the other."""

    ids: npt.NDArray[np.int64]
    data: memoryview
    """UTF-8."""
    start: npt.NDArray[np.int64]
    """Where each begins, and the last one ends."""

    @classmethod
    def of(cls, ids: list[int], texts: list[str]) -> "Texts":
        """Texts with their ids."""
        data = [text.encode() for text in texts]
        start = np.cumsum([0, *map(len, data)])
        return cls(ids=np.array(ids, np.int64), data=memoryview(b"".join(data)), start=start)


def in_order_of_ids(
    parts: Parts, pieces_of: Callable[[Correlation, Selection], Iterator[tuple[int, str]]], separator: str
) -> Iterator[str]:
    """The pieces of all parts by their ids, with the separator between them. `pieces_of` gives (id, text) of one part,
    ascending. Raises TtraceError when there is no room for a temporary file.
    """
    if parts.count == 1:
        every = (text for part in parts.each() for _, text in pieces_of(*part))
        yield from (separator + text if number else text for number, text in enumerate(every))
        return

    def texts_of(result: Correlation, selection: Selection) -> Iterator[Texts]:
        pieces = pieces_of(result, selection)
        while some := list(islice(pieces, _TOGETHER)):
            yield Texts.of([number for number, _ in some], [separator + text for _, text in some])

    unwanted = len(separator)
    for texts in _through_a_file(parts, texts_of):
        for text in texts:
            yield str(text, "utf-8")[unwanted:]
            unwanted = 0


def texts_in_order(parts: Parts, texts_of: Callable[[Correlation, Selection], Iterator[Texts]]) -> Iterator[memoryview]:
    """The texts of all parts by their ids, many in a piece; `texts_of` gives those of one part, ascending. Raises
    TtraceError when there is no room for a temporary file."""
    if parts.count == 1:
        return (texts.data for part in parts.each() for texts in texts_of(*part))
    return (memoryview(b"".join(texts)) for texts in _through_a_file(parts, texts_of))


def _through_a_file(
    parts: Parts, texts_of: Callable[[Correlation, Selection], Iterator[Texts]]
) -> Iterator[list[memoryview]]:
    """The texts of several parts by their ids. The parts follow each other in time only roughly."""
    with _spool_file() as spool:
        ids, start = _spool(spool, (texts for part in parts.each() for texts in texts_of(*part)))
        order = np.argsort(ids)
        ends = np.cumsum(np.diff(start)[order])
        for begin, end in pairwise(_cuts(ends)):
            yield _read_back(spool, order[begin:end], start)


def _cuts(ends: npt.NDArray[np.int64]) -> list[int]:
    """Where to divide texts that end there, so that those in between are read at once."""
    cuts = [0]
    while cuts[-1] < ends.size:
        before = int(ends[cuts[-1] - 1]) if cuts[-1] else 0
        cuts.append(max(int(np.searchsorted(ends, before + _AT_ONCE, side="right")), cuts[-1] + 1))
    return cuts


def _read_back(spool: IO[bytes], wanted: npt.NDArray[np.int64], start: npt.NDArray[np.int64]) -> list[memoryview]:
    """The wanted texts, in that order. What stands together in the file is read together: of each part one stretch."""
    ascending = np.sort(wanted)
    breaks = np.flatnonzero(np.diff(ascending) != 1) + 1
    first, last = ascending[np.append(0, breaks)], ascending[np.append(breaks, ascending.size) - 1]
    bounds = zip(start[first].tolist(), start[last + 1].tolist(), strict=True)
    data = b"".join(os.pread(spool.fileno(), end - begin, begin) for begin, end in bounds)
    sizes = start[ascending + 1] - start[ascending]
    begin = (np.cumsum(sizes) - sizes)[np.searchsorted(ascending, wanted)]
    end = begin + start[wanted + 1] - start[wanted]
    return list(map(memoryview(data).__getitem__, map(slice, begin.tolist(), end.tolist())))


@contextmanager
def _spool_file() -> Iterator[IO[bytes]]:
    """A temporary file without a name. What could not be written is not said once more when it is closed."""
    try:
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    except OSError as error:
        raise no_room(error) from error
    try:
        yield spool
    finally:
        with suppress(OSError):
            spool.close()


def _spool(spool: IO[bytes], texts: Iterator[Texts]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Write all texts; returns their ids and where each begins, and the last ends. Raises TtraceError when there is no
    room."""
    ids, start = array("q"), array("q", [0])  # there may be many millions
    for some in texts:
        try:
            spool.write(some.data)
        except OSError as error:
            raise no_room(error) from error
        ids.frombytes(some.ids.tobytes())
        start.frombytes((some.start[1:] + start[-1]).tobytes())
    try:
        spool.flush()
    except OSError as error:
        raise no_room(error) from error
    return np.array(ids), np.array(start)
