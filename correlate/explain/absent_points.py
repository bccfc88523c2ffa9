"""Capture points that did not see a packet: whether they could have, and what they saw instead."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ..outcomes.coverage import missed, watch_of_point
from ..protocols import TCP
from ..result.correlation import Correlation
from ..result.words import DIRECTIONS
from ..schema import NOTE_ERROR, ONE_PACKET_NS
from ..sightings import FRAME, frames, of_kind
from .beside import Apart, compare_times
from .compared_fields import Difference, differences

_MOST_NEAR: Final = 2
"""Packets shown of one point."""
_TELLING_BYTES: Final = 16
"""Of a payload that is hardly the same by chance."""


class Absence(StrEnum):
    """Why a point has no sighting of the packet, as far as the captures say."""

    BEFORE = "before"
    """The captures there begin later."""
    AFTER = "after"
    """The captures there end earlier."""
    CAPTURE_LOST = "capture-lost"
    """The capture there lost packets around that time."""
    EQUAL = "equal"
    """Equal packets were seen there, but they are others (equal_packets.py)."""
    OTHERS = "others"
    """Other packets were seen there that come near it (`near`), none with equal content."""
    OTHER_DIRECTION = "other-direction"
    """Only the other direction of the connection was seen there."""
    FILTERED = "filtered"
    """Nothing of the connection was seen there, and the capture has a filter."""
    NOTHING = "nothing"
    """Nothing of the connection was seen there."""


class Nearness(StrEnum):
    """What other packets have in common with the explained one."""

    CONNECTION = "connection"
    """The direction of the connection."""
    ADDRESSES = "addresses"
    """Addresses and ports, in another connection: nothing ties the two."""
    WORDS = "words"
    """In another connection, under other addresses: TCP's sequence and acknowledgment numbers, or else the payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearPacket:
    """Another packet, at a point that did not see the explained one."""

    seen: Apart
    differences: tuple[Difference, ...]
    """The compared fields in which it differs; the most telling first."""
    shared_bytes: int
    """TCP: so many bytes of the explained packet's payload are in this one too, by their sequence numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentPoint:
    """A capture point (and direction) that did not see the packet."""

    node: str
    netns: str
    interface: str
    direction: str | None
    """None where nothing of this direction of the connection passes."""
    why: Absence
    off_ns: int | None
    """BEFORE, AFTER: how far the packet is outside of what the capture covers."""
    filter: str | None
    packets: int
    """All that was captured there."""
    near: tuple[NearPacket, ...]
    """Of the others there, those that carry some of its bytes, else the nearest in time."""
    nearness: Nearness | None
    """What those have in common with it."""
    with_its_bytes: int
    """TCP: so many of those carry some of its bytes."""


def absent_points(
    result: Correlation, own: int, members: npt.NDArray[np.int64], equal: frozenset[tuple[int, int]]
) -> tuple[AbsentPoint, ...]:
    """Where the packet of the frame `own` was not seen; points that see its connection first.

    `members`: its sightings; `equal`: (capture point, direction) where equal packets were seen.
    """
    seen = frames(result.sightings)
    totals = np.bincount(seen["place"], minlength=len(result.topology.points))
    here = set(_spots(result, members[result.sightings["kind"][members] == FRAME]))
    places = {place for place, _ in here}
    found = []
    for nearness, rows in _others(result, own, members).items():
        spots = _spots(result, rows)
        # The other direction of a point that saw it counts only where the connection goes that way.
        told = here if nearness == Nearness.CONNECTION else {spot for spot in spots if spot[0] in places}
        for place, direction in (spot for spot in spots if spot not in told):
            there = rows[(seen["place"][rows] == place) & (seen["direction"][rows] == direction)]
            point = _absent_point(result, own, (place, direction), there, equal, int(totals[place]))
            found.append(replace(point, nearness=nearness if point.near else None))
        places |= {place for place, _ in spots}
    known = _places_of_connection(result, own)
    for place in sorted(_captured(result) - places, key=lambda place: (place not in known, place)):
        nothing = np.empty(0, np.int64)
        absent = _absent_point(result, own, (place, None), nothing, equal, int(totals[place]))
        if place in known and absent.why in (Absence.NOTHING, Absence.FILTERED):
            absent = replace(absent, why=Absence.OTHER_DIRECTION)
        found.append(absent)
    return tuple(found)


def _spots(result: Correlation, rows: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """(capture point, direction) of frames, each once and in order."""
    seen = result.sightings.take(rows)
    return sorted(set(zip(seen["place"].tolist(), seen["direction"].tolist(), strict=True)))


def _others(result: Correlation, own: int, members: npt.NDArray[np.int64]) -> dict[Nearness, npt.NDArray[np.int64]]:
    """Frames of other packets by what they have in common with the frame `own`, the most first."""
    row, seen = result.sightings[own], frames(result.sightings)
    group = result.connections.way[: seen.size]
    flows = result.sightings["flow"][members]
    same_way = np.flatnonzero(group == group[own])
    same_addresses = np.flatnonzero(np.isin(seen["flow"], flows))
    telling = "sequence" if row["protocol"] == TCP else "payload"
    same_words = np.flatnonzero(seen[telling] == row[telling])
    there = seen.take(same_words)
    same = (there["protocol"] == row["protocol"]) & (there["payload_length"] == row["payload_length"])
    same &= np.abs(result.times_ns[same_words] - result.times_ns[own]) <= ONE_PACKET_NS
    if row["protocol"] == TCP:
        same &= there["acknowledgment"] == row["acknowledgment"]
    else:
        same &= (row["payload"] != 0) & (row["payload_length"] >= _TELLING_BYTES)
    same_words = same_words[same & ~np.isin(there["flow"], flows)]
    found = {}
    for nearness, rows in zip(Nearness, (same_way, same_addresses, same_words), strict=True):
        kept = result.packets.packet[rows] != result.packets.packet[own]
        kept &= (seen["notes"][rows] & NOTE_ERROR) == (row["notes"] & NOTE_ERROR)
        if nearness != Nearness.CONNECTION:
            # What has equal content is told by equal_packets.py.
            kept &= (group[rows] != group[own]) & (seen["content"][rows] != row["content"])
        found[nearness] = rows[kept]
    return found


def _captured(result: Correlation) -> set[int]:
    """The capture points of all files."""
    return {
        place
        for places, file in zip(result.topology.places, result.files, strict=True)
        for place, captured in zip(places.tolist(), file.captures_packets, strict=True)
        if captured
    }


def _places_of_connection(result: Correlation, own: int) -> set[int]:
    connection = result.connections.connection[of_kind(result.sightings, FRAME)]
    rows = np.flatnonzero(connection == connection[own])
    return set(np.unique(result.sightings["place"][rows]).tolist())


def _absent_point(
    result: Correlation,
    own: int,
    spot: tuple[int, int | None],
    rows: npt.NDArray[np.int64],
    equal: frozenset[tuple[int, int]],
    packets: int,
) -> AbsentPoint:
    """`spot`: capture point and direction; `rows`: frames there that come near it; `packets`: all that were captured
    there."""
    place, direction = spot
    point = result.topology.points[place]
    why, off_ns = _coverage(result, own, place)
    if why is None:
        directions = [direction] if direction is not None else range(len(DIRECTIONS))
        if any((place, one) in equal for one in directions):
            why = Absence.EQUAL
        elif rows.size:
            why = Absence.OTHERS
        else:
            why = Absence.FILTERED if point.filter else Absence.NOTHING
    overlap = _shared_bytes(result, own, rows)
    near = _nearest(result, own, rows, overlap) if why != Absence.EQUAL else ()
    return AbsentPoint(
        node=point.node,
        netns=result.topology.namespaces[point.namespace].label,
        interface=point.interface,
        direction=DIRECTIONS[direction] if direction is not None else None,
        why=why,
        off_ns=off_ns,
        filter=point.filter,
        packets=packets,
        near=near,
        nearness=None,
        with_its_bytes=int((overlap > 0).sum()) if near else 0,
    )


def _coverage(result: Correlation, own: int, place: int) -> tuple[Absence | None, int | None]:
    """Whether the captures of a point covered the time of the frame `own`; if not, how far off it is (ns)."""
    watch = watch_of_point(result.coverage, result.topology, place)
    time_ns = result.times_ns[own : own + 1]
    by = missed([watch], time_ns, time_ns)
    if by.not_running.any() and watch.spans:
        before = [(begin - int(time_ns[0]), Absence.BEFORE) for begin, _ in watch.spans if time_ns[0] < begin]
        after = [(int(time_ns[0]) - end, Absence.AFTER) for _, end in watch.spans if time_ns[0] > end]
        off_ns, why = min(before + after)
        return why, off_ns
    return (Absence.CAPTURE_LOST if by.lost.any() else None), None


def _shared_bytes(result: Correlation, own: int, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Per row: bytes of the TCP payload of the frame `own` that it carries too.

    Sequence numbers wrap (RFC 9293, 3.4).
    """
    row, others = result.sightings[own], result.sightings.take(rows)
    size = int(row["payload_length"])
    offset = (others["sequence"].astype(np.int64) - int(row["sequence"]) + 2**31) % 2**32 - 2**31
    begin, end = np.maximum(offset, 0), np.minimum(offset + others["payload_length"], size)
    comparable = (others["protocol"] == TCP) & (row["protocol"] == TCP)
    return np.where(comparable, np.maximum(end - begin, 0), 0)


def _nearest(
    result: Correlation, own: int, rows: npt.NDArray[np.int64], overlap: npt.NDArray[np.int64]
) -> tuple[NearPacket, ...]:
    """Of the rows with some of its bytes, or of all where none has any: the nearest before and after it in time."""
    which = np.flatnonzero(overlap > 0) if (overlap > 0).any() else np.arange(rows.size)
    distance = result.times_ns[rows[which]] - result.times_ns[own]
    ranked = which[np.argsort(np.abs(distance), kind="stable")]
    later = result.times_ns[rows[ranked]] >= result.times_ns[own]
    both_sides = np.append(ranked[later][:1], ranked[~later][:1])
    chosen = both_sides if both_sides.size == _MOST_NEAR else ranked[:_MOST_NEAR]
    return tuple(
        NearPacket(
            seen=compare_times(result, own, int(rows[i])),
            differences=differences(result, own, int(rows[i])),
            shared_bytes=int(overlap[i]),
        )
        for i in sorted(chosen.tolist(), key=lambda i: int(result.times_ns[rows[i]]))
    )
