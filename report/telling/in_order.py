"""The pieces of all parts in the order of their ids, through a temporary file where there are several parts."""

import os
import tempfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

import numpy as np
import numpy.typing as npt

from ...correlate.result.correlation import Correlation
from ...correlate.result.select import Selection
from ...errors import no_room
from .parts import Parts


def in_order_of_ids(
    parts: Parts, pieces_of: Callable[[Correlation, Selection], Iterator[tuple[int, str]]], separator: str
) -> Iterator[str]:
    """The pieces of all parts by their ids, with the separator between them. `pieces_of` gives (id, text) of one part,
    ascending. Raises TtraceError when there is no room for a temporary file.

    The parts follow each other in time only roughly, so the text of several goes through a temporary file.
    """
    if parts.count == 1:
        yield from _separated((text for part in parts.each() for _, text in pieces_of(*part)), separator)
        return
    with _spool_file() as spool:
        ids, bounds = _spool(spool, (piece for part in parts.each() for piece in pieces_of(*part)))
        whole = (
            os.pread(spool.fileno(), int(bounds[i + 1] - bounds[i]), int(bounds[i])).decode() for i in np.argsort(ids)
        )
        yield from _separated(whole, separator)


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


def _spool(spool: IO[bytes], pieces: Iterator[tuple[int, str]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Write all pieces; returns their ids and where each begins, and the last ends. Raises TtraceError when there is no
    room."""
    ids, bounds = array("q"), array("q", [0])  # there may be many millions
    for number, text in pieces:
        data = text.encode()
        try:
            spool.write(data)
        except OSError as error:
            raise no_room(error) from error
        ids.append(number)
        bounds.append(bounds[-1] + len(data))
    try:
        spool.flush()
    except OSError as error:
        raise no_room(error) from error
    return np.array(ids), np.array(bounds)


def _separated(texts: Iterator[str], separator: str) -> Iterator[str]:
    for number, text in enumerate(texts):
        yield separator + text if number else text
