"""Packets that came as far as can be seen: an answer tells whether an end took them.

A frame on the uplink is seen before the rules. Without a trace of the input hook, only what the destination sent back
shows that no rule dropped it. And wherever a packet was seen last, if nothing ever came back from there, nobody knows
whether there is an end at all.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import Direction
from ..arrays.grouping import first_with, group_ids
from ..decode.link_scope import is_link_chatter
from ..protocols import (
    ETHERTYPE_ARP,
    ICMPV6,
    ICMPV6_NEIGHBOUR_ADVERTISEMENT,
    ICMPV6_NEIGHBOUR_SOLICITATION,
    TCP,
    TCP_ACK,
    TCP_RST,
    TCP_SYN,
)
from ..schema import NOTE_CUT, NOTE_ERROR
from ..sightings import FRAME
from .kinds import Outcome, Outcomes, Reason, Verdicts
from .tables import Tables


def came_in_unanswered(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Turns `delivered` into `unknown` where a frame at a node's own interface is all there is."""
    last, sightings = tables.last, tables.sightings
    root = np.array([n.label == "root" and n.known for n in tables.topology.namespaces] or [False], np.bool_)
    bare = np.flatnonzero(
        (so_far.outcome == Outcome.DELIVERED)
        & (so_far.location >= 0)
        & (sightings["kind"][last] == FRAME)
        & root[sightings["namespace"][last]]
        & (sightings["direction"][last] == Direction.IN)
        & (sightings["ip_version"][last] > 0)
    )
    if bare.size == 0:
        return Verdicts.none()
    bare = bare[~_answered(tables, bare)]
    never = _asks(sightings.take(tables.first[bare])) & ~_has_other_way(tables)[bare]
    return Verdicts(paths=bare, outcome=Outcome.UNKNOWN, reason=np.where(never, Reason.UNANSWERED, Reason.ARRIVED))


def _answered(tables: Tables, paths: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Of these paths: the other way of its connection began in the namespace where it ends, later than it."""
    first, last, times_ns = tables.first, tables.last[paths], tables.times_ns
    # The last time that each connection's packets began in each namespace, per way.
    sent = _way_in_namespace(tables, first, tables.connections.forward[first])
    which, example = group_ids(sent)
    latest = np.full(example.size, np.iinfo(np.int64).min)
    np.maximum.at(latest, which, times_ns[first])
    at = first_with(sent[example], _way_in_namespace(tables, last, ~tables.connections.forward[last]))
    return (at >= 0) & (latest[np.maximum(at, 0)] >= times_ns[last])


def _way_in_namespace(
    tables: Tables, sightings: npt.NDArray[np.int64], forward: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint64]:
    """Connection, way and namespace of sightings (rows) in one number."""
    way = tables.connections.connection[sightings] * 2 + forward
    number = way * len(tables.topology.namespaces) + tables.sightings["namespace"][sightings]
    return number.astype(np.uint64)


def never_answered(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Turns `delivered` into `unknown` where the other side of the connection never said a word, or, of a SYN-ACK,
    nothing but its SYN.

    What goes to a group, and what says that something went wrong, is not answered by anybody.
    """
    sightings, first = tables.sightings, tables.first
    heads = sightings.take(first)
    reached = (so_far.outcome == Outcome.DELIVERED) & np.isin(so_far.reason, (Reason.NONE, Reason.SEGMENTED))
    solicits = (heads["protocol"] == ICMPV6) & (heads["icmp_type"] == ICMPV6_NEIGHBOUR_SOLICITATION)
    silent = reached & _asks(heads) & ~_has_other_way(tables)
    silent |= reached & solicits & ~_is_advertised(heads, solicits)
    silent |= reached & _accepts(heads) & ~_goes_on(tables, heads)
    return Verdicts(paths=np.flatnonzero(silent), outcome=Outcome.UNKNOWN, reason=Reason.UNANSWERED)


def _asks(heads: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Per path: somebody may answer it."""
    asks = ~is_link_chatter(heads) | (heads["ethertype"] == ETHERTYPE_ARP)
    return asks & ((heads["notes"] & NOTE_ERROR) == 0)


def _has_other_way(tables: Tables) -> npt.NDArray[np.bool_]:
    """Per path: its connection has packets of the other way."""
    way = tables.connections.connection[tables.first] * 2 + tables.connections.forward[tables.first]
    said = np.zeros(2 * tables.connections.count + 2, np.bool_)
    said[way[(tables.sightings["notes"][tables.first] & NOTE_ERROR) == 0]] = True
    return said[way ^ 1]


def _accepts(heads: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Per path: a SYN-ACK."""
    return (heads["protocol"] == TCP) & ((heads["tcp_flags"] & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))


def _goes_on(tables: Tables, heads: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Per path: the other way of its connection acknowledged or reset something. Who does nothing but repeat its SYN
    has not got the SYN-ACK."""
    way = tables.connections.connection[tables.first] * 2 + tables.connections.forward[tables.first]
    says = (heads["protocol"] == TCP) & ((heads["tcp_flags"] & (TCP_ACK | TCP_RST)) != 0)
    says |= (heads["notes"] & NOTE_CUT) != 0  # without its flags
    says &= (heads["notes"] & NOTE_ERROR) == 0
    said = np.zeros(2 * tables.connections.count + 2, np.bool_)
    said[way[says]] = True
    return said[way ^ 1]


def _is_advertised(heads: npt.NDArray[np.void], solicits: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Per path: somebody advertised the address that it is about, by the last bytes of it."""
    found = np.zeros(heads.size, np.bool_)
    if solicits.any():
        advertises = (heads["protocol"] == ICMPV6) & (heads["icmp_type"] == ICMPV6_NEIGHBOUR_ADVERTISEMENT)
        found[solicits] = np.isin(heads["sequence"][solicits], heads["sequence"][advertises])
    return found


def refused_by_its_end(tables: Tables, so_far: Outcomes) -> Verdicts:
    """A SYN that came as far as can be seen, and that is answered with RST: the end has it, and nobody listens there.

    Not where others went further on from the place where the RST comes from: a firewall answers like that as well.
    """
    sightings, first = tables.sightings, tables.first
    tcp = sightings["protocol"][first] == TCP
    flags = sightings["tcp_flags"][first]
    resets = np.flatnonzero(tcp & ((flags & (TCP_RST | TCP_ACK)) == (TCP_RST | TCP_ACK)))
    if resets.size == 0:
        return Verdicts.none()
    begins = np.flatnonzero(tcp & ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) & _as_far_as_seen(so_far))
    way = tables.connections.connection[first] * 2 + tables.connections.forward[first]
    number = tables.numbers("sequence", first[begins]).astype(np.int64) + 1 + sightings["payload_length"][first[begins]]
    wanted = ((way[begins] ^ 1) << 32) | (number % 2**32)
    refuses = (way[resets] << 32) | tables.numbers("acknowledgment", first[resets])
    refused = begins[np.isin(wanted, refuses)]
    further = _goes_further(tables, refused) & (so_far.location[refused] < 0)
    return Verdicts(
        paths=refused,
        outcome=np.where(further, Outcome.UNKNOWN, Outcome.DELIVERED),
        reason=Reason.REFUSED,
        location=so_far.location[refused],
    )


_NOT_SEEN_FURTHER: Final = (Reason.ARRIVED, Reason.UNANSWERED, Reason.NOT_CAPTURED, Reason.MAYBE_MISSED)


def _as_far_as_seen(so_far: Outcomes) -> npt.NDArray[np.bool_]:
    unknown = (so_far.outcome == Outcome.UNKNOWN) & np.isin(so_far.reason, _NOT_SEEN_FURTHER)
    return unknown | (so_far.outcome == Outcome.DELIVERED)


def _goes_further(tables: Tables, paths: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Per path: packets of any connection went on from its last place, to one where it has not been."""
    if tables.passages is None:
        raise ValueError("the passages of all parts are summed up first")
    return tables.passages.go_further(paths, *tables.bounds, tables.hops, tables.sightings)
