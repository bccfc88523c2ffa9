"""Why the flows under which one packet was seen are one connection: the strongest ties between them."""

import heapq
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.rows import joined
from ..flows.connections import Tie
from ..flows.ties_by_content import can_vote
from ..result.correlation import Correlation
from ..result.words import endpoint
from ..schema import CONNTRACK, NOTE_ERROR, NOTE_OUTER
from ..sightings import FRAME, of_kind

_CONTENT_COST: Final = 1_000
"""Any number of ties by what the kernel says is better evidence than one by equal packets."""
_FAR_CONTENT_COST: Final = 100_000
"""A packet is translated within one namespace: equal packets farther apart are told through those in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedFlow:
    """One address pair in one namespace, and what ties it to the flow of the explained packet."""

    node: str
    netns: str
    source: str
    """In the direction of the explained packet."""
    destination: str
    tied_to: int | None
    """Index of the flow it is tied to; None for the explained packet's own."""
    tie: Tie | None
    conntrack_id: int | None
    """Of the entry, where `tie` is CONNTRACK and the kernel gave an id."""
    votes: int | None
    """Where `tie` is CONTENT: equal packets in both flows."""
    packets: tuple[int, int] | None
    """Then also: different packets in this flow, and in the one it is tied to, of both directions."""


@dataclass(frozen=True, slots=True)
class _WeighedTie:
    """A tie between two sessions."""

    by: Tie
    votes: int | None
    cost: int


def tied_flows(
    result: Correlation, sighting: int, members: npt.NDArray[np.int64]
) -> tuple[tuple[TiedFlow, ...], dict[int, int]]:
    """The flows of the `members` (sightings of the packet) and those between them, and the flow of each session.

    The first flow is that of `sighting`; each other one is tied to one before it.
    """
    sessions = result.connections.session
    own = int(sessions[sighting])
    ties = _ties_of(result, int(result.connections.connection[sighting]))
    towards, cost = _strongest_ties(own, ties)
    needed = {own}
    for session in np.unique(sessions[members]).tolist():
        step = session
        while step not in needed:
            needed.add(step)
            step = towards[step]
    ordered = sorted(needed, key=lambda session: (cost[session], session))
    index = {session: i for i, session in enumerate(ordered)}
    flows = [_flow(result, sighting, members, session, towards, ties, index) for session in ordered]
    return tuple(flows), index


def _ties_of(result: Correlation, connection: int) -> dict[int, dict[int, _WeighedTie]]:
    """The ties between the sessions of a connection, from either side; of several between two, the strongest."""
    of_session = result.connections.of_session()
    namespace = np.zeros(of_session.size, np.int64)
    namespace[result.connections.session] = result.sightings["namespace"]
    ties: dict[int, dict[int, _WeighedTie]] = {}
    for by in Tie:
        ends = result.connections.ties.get(by)
        if by == Tie.RIVAL or ends is None or ends.size == 0:
            continue
        here = np.flatnonzero(of_session[ends[:, 0] >> 1] == connection)
        votes = result.connections.votes.get(by)
        for row in here.tolist():
            a, b = (ends[row] >> 1).tolist()
            cost = 1
            if by == Tie.CONTENT:
                cost = _CONTENT_COST if namespace[a] == namespace[b] else _FAR_CONTENT_COST
            tie = _WeighedTie(by, int(votes[row]) if votes is not None else None, cost)
            for one, other in ((a, b), (b, a)):
                ties.setdefault(one, {}).setdefault(other, tie)
    return ties


def _strongest_ties(start: int, ties: dict[int, dict[int, _WeighedTie]]) -> tuple[dict[int, int], dict[int, int]]:
    """(the next session towards `start`, the cost of all ties from there to it) of every session that is tied to it."""
    towards, cost = {start: start}, {start: 0}
    queue = [(0, start)]
    while queue:
        so_far, session = heapq.heappop(queue)
        if so_far > cost[session]:
            continue
        for other, tie in ties.get(session, {}).items():
            if other not in cost or so_far + tie.cost < cost[other]:
                cost[other] = so_far + tie.cost
                towards[other] = session
                heapq.heappush(queue, (cost[other], other))
    return towards, cost


def _flow(
    result: Correlation,
    sighting: int,
    members: npt.NDArray[np.int64],
    session: int,
    towards: dict[int, int],
    ties: dict[int, dict[int, _WeighedTie]],
    index: dict[int, int],
) -> TiedFlow:
    row = _sample(result, sighting, members, session)
    same_way = result.connections.way[row] == result.connections.way[sighting]
    ends = ("source", "destination") if same_way else ("destination", "source")
    source, destination = (endpoint(result.sightings[row], end) for end in ends)
    namespace = result.topology.namespaces[result.sightings["namespace"][row]]
    other = towards[session]
    tie = ties[session][other] if other != session else None
    by_content = tie is not None and tie.by == Tie.CONTENT
    return TiedFlow(
        node=namespace.node,
        netns=namespace.label,
        source=source,
        destination=destination,
        tied_to=index[other] if tie is not None else None,
        tie=tie.by if tie is not None else None,
        conntrack_id=_entry_id(result, session, other) if tie is not None and tie.by == Tie.CONNTRACK else None,
        votes=tie.votes if tie is not None else None,
        packets=(packets_of(result, session), packets_of(result, other)) if by_content else None,
    )


def _sample(result: Correlation, sighting: int, members: npt.NDArray[np.int64], session: int) -> int:
    """A sighting that shows the addresses of a session: of the packet itself where it was seen there."""
    sessions = result.connections.session
    if sessions[sighting] == session:
        return sighting
    own = members[sessions[members] == session]
    rows = own if own.size else np.flatnonzero(sessions == session)
    plain = rows[(result.sightings["notes"][rows] & (NOTE_OUTER | NOTE_ERROR)) == 0]
    same_way = plain[result.connections.way[plain] == result.connections.way[sighting]]
    return int(next(found[0] for found in (same_way, plain, rows) if found.size))


def packets_of(result: Correlation, session: int) -> int:
    """Different packets of a session that its ties by content could have been made of."""
    rows = np.flatnonzero(result.connections.session[of_kind(result.sightings, FRAME)] == session)
    return int(voting_contents(result, rows).size)


def voting_contents(result: Correlation, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """The different contents of sightings, of those that vote for ties by content."""
    seen = result.sightings.take(rows)
    return np.unique(seen["content"][can_vote(seen)])


def _entry_id(result: Correlation, session: int, other: int) -> int | None:
    """The id of a conntrack entry that translates one session into the other."""
    pairs = []
    for one in (session, other):
        row = result.sightings[int(np.argmax(result.connections.session == one))]
        pairs.append(min(row["flow"], row["flow_reverse"]))
    entries = joined(CONNTRACK, (m.conntrack for m in result.messages))
    before = np.minimum(entries["original"], entries["restored"])
    after = np.minimum(entries["translated"], entries["reply"])
    found = ((before == pairs[0]) & (after == pairs[1])) | ((before == pairs[1]) & (after == pairs[0]))
    numbers = entries["id"][found]
    return int(numbers[0]) if numbers.size and numbers[0] else None
