"""Datagrams in pieces that were never whole: which piece is missing, and where it was last seen."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from ..arrays.grouping import hashed
from ..decode.fragments import pieces_of
from ..outcomes.coverage import missed, watch_of_point
from ..outcomes.kinds import Outcome
from ..protocols import (
    FRAGMENT_OFFSET,
    ICMP,
    ICMP_TIME_EXCEEDED,
    ICMPV6,
    ICMPV6_TIME_EXCEEDED,
    REASSEMBLY_EXCEEDED,
)
from ..sightings import FRAME, PIECES
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen, many
from .words import frame_evidence, frames_of, node_of, place_of, subject_of

_MORE: Final = 0x2000
"""The flag of a fragment that is not the last (RFC 791, 3.1)."""
_UNIT: Final = 8
"""Bytes that the fragment offset counts in."""
_HEADER: Final = {4: 20, 6: 48}
"""Least bytes in front of a piece, by IP version."""
_LATE_NS: Final = 1_000_000_000
"""A piece that was on its way would have come by then."""


class _Pieces(NamedTuple):
    """Pieces as frames show them, in the order of their paths, places and bytes."""

    path: Rows
    sighting: Rows
    start: Rows
    """Bytes of the datagram: from where, to where."""
    stop: Rows
    is_last: Mask


def fragment_missing(facts: Facts) -> Iterator[Seen]:
    """`fragment_missing`."""
    seen = facts.result.sightings
    if not facts.result.marks & PIECES or pieces_of(seen).size == 0:
        return
    pieces = _pieces(facts)
    here = _at_last_place(facts, pieces)
    whole = _whole(facts, pieces, here)
    asked = np.unique(pieces.path[here])
    lacking = asked[~whole[asked] & facts.own[asked] & _counts(facts, asked)]
    found: dict[str, list[tuple[int, int, str]]] = {}
    for path in lacking[:_MOST].tolist():
        mine = np.arange(*np.searchsorted(pieces.path, (path, path + 1)))
        missing, last = _missing(facts, pieces, mine, here)
        if last < 0 and not _is_told_by_others(facts, path, whole, asked):
            continue
        before = f"last seen at {place_of(facts, seen[last])}" if last >= 0 else "seen nowhere"
        found.setdefault(before, []).append((path, last, missing))
    for before, some in found.items():
        paths = np.array([path for path, _, _ in some], np.int64)
        last_of = {path: (last, missing) for path, last, missing in some}
        server, said = facts.asked[facts.result.connection_of_path[paths]], _given_up(facts, paths)
        for one in groups(facts, paths, seen["place"][facts.last_frame[paths]], server, said):
            yield _fragment(facts, one, before, *last_of[int(one[0])])


_MOST: Final = 1 << 12
"""Datagrams in pieces that are looked at one by one."""


def _pieces(facts: Facts) -> _Pieces:
    hops, seen = facts.result.hops, facts.result.sightings
    shown = np.flatnonzero((seen["fragment"][hops["sighting"]] != 0) & (seen["kind"][hops["sighting"]] == FRAME))
    path, sighting = hops["packet"][shown].astype(np.int64), hops["sighting"][shown].astype(np.int64)
    rows = seen.take(sighting)
    start = (rows["fragment"] & FRAGMENT_OFFSET).astype(np.int64) * _UNIT
    stop = start + rows["length"] - np.where(rows["ip_version"] == 4, _HEADER[4], _HEADER[6])
    order = np.lexsort((stop, start, rows["direction"], rows["place"], path))
    is_last = (rows["fragment"] & _MORE) == 0
    return _Pieces(path[order], sighting[order], start[order], stop[order], is_last[order])


def _at_last_place(facts: Facts, pieces: _Pieces) -> Mask:
    """Which of them are where their datagram was last seen, if it was in pieces there."""
    seen, final = facts.result.sightings, facts.last[pieces.path]
    here = (seen["fragment"][final] != 0) & (seen["kind"][final] == FRAME)
    for name in ("place", "direction"):
        here &= seen[name][pieces.sighting] == seen[name][final]
    return here


def _whole(facts: Facts, pieces: _Pieces, here: Mask) -> Mask:
    """Per path: its pieces at the last place follow each other from the first byte to the last."""
    path, start, stop = (column[here] for column in (pieces.path, pieces.start, pieces.stop))
    is_last = pieces.is_last[here]
    found = np.zeros(facts.own.size, np.bool_)
    if path.size == 0:
        return found
    new, end = np.append(True, path[1:] != path[:-1]), np.append(path[1:] != path[:-1], True)
    reach = _running_max(path, stop)
    joined = np.append(False, start[1:] <= reach[:-1]) | new
    good = joined & np.where(new, start == 0, True) & np.where(end, is_last, True)
    heads = np.flatnonzero(new)
    found[path[heads]] = np.logical_and.reduceat(good, heads)
    return found


def _running_max(path: Rows, stop: Rows) -> Rows:
    """The largest `stop` so far of each path."""
    large = np.int64(1) << 32
    _, number = np.unique(path, return_inverse=True)
    return np.maximum.accumulate(stop + number * large) - number * large


def _counts(facts: Facts, paths: Rows) -> Mask:
    """Of these paths: nothing dropped it as a whole, the captures lost nothing there then, and went on for long
    enough; its connection did not come to its end all the same."""
    result = facts.result
    last_ns = result.times_ns[facts.last[paths]]
    found = (result.outcomes.outcome[paths] != Outcome.DROPPED) | _given_up(facts, paths)
    found &= (facts.until_ns[result.connection_of_path[paths]] - last_ns >= _LATE_NS) & ~facts.on_link[paths]
    found &= ~facts.complete[result.connection_of_path[paths]]
    place = result.sightings["place"][facts.last[paths]]
    for one in np.unique(place).tolist():
        at = np.flatnonzero(place == one)
        watch = watch_of_point(result.coverage, result.topology, one)
        by = missed([watch], facts.begin_ns[paths[at]], last_ns[at] + _LATE_NS)
        answered = facts.replies[result.connection_of_path[paths[at]]] > 0
        found[at] &= ~by.lost & ~by.filtered & ~(by.uncounted & answered)
    return found


def _given_up(facts: Facts, paths: Rows) -> Mask:
    """Of these paths: an ICMP error says that its pieces did not come in time; it quotes the IP id of one."""
    connection, told = facts.result.connection_of_path, np.zeros(facts.own.size, np.bool_)
    for protocol, kind in _IN_TIME.items():
        told |= (facts.head("protocol") == protocol) & (facts.head("icmp_type") == kind)
    errors = np.flatnonzero(told & ~facts.own & (facts.head("icmp_code") == REASSEMBLY_EXCEEDED))
    quoted = facts.head("acknowledgment")[errors] & 0xFFFF
    known = hashed(connection[errors], quoted)
    ids = np.where(facts.head("ip_version")[paths] == 6, np.uint16(0), facts.head("ip_id")[paths])
    return np.isin(hashed(connection[paths], ids), known)


_IN_TIME: Final = {ICMP: ICMP_TIME_EXCEEDED, ICMPV6: ICMPV6_TIME_EXCEEDED}


def _missing(facts: Facts, pieces: _Pieces, mine: Rows, here: Mask) -> tuple[str, int]:
    """(the first bytes that are not there, in words; the sighting of a piece that has them elsewhere, the last; -1
    where none is seen)."""
    present = mine[here[mine]]
    reach = 0
    for row in present.tolist():
        if pieces.start[row] > reach:
            break
        reach = max(reach, int(pieces.stop[row]))
    behind = [int(start) for start in pieces.start[present] if start > reach]
    words = f"bytes {reach:,} to {min(behind) - 1:,}" if behind else f"what comes behind byte {reach:,}"
    has = mine[~here[mine] & (pieces.start[mine] <= reach) & (pieces.stop[mine] > reach)]
    if has.size == 0:
        return words, -1
    times_ns = facts.result.times_ns[pieces.sighting[has]]
    return words, int(pieces.sighting[has[np.argmax(times_ns)]])


def _is_told_by_others(facts: Facts, path: int, whole: Mask, asked: Rows) -> bool:
    """A piece that is seen nowhere may be what a filter does not show. It is missing if the end said so, or if nobody
    answered and other datagrams of the connection are shown whole."""
    connection = facts.result.connection_of_path
    if _given_up(facts, np.array([path])).any():
        return True
    same = asked[(connection[asked] == connection[path]) & (facts.forward[asked] == facts.forward[path])]
    return bool(whole[same].any()) and not facts.replies[connection[path]]


def _fragment(facts: Facts, paths: Rows, before: str, last: int, missing: str) -> Seen:
    first = int(paths[0])
    frame = facts.result.sightings[int(facts.last_frame[first])]
    at = place_of(facts, frame)
    said = bool(_given_up(facts, paths).any())
    told = "; the end gave up waiting for it, with an ICMP error" if said else ""

    def say(extent: Extent) -> str:
        return (
            f"{many(extent.packets, 'datagram')} of {extent.flow} never came whole to {at}: a fragment is missing "
            f"({'of the first of them ' if extent.packets > 1 else ''}{missing}), {before}{told}"
        )

    elsewhere = (frame_evidence(facts, facts.result.sightings[last]),) if last >= 0 else ()
    return Seen(
        kind=Kind.FRAGMENT_MISSING, key=(at, before, said, _server(facts, first)), say=say, paths=paths,
        subject=subject_of(facts, paths), time_ns=int(facts.begin_ns[first]), node=node_of(facts, first),
        confidence=1.0 if said else 0.95 if last >= 0 else 0.7,
        evidence=(*elsewhere, *frames_of(facts, first, most=1)),
    )  # fmt: skip


def _server(facts: Facts, path: int) -> int:
    return int(facts.asked[facts.result.connection_of_path[path]])
