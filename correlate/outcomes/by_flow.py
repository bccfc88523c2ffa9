"""Outcomes where nothing is known but the packets: how far a packet came, compared with the others of its flow.

Without snapshots nobody says where a flow ends. The points that its packets reached tell: one that stopped before the
last of them was lost in between, if the capture there was running and complete.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import distinct
from ..flows.connections import Connections, rival_pairs
from ..protocols import TCP, TCP_ACK, TCP_SYN
from ..sightings import EVALUATION, FRAME
from .coverage import Watch, unseen, watch_of_point, watches_in_namespace
from .kinds import Outcome, Outcomes, Reason, Verdicts
from .passages import PLACES, SPOTS, Passages, destinations, spots
from .tables import Tables

_SOME: Final = 0.15
"""Part of a direction's packets that end where it is bound for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flows:
    """The paths, grouped by the direction of their connection."""

    group: npt.NDArray[np.int64]
    """Of each path."""
    ends: npt.NDArray[np.int64]
    """Spot of the last hop of each path."""
    hops: npt.NDArray[np.int64]
    """Of each path: how many."""
    usual: npt.NDArray[np.int64]
    """Per group: where the longest of its paths end."""
    most: npt.NDArray[np.int64]
    """Per group: hops of those."""
    origin: npt.NDArray[np.int64]
    """Per group: where the longest of its paths begin."""
    only_syn: npt.NDArray[np.bool_]
    """Per group: nothing but SYNs."""
    opposite: npt.NDArray[np.int64]
    """Per group: that of the other direction, -1 when none was seen."""
    path_of_hop: npt.NDArray[np.int64]
    spot_of_hop: npt.NDArray[np.int64]

    @classmethod
    def of(cls, tables: Tables) -> "_Flows":
        """Of all paths."""
        start, last = tables.bounds
        sightings = tables.sightings
        heads, group = _number_ways(tables.connections.way[tables.first])
        hops = last - start + 1
        ends = spots(sightings, tables.last)
        spot = spots(sightings, tables.hops["sighting"])
        usual, most = _farthest(group, ends, hops)
        syn = _only_syn(group, usual.size, sightings["protocol"][tables.first], sightings["tcp_flags"][tables.first])
        return cls(
            group=group, ends=ends, hops=hops, usual=usual, most=most, origin=_farthest(group, spot[start], hops)[0],
            only_syn=syn, opposite=_opposites(tables.connections, tables.first[heads]),
            path_of_hop=np.repeat(np.arange(start.size), hops), spot_of_hop=spot,
        )  # fmt: skip


def compared_with_its_flow(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Packets that end where no snapshot describes the namespace: arrived where the others end, or lost before."""
    known = np.array([n.known for n in tables.topology.namespaces] or [True], np.bool_)
    in_question = ~known[tables.sightings["namespace"][tables.last]] & (so_far.outcome == Outcome.UNKNOWN)
    if not in_question.any():
        return Verdicts.none()
    if tables.passages is None:
        raise ValueError("the passages of all parts are summed up first")
    flows = _Flows.of(tables)
    bound = _bound_for(flows, tables, tables.passages)
    in_question &= _seen_to_leave(flows, tables, bound)
    reached = _reached(flows, bound)
    arrived = np.flatnonzero(in_question & reached)
    # As far as can be seen; a SYN that nobody answers may have been dropped there.
    unanswered = (flows.only_syn & (flows.opposite < 0))[flows.group[arrived]]
    # What goes on as one of several others may have gone on.
    contested = np.isin(tables.connections.connection[tables.first], rival_pairs(tables.connections))
    stopped = np.flatnonzero(in_question & ~reached & ~contested)
    missed = unseen(
        lambda spot: _watches_of(tables, spot), bound[flows.group[stopped]], tables.times_ns[tables.last[stopped]]
    )
    return Verdicts(
        paths=arrived,
        outcome=np.where(unanswered, Outcome.UNKNOWN, Outcome.DELIVERED),
        reason=np.where(unanswered, Reason.UNANSWERED, Reason.NONE),
    ).and_(Verdicts.lost(stopped, Reason.WIRE, missed))


def _watches_of(tables: Tables, spot: int) -> list[Watch]:
    """How the spot was watched where packets would have been next."""
    kind, place = divmod(spot, PLACES)
    if kind == FRAME:
        return [watch_of_point(tables.coverage, tables.topology, place)]
    if kind == EVALUATION:
        chains = tables.evaluations.chains
        return watches_in_namespace(tables.coverage, tables.topology, chains[place % len(chains)].namespace)
    return [Watch(spans=[], gaps=[], filtered=False)]


def _bound_for(flows: _Flows, tables: Tables, passages: Passages) -> npt.NDArray[np.int64]:
    """Per group: the spot where its packets are bound for, also when none of them got there."""
    # Only a client that does nothing but send its SYN has heard nothing from the other side.
    unheard = np.where((flows.opposite >= 0) & flows.only_syn[flows.opposite], flows.opposite, -1)
    bound = _at_least_to_the_sender(flows, unheard, passages)
    return _like_others(flows, bound, tables, passages)


def _seen_to_leave(flows: _Flows, tables: Tables, bound: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Per path: its group is known to leave the machine.

    One file alone, by whatever number of interfaces, does not show that a packet did.
    """
    files = tables.sightings["file"]
    leaves = bound != flows.usual
    in_two = (files[tables.first] != files[tables.last]) & (flows.ends == flows.usual[flows.group])
    leaves[flows.group[in_two]] = True
    return leaves[flows.group]


def _reached(flows: _Flows, bound: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Per path: it came to where it is bound for, in whatever order its hops came out: two files cannot tell a
    microsecond."""
    reached = np.zeros(flows.group.size, np.bool_)
    reached[flows.path_of_hop[flows.spot_of_hop == bound[flows.group][flows.path_of_hop]]] = True
    # By another interface of the same machine it came as far.
    return reached | ((bound == flows.usual)[flows.group] & (flows.hops >= flows.most[flows.group]))


def _number_ways(
    way: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(first row of each direction, ascending; which of these directions each row has)."""
    rows = np.arange(way.size)
    first = np.full(int(way.max()) + 1, -1)
    first[way[::-1]] = rows[::-1]  # what is written last stays
    heads = first >= 0
    return first[heads], (np.cumsum(heads) - 1)[way]


def _farthest(
    group: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], hops: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Per group: where the longest of its paths end, and their hops; not where only a few of them do, for a switch
    may have flooded those."""
    size = int(ends.max()) + 1
    pair, which = distinct(group * size + ends)
    count = np.bincount(which, minlength=pair.size)
    longest = np.zeros(pair.size, np.int64)
    np.maximum.at(longest, which, hops)
    owner, end = np.divmod(pair, size)
    few = count < _SOME * np.bincount(group)[owner]
    best = np.lexsort((-count, -longest, few, owner))
    firsts = best[np.flatnonzero(np.append(True, owner[best][1:] != owner[best][:-1]))]
    return end[firsts], longest[firsts]


def _only_syn(
    group: npt.NDArray[np.int64], groups: int, protocol: npt.NDArray[np.uint8], tcp_flags: npt.NDArray[np.uint16]
) -> npt.NDArray[np.bool_]:
    """Per group: nothing but SYNs. `protocol`, `tcp_flags`: of each path."""
    bare_syn = (protocol == TCP) & ((tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
    only_syn = np.ones(groups, np.bool_)
    only_syn[group[~bare_syn]] = False
    return only_syn


def _opposites(connections: Connections, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Per group, the group of the other direction, -1 when none was seen; `rows`: a sighting of each group."""
    way = connections.connection[rows] * 2 + connections.forward[rows]
    order = np.argsort(way)
    at = np.minimum(np.searchsorted(way[order], way ^ 1), rows.size - 1)
    return np.where(way[order][at] == way ^ 1, order[at], -1)


def _at_least_to_the_sender(
    flows: _Flows, opposite: npt.NDArray[np.int64], passages: Passages
) -> npt.NDArray[np.int64]:
    """Per group: where the packets of the other direction come from, if packets of other connections are seen to go
    there from where these end: the first answer of a server can be lost like any other. Else where these end.

    `opposite`: as in _Flows, of those that this is asked of.
    """
    source = np.where(opposite >= 0, flows.origin[opposite], -1)
    can_go = (source >= 0) & np.isin(flows.usual * SPOTS + source, passages.joined)
    group = flows.group[flows.path_of_hop]
    reached = np.zeros(source.size, np.bool_)
    reached[group[flows.spot_of_hop == source[group]]] = True
    return np.where(can_go & ~reached & (source != flows.usual), source, flows.usual)


def _like_others(
    flows: _Flows, bound: npt.NDArray[np.int64], tables: Tables, passages: Passages
) -> npt.NDArray[np.int64]:
    """The same for those that nobody answered: where nearly all others to their destination go on to, these had to
    go."""
    unknown = (flows.opposite < 0) & (bound == flows.usual)
    if not unknown.any():
        return bound
    stops = np.flatnonzero(unknown[flows.group] & (flows.ends == flows.usual[flows.group]))
    key = destinations(tables.sightings, tables.last[stops]) ^ flows.ends[stops].astype(np.uint64)
    target = passages.ended[np.searchsorted(passages.passing, key)]
    goes_on = (target >= 0) & (target != flows.ends[stops])
    found = bound.copy()
    found[flows.group[stops[goes_on]]] = target[goes_on]
    return found
