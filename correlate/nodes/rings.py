"""A ring of files (`ttrace capture --rotate-…`): one capture, whose files say of which ring they are, and which of it.

Their order is that of their numbers, whatever their names and the order in which they are given: a trace message
belongs to the header before it, which may be in the file before.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

from ...errors import TtraceError
from ...pcapng.read import CaptureFile
from .sources import Source

File = TypeVar("File")


class RingFile(NamedTuple):
    """Which file of which ring it is."""

    ring: str
    number: int


def ring_file(capture: CaptureFile) -> RingFile | None:
    """As the file says; None for one of no ring, and for what was made of several."""
    ring, number = capture.facts.get("ring"), capture.facts.get("number")
    if len(capture.sections) != 1 or not isinstance(ring, str) or not isinstance(number, int):
        return None
    return RingFile(ring, number)


def in_ring_order(
    captures: Sequence[CaptureFile], sources: Sequence[Source], files: Sequence[File]
) -> tuple[list[File], list[Source]]:
    """`files` (one for each capture) and sources, those of a ring by their numbers; all else stays where it is.

    Raises TtraceError where one is there twice: as a copy, or under two names.
    """
    places: dict[tuple[str, str | None], list[tuple[int, int]]] = {}
    for place, (capture, source) in enumerate(zip(captures, sources, strict=True)):
        if found := ring_file(capture):
            # One file may stand for several nodes.
            places.setdefault((found.ring, source.node), []).append((found.number, place))
    order = list(range(len(captures)))
    for numbered in places.values():
        by_number = sorted(numbered)
        for (number, one), (again, other) in pairwise(by_number):
            if number == again:
                raise TtraceError(
                    f"`{sources[one].path}` and `{sources[other].path}` are the same file of a ring",
                    "leave one out: each packet in it would be counted as two",
                )
        for place, (_, which) in zip(sorted(place for _, place in numbered), by_number, strict=True):
            order[place] = which
    return [files[which] for which in order], [sources[which] for which in order]
