"""A capture that another tool wrote as several files (`tcpdump -C -G -W`, the ring buffers of dumpcap): one point.

Names alone say nothing (`eth0.pcap` and `eth1.pcap` are two points), and neither do times, for clocks may be apart. So
files are pieces of one capture where their names differ in the parts that such tools count up, their interfaces are the
same, each begins when the one before has ended, and no frame stands in two of them. Each frame keeps its file and
number. The files of a ring of ttrace's own say that they are (rings.py).
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.chunks import ChunkedFile
from ...pcapng.read import CaptureFile, is_packet_interface
from ...pcapng.record_times import RecordTimes
from .frame_words import frame_words
from .rings import ring_file
from .sources import Source

_ENDING: Final = re.compile(r"\.(?:pcapng|pcap|ntar|cap|dump|dmp)(?=\d*$)")
_COMPRESSED: Final = re.compile(r"\.(?:gz|zst|lz4)$")
_COUNTED: Final = re.compile(r"\d{4,}(?:T\d+)?|(?<=[._:-])\d+(?:T\d+)?(?=$|[._:-])")
"""What tools count up in a name: dates, times, and numbers that stand alone. Those of `node1` do not."""
_BETWEEN: Final = re.compile(r"[._:-]{2,}")
_SAMPLE: Final = 1 << 14
"""Frames of each file that are looked for in the others."""
_SAME: Final = 3
"""So many frames in common are no accident, and neither are fewer of few: one that passes a point twice just when the
next file begins is."""
_MOST_NAMES: Final = 5
_DISORDER_NS: Final = 10_000_000
"""So much earlier may a file begin than the one before ends: frames are not stamped quite in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """One file, as far as it may be a piece of a capture."""

    number: int
    capture: CaptureFile
    span_ns: tuple[int, int]
    head: Callable[[], CaptureFile]
    """Its first frames."""


def name_pieces(captures: Sequence[CaptureFile], sources: Sequence[Source]) -> list[Source]:
    """The sources, those of the pieces of one capture with one name; and files that would be called alike for their
    names' sake, but are no such pieces, with names apart."""

    def piece(number: int) -> _Piece | None:
        capture = captures[number]
        span = RecordTimes.of(capture).span_ns
        return span and _Piece(
            number=number, capture=capture, span_ns=span,
            head=lambda: replace(capture, records=capture.records[:_SAMPLE]),
        )  # fmt: skip

    return _named(captures, sources, piece)


def name_files(files: Sequence[ChunkedFile], sources: Sequence[Source]) -> list[Source]:
    """The same for files that are read in pieces."""

    def piece(number: int) -> _Piece | None:
        span = files[number].times.span_ns
        return span and _Piece(
            number=number, capture=files[number].capture, span_ns=span,
            head=lambda: next(files[number].chunks(_SAMPLE)).capture,
        )  # fmt: skip

    return _named([chunked.capture for chunked in files], sources, piece)


def _named(
    captures: Sequence[CaptureFile], sources: Sequence[Source], piece_of: Callable[[int], _Piece | None]
) -> list[Source]:
    names = {Path(source.path).name for source in sources}
    alike: dict[tuple[object, ...], list[int]] = {}
    rings: dict[tuple[str, str | None], list[int]] = {}
    for number, source in enumerate(sources):
        if ring := ring_file(captures[number]):
            rings.setdefault((ring.ring, source.node), []).append(number)
            continue
        key = number if source.path == "-" or source.interface else common_name(source.path, names)
        alike.setdefault((source.node, Path(source.path).parent, key), []).append(number)
    groups = [[number] for numbers in alike.values() if len(numbers) == 1 for number in numbers]
    for numbers in alike.values():
        if len(numbers) > 1:
            pieces = [piece_of(number) for number in numbers]
            found = _follow_each_other([piece for piece in pieces if piece is not None])
            empty = [number for number, piece in zip(numbers, pieces, strict=True) if piece is None]
            # A file without packets, as `tcpdump -G` leaves it, is of the one capture that there is.
            groups += [[*found[0], *empty]] if len(found) == 1 else [*found, *([number] for number in empty)]
    groups += rings.values()
    named = list(sources)
    for group in groups:
        if len(group) > 1:
            for number in group:
                named[number] = replace(named[number], piece_of=group[0])
    _name(captures, named, groups)
    return named


def _name(captures: Sequence[CaptureFile], sources: list[Source], groups: list[list[int]]) -> None:
    """A name for each group of files that says none itself (in place): as short as tells it from the others."""
    unnamed = [group for group in groups if "node" not in captures[group[0]].facts and sources[group[0]].path != "-"]
    names = {group[0]: _names_of(sources, group) for group in unnamed}
    for _ in range(_MOST_NAMES - 1):
        chosen = [(sources[group[0]].node, names[group[0]][0]) for group in unnamed]
        again = [group for group, name in zip(unnamed, chosen, strict=True) if chosen.count(name) > 1]
        for group in again:
            names[group[0]] = names[group[0]][1:] if len(names[group[0]]) > 1 else names[group[0]]
    for group in unnamed:
        for number in group:
            sources[number] = replace(sources[number], stem_as=names[group[0]][0])


def _names_of(sources: Sequence[Source], group: list[int]) -> list[str]:
    """What a group may be called, the shortest first."""
    source, several = sources[group[0]], len(group) > 1
    path = Path(source.path)
    whole = (
        common_name(source.path, {Path(sources[n].path).name for n in group}) if several else _without_ending(path.name)
    )
    within = "-".join([*path.parts[-2:-1], ""])
    return [whole if several else source.stem, whole, path.name, within + whole, within + path.name]


def _without_ending(name: str) -> str:
    return _ENDING.split(_COMPRESSED.sub("", name))[0]


def common_name(path: str, names: Collection[str]) -> str:
    """What the names of the pieces of one capture have in common: without what counts them. `names`: those of all
    files. Behind a name without an ending numbers count where one file has none, as with `tcpdump -C -w name`."""
    name = Path(path).name
    if "." not in name and name.rstrip("0123456789") in names:
        return name.rstrip("0123456789")
    name = _without_ending(name)
    return _BETWEEN.sub("-", _COUNTED.sub("", name)).strip("._:-") or name


def _follow_each_other(pieces: list[_Piece]) -> list[list[int]]:
    """The pieces of one capture each, in the order of their times."""
    groups: list[list[_Piece]] = []
    words: dict[int, npt.NDArray[np.uint64]] = {}
    for piece in sorted(pieces, key=lambda piece: piece.span_ns):
        words[piece.number] = frame_words(piece.head())
        for group in groups:
            if _goes_on(group[-1], piece) and not any(
                _same_frames(words[other.number], words[piece.number]) for other in group
            ):
                group.append(piece)
                break
        else:
            groups.append([piece])
    return [[piece.number for piece in group] for group in groups]


def _goes_on(before: _Piece, after: _Piece) -> bool:
    shorter = min(end - start for start, end in (before.span_ns, after.span_ns))
    follows = after.span_ns[0] >= before.span_ns[1] - min(_DISORDER_NS, shorter // 100)
    return follows and _points(before.capture) == _points(after.capture)


def _points(capture: CaptureFile) -> list[tuple[object, ...]]:
    """What is known of its capture points."""
    return [
        (interface.name, interface.link_type, interface.filter, interface.mac, *sorted(interface.facts.items()))
        for interface in capture.interfaces
        if is_packet_interface(interface)
    ]


def _same_frames(one: npt.NDArray[np.uint64], other: npt.NDArray[np.uint64]) -> bool:
    """Whether frames of one stand in the other as well: that is another point, whose clock is apart."""
    common = np.intersect1d(one, other).size
    return common >= _SAME or 20 * common > min(one.size, other.size)
