"""Equal packets that are not the explained one, and why not.

What packets/match.py and flows/ decided is only read here: two packets of one way with equal content were told apart by
a point that saw both, by their payloads, or by the order of time; those of another connection were never compared, for
nothing ties their flow to this one.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.rows import filtered
from ..flows.connections import Tie, rival_pairs
from ..packets.datagrams import is_datagram
from ..packets.points import point_keys
from ..result.correlation import Correlation
from ..result.values import Hop
from ..schema import ONE_PACKET_NS
from ..sightings import FRAME, of_kind
from .beside import Apart, compare_times
from .compared_fields import first_different_byte, payloads_contradict
from .flow_ties import voting_contents

_MOST_SHOWN: Final = 8
"""Of one kind; of the others only the number is told."""
_MOST_EXAMINED: Final = 32


class NotIt(StrEnum):
    """Why an equal packet is not the explained one."""

    PAYLOAD = "payload"
    """Their payloads differ."""
    CHECKSUM = "checksum"
    """One of the payloads was cut, but the checksums, less what NAT changes in them, say that they differ."""
    POINT = "point"
    """One point saw both, and a packet passes a point once in each direction."""
    TIME = "time"
    """They are more than two seconds apart."""
    DRAW = "draw"
    """Nothing but the order of time says which is which: ambiguous."""
    ORDER = "order"
    """At every point the n-th of them is the same packet."""
    DIRECTION = "direction"
    """It goes the other way of the same connection."""
    RIVAL = "rival"
    """Its connection may be this one behind a translation, but others fit as well, so none is joined."""
    REUSED = "reused"
    """The same addresses in the same namespace, but an earlier or later connection."""
    INSIDE = "inside"
    """The same addresses elsewhere, where they may be somebody else's: not on the wire between the nodes."""
    CONNTRACK = "conntrack"
    """Conntrack is recorded on both sides, and no entry translates the one flow into the other."""
    VOTES = "votes"
    """Their flows share too few packets to be one flow by content alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualPacket:
    """A packet with the same content that is in another path."""

    seen: Apart
    """Its sighting that is nearest in time, at a point that did not see the explained packet where there is one."""
    why: NotIt
    both: tuple[Hop, Hop] | None = None
    """Where a point saw both: the explained packet and this one there."""
    different_byte: int | None = None
    """Where payloads differ: offset of the first byte that does, if it was captured."""
    votes: int | None = None
    """Of another connection: packets that the two flows share …"""
    packets: int | None = None
    """… of so many that they could."""
    rivals: tuple[int, ...] = ()
    """Connections, by id, that this one may be as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualPackets:
    """Equal packets in other paths, the nearest in time first."""

    shown: tuple[EqualPacket, ...]
    more: int
    """So many others."""
    places: frozenset[tuple[int, int]]
    """(capture point, direction) of all of them."""


def equal_packets(result: Correlation, own: int, members: npt.NDArray[np.int64]) -> EqualPackets:
    """The packets with the content of the frame `own` that are not in its path; `members`: the sightings of that."""
    row = result.sightings[own]
    rows = np.flatnonzero(result.sightings["content"] == row["content"])
    rows = rows[result.packets.packet[rows] != result.packets.packet[own]]
    if is_datagram(row):
        # Its content is no more than an IP id.
        rows = rows[result.connections.way[rows] == result.connections.way[own]]
    nearest = _nearest_of_each_path(result, own, members, rows)
    of_kind: Counter[NotIt] = Counter()
    shown: list[EqualPacket] = []
    for sighting in nearest[:_MOST_EXAMINED].tolist():
        packet = _explain(result, own, members, rows, sighting)
        of_kind[packet.why] += 1
        if of_kind[packet.why] <= _MOST_SHOWN:
            shown.append(packet)
    seen = rows[result.sightings["kind"][rows] == FRAME]
    places = zip(result.sightings["place"][seen].tolist(), result.sightings["direction"][seen].tolist(), strict=True)
    return EqualPackets(shown=tuple(shown), more=int(nearest.size) - len(shown), places=frozenset(places))


def _nearest_of_each_path(
    result: Correlation, own: int, members: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """One of the `rows` of each path, the nearest path first: a frame, and where the explained packet was not seen."""
    distance = np.abs(result.times_ns[rows] - result.times_ns[own])
    known = np.isin(point_keys(result.sightings, rows), point_keys(result.sightings, members))
    path = result.packets.packet[rows]
    ranked = rows[np.lexsort((distance, known, result.sightings["kind"][rows] != FRAME, path))]
    path = result.packets.packet[ranked]
    first = ranked[np.append(True, path[1:] != path[:-1])[: path.size]]
    return first[np.argsort(np.abs(result.times_ns[first] - result.times_ns[own]), kind="stable")]


def _explain(
    result: Correlation, own: int, members: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], sighting: int
) -> EqualPacket:
    group = result.connections.way
    theirs = rows[result.packets.packet[rows] == result.packets.packet[sighting]]
    if group[sighting] == group[own]:
        return _of_this_direction(result, own, members, theirs, sighting)
    return _of_another(result, own, members, theirs, sighting)


def _of_this_direction(
    result: Correlation, own: int, members: npt.NDArray[np.int64], theirs: npt.NDArray[np.int64], sighting: int
) -> EqualPacket:
    seen = compare_times(result, own, sighting)
    other = _other_payload(result, members, theirs, seen)
    if other is not None:
        return other
    if _gap_ns(result, members, theirs) > ONE_PACKET_NS:
        return EqualPacket(seen=seen, why=NotIt.TIME)
    both = _shared_point(result, members, theirs)
    known = bool(np.isin(point_keys(result.sightings, np.array([sighting])), point_keys(result.sightings, members))[0])
    unsure = result.packets.ambiguous[result.packets.packet[[own, sighting]]]
    if unsure.all():
        return EqualPacket(seen=seen, why=NotIt.DRAW, both=both)
    return EqualPacket(seen=seen, why=NotIt.POINT if both and known else NotIt.ORDER, both=both)


def _of_another(
    result: Correlation, own: int, members: npt.NDArray[np.int64], theirs: npt.NDArray[np.int64], sighting: int
) -> EqualPacket:
    seen = compare_times(result, own, sighting)
    connection = result.connections.connection
    if connection[sighting] == connection[own]:
        return EqualPacket(seen=seen, why=NotIt.DIRECTION)
    other = _other_payload(result, members, theirs, seen)
    if other is not None:
        return other
    rivals = rivals_of(result, int(connection[own]))
    if int(connection[sighting]) + 1 in rivals:
        votes, packets = _rival_votes(result, int(connection[own]), int(connection[sighting]))
        return EqualPacket(seen=seen, why=NotIt.RIVAL, votes=votes, packets=packets, rivals=rivals)
    why = _why_not_joined(result, members, theirs)
    if why != NotIt.VOTES:
        return EqualPacket(seen=seen, why=why)
    votes, packets = _shared_packets(result, own, sighting)
    return EqualPacket(seen=seen, why=why, votes=votes, packets=packets)


def _why_not_joined(result: Correlation, members: npt.NDArray[np.int64], theirs: npt.NDArray[np.int64]) -> NotIt:
    own, other = result.sightings.take(members), result.sightings.take(theirs)
    same_addresses = np.isin(other["flow"], own["flow"])
    for row in filtered(other, same_addresses):
        if ((own["flow"] == row["flow"]) & (own["namespace"] == row["namespace"])).any():
            return NotIt.REUSED
    if _gap_ns(result, members, theirs) > ONE_PACKET_NS:
        return NotIt.TIME
    if same_addresses.any():
        return NotIt.INSIDE
    informed = np.array([n.has_conntrack for n in result.topology.namespaces], np.bool_)
    if informed[own["namespace"]].all() and informed[other["namespace"]].all():
        return NotIt.CONNTRACK
    return NotIt.VOTES


def _other_payload(
    result: Correlation, members: npt.NDArray[np.int64], theirs: npt.NDArray[np.int64], seen: Apart
) -> EqualPacket | None:
    """The answer where payloads, or what checksums say of them, differ."""
    own, other = (result.sightings.take(rows) for rows in (members, theirs))
    said = [(_first_said(rows["payload"]), _first_said(rows["residue"])) for rows in (own, other)]
    if not payloads_contradict(said[0], said[1]):
        return None
    if not (said[0][0] and said[1][0]):
        return EqualPacket(seen=seen, why=NotIt.CHECKSUM)
    whole = (int(rows[np.argmax(result.sightings["payload"][rows] != 0)]) for rows in (members, theirs))
    return EqualPacket(seen=seen, why=NotIt.PAYLOAD, different_byte=first_different_byte(result, *whole))


def _first_said(values: npt.NDArray[np.unsignedinteger]) -> np.unsignedinteger:
    """The first of the values that says something, else 0."""
    return values[np.argmax(values != 0)]


def _gap_ns(result: Correlation, members: npt.NDArray[np.int64], theirs: npt.NDArray[np.int64]) -> int:
    """Time between the nearest sightings of two packets."""
    distances = np.abs(result.times_ns[members][:, None] - result.times_ns[theirs][None, :])
    return int(distances.min())


def _shared_point(
    result: Correlation, members: npt.NDArray[np.int64], theirs: npt.NDArray[np.int64]
) -> tuple[Hop, Hop] | None:
    """The sightings of both packets at a point that saw both, a capture point if there is one."""
    own, other = point_keys(result.sightings, members), point_keys(result.sightings, theirs)
    common = np.flatnonzero(np.isin(own, other))
    if common.size == 0:
        return None
    first = common[np.argmin(result.sightings["kind"][members[common]] != FRAME)]
    mine, its = int(members[first]), int(theirs[np.argmax(other == own[first])])
    return result.hop_of(mine), result.hop_of(its)


def rivals_of(result: Correlation, connection: int) -> tuple[int, ...]:
    """Ids of the connections that this one (from 0) may be."""
    pairs = rival_pairs(result.connections)
    found = np.concatenate([pairs[pairs[:, 0] == connection, 1], pairs[pairs[:, 1] == connection, 0]])
    return tuple((np.unique(found) + 1).tolist())


def _rival_votes(result: Correlation, one: int, other: int) -> tuple[int, int]:
    """(packets that the two sessions share which fit best, packets that they could share)."""
    ends = result.connections.ties[Tie.RIVAL]
    of_session = result.connections.of_session()
    here = np.flatnonzero((of_session[ends >> 1] == [one, other]).all(axis=1))
    here = np.append(here, np.flatnonzero((of_session[ends >> 1] == [other, one]).all(axis=1)))
    votes = result.connections.votes[Tie.RIVAL][here]
    best = here[int(np.argmax(votes))]
    sessions = (ends[best] >> 1).tolist()
    sizes = [_contents_of_session(result, session).size for session in sessions]
    return int(votes.max()), min(sizes)


def _contents_of_session(result: Correlation, session: int) -> npt.NDArray[np.uint64]:
    return voting_contents(
        result, np.flatnonzero(result.connections.session[of_kind(result.sightings, FRAME)] == session)
    )


def _shared_packets(result: Correlation, own: int, other: int) -> tuple[int, int]:
    """(packets that the flows of two sightings share, packets that they could share)."""
    sessions = result.connections.session
    one, two = (_contents_of_session(result, int(sessions[sighting])) for sighting in (own, other))
    return int(np.intersect1d(one, two, assume_unique=True).size), min(one.size, two.size)
