"""Results that come in parts, one in memory at a time; a small one is a single part."""

import os
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...correlate.result.correlation import Correlation
from ...correlate.result.select import Selection, check_numbers, select
from ...errors import no_room

if TYPE_CHECKING:
    from ...correlate.in_parts.result import PartedCorrelation


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What is to be reported."""

    parts: int
    each: Callable[[], Iterator[tuple[Correlation, Selection]]]
    """Goes through all parts, and what was chosen of them, from the start."""

    @classmethod
    def of_one(cls, result: Correlation, selection: Selection) -> "Views":
        """A result that is a single part."""
        return cls(parts=1, each=lambda: iter([(result, selection)]))

    @classmethod
    def chosen(
        cls,
        result: "Correlation | PartedCorrelation",
        *,
        expression: str | None = None,
        connections: Sequence[int] = (),
        paths: Sequence[int] = (),
        every_path: bool = False,
    ) -> "Views":
        """What is chosen of a result of any size; arguments and errors as for `select`."""

        def choose(part: Correlation) -> Selection:
            return select(part, expression=expression, connections=connections, paths=paths, every_path=every_path)

        if isinstance(result, Correlation):
            return cls.of_one(result, choose(result))
        check_numbers(connections, result.connections, "connection")
        check_numbers(paths, result.paths, "path")
        choose(result.part(0))  # what is wrong with the expression is said before anything is written
        return cls(parts=result.count, each=lambda: ((part, choose(part)) for part in result))


def in_order_of_ids(
    views: Views, pieces_of: Callable[[Correlation, Selection], Iterator[tuple[int, str]]], separator: str = ""
) -> Iterator[str]:
    """The pieces of all parts by their ids. `pieces_of` gives (id, text) of one part, ascending.

    The parts follow each other in time only roughly, so the text of several goes through a temporary file.
    """
    if views.parts == 1:
        yield from _separated((text for part in views.each() for _, text in pieces_of(*part)), separator)
        return
    with _spool_file() as spool:
        ids, bounds = _spool(spool, (piece for part in views.each() for piece in pieces_of(*part)))
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
