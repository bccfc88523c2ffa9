"""Sightings -> connections: which address pairs, on which nodes, are one bidirectional flow.

Sessions (sessions.py) are joined by what says for certain that they belong together: ties, by conntrack, by addresses
and by content. Every session has two ends of a union-find, one per direction, so a joined connection knows which of its
two ways a packet goes.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import Runs, first_with
from ..arrays.hashing import spread
from ..arrays.union_find import find_all, join
from ..clocks.clock import Clock
from ..clocks.seen_by_nodes import Flows
from ..netfilter.numbers import CT_REPLY
from ..nodes.topology import Topology
from ..sightings import FRAME, of_kind, told
from .roles import client_ways
from .servers import Servers
from .session_index import SessionIndex
from .sessions import Sessions, split_sessions
from .ties_by_addresses import same_flow_ties, sightings_on_wires
from .ties_by_conntrack import conntrack_ties
from .ties_by_content import ContentTies, content_ties
from .ties_by_sequence import sequence_ties
from .ties_by_trace import trace_ties


class Tie(IntEnum):
    """Why two sessions are one connection, or could be."""

    CONNTRACK = 1
    """An entry translates the one into the other."""
    TRACE = 2
    """Chains saw one packet, with one conntrack id, under both."""
    ADDRESSES = 3
    """One packet was seen with the same addresses in two namespaces."""
    CONTENT = 4
    """Nothing but equal packets says so."""
    RIVAL = 5
    """Equal packets would fit, but others fit as well: not joined."""
    SEQUENCE = 6
    """Equal segments under the same addresses, whose sequence numbers are all shifted alike."""


@dataclass(slots=True, kw_only=True)
class Connections:
    """Connection and direction of every sighting."""

    session: npt.NDArray[np.int64]
    """Session of each sighting."""
    way: npt.NDArray[np.int64]
    """Per sighting: which of the two ways of which connection it goes."""
    connection: npt.NDArray[np.int64]
    """Per sighting: connection index, from 0, in order of first appearance."""
    forward: npt.NDArray[np.bool_]
    """Per sighting: it goes from the client to the server."""
    count: int
    ties: dict[Tie, npt.NDArray[np.int64]]
    """(n, 2) session ends (session * 2 + orientation) by what ties them to each other, maybe several times."""
    votes: dict[Tie, npt.NDArray[np.int64]]
    """For CONTENT and RIVAL, per row of `ties`: equal contents that both sessions show."""

    def of_session(self) -> npt.NDArray[np.int64]:
        """Connection of each session."""
        found = np.zeros(int(self.session.max()) + 1 if self.session.size else 0, np.int64)
        found[self.session] = self.connection
        return found

    def flows(self, seen: slice) -> Flows:
        """Some of the sightings as the clocks need them."""
        return Flows(
            way=self.way[seen].astype(np.uint64),
            connection=self.connection[seen].astype(np.uint64),
            forward=self.forward[seen],
        )


def find_connections(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    conntrack: npt.NDArray[np.void],
    said: npt.NDArray[np.void],
    topology: Topology,
    clocks: list[Clock],
    repeated: npt.NDArray[np.int64],
    crowded: npt.NDArray[np.uint64],
    servers: Servers,
    contents: Runs,
) -> Connections:
    """Find the connections.

    `sightings`: SIGHTING rows; `times_ns`: when each happened, on the reference clock; `conntrack`: CONNTRACK rows;
    `said`: TOLD rows of the sightings that are no frames; `repeated`: see repeated_sequences.py; `crowded`: see
    votes.py; `servers`: see servers.py; `contents`: sightings with equal content.
    """
    nodes, clock = topology.node_numbers(), comparable_clocks(clocks, topology.node_numbers())
    on_wire = sightings_on_wires(sightings, said, topology)
    sessions = split_sessions(sightings, times_ns, conntrack)
    ends = sessions.ends
    parent = np.arange(2 * sessions.first.size)
    ties = {
        Tie.CONNTRACK: _ties_of_entries(sightings, sessions, conntrack, nodes, on_wire),
        Tie.TRACE: trace_ties(ends[told(sightings)], sightings, said),
        Tie.ADDRESSES: same_flow_ties(sightings, times_ns, ends, nodes, on_wire, contents),
    }
    by_content = _ties_of_frames(sightings, ends, times_ns, clock, topology, repeated, crowded, contents)
    ties[Tie.CONTENT] = by_content.ties
    for pairs in ties.values():
        _join(parent, pairs)
    ties[Tie.SEQUENCE] = sequence_ties(sightings, times_ns, sessions, find_all(parent), clock)
    _join(parent, ties[Tie.SEQUENCE])
    ties[Tie.RIVAL] = by_content.rivals
    votes = {Tie.CONTENT: by_content.votes, Tie.RIVAL: by_content.rival_votes}
    original, roots = _in_original_direction(sightings, conntrack, said, sessions, ends), find_all(parent)
    leading, earliest = client_ways(sightings, times_ns, ends, roots, original, servers)
    return _number(sessions.session, ends, roots, leading, earliest, ties, votes)


def comparable_clocks(clocks: list[Clock], nodes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Per namespace, the same number where times can be compared; `nodes`: node number of each."""
    alone = np.array([clock.basis == "unknown" for clock in clocks])[nodes]
    return np.where(alone, 1 + nodes, 0)


def _ties_of_entries(
    sightings: npt.NDArray[np.void],
    sessions: Sessions,
    conntrack: npt.NDArray[np.void],
    nodes: npt.NDArray[np.int64],
    on_wire: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int64]:
    """Ties by the translations of conntrack entries."""
    if conntrack.size == 0:
        return np.empty((0, 2), np.int64)
    return conntrack_ties(SessionIndex.build(sightings, sessions, on_wire, nodes), conntrack, nodes)


def _ties_of_frames(
    sightings: npt.NDArray[np.void],
    ends: npt.NDArray[np.int64],
    times_ns: npt.NDArray[np.int64],
    clock: npt.NDArray[np.int64],
    topology: Topology,
    repeated: npt.NDArray[np.int64],
    crowded: npt.NDArray[np.uint64],
    contents: Runs,
) -> ContentTies:
    """Ties by the content of frames alone. `clock`: per namespace, the same number where times can be compared."""
    seen = of_kind(sightings, FRAME)
    uninformed = np.array([not n.has_conntrack for n in topology.namespaces] or [False], np.bool_)
    return content_ties(sightings[seen], ends[seen], times_ns[seen], clock, uninformed, repeated, crowded, contents)


def _in_original_direction(
    sightings: npt.NDArray[np.void],
    conntrack: npt.NDArray[np.void],
    said: npt.NDArray[np.void],
    sessions: Sessions,
    ends: npt.NDArray[np.int64],
) -> npt.NDArray[np.int8]:
    """Per sighting: 1 it goes in the original direction of a conntrack entry, -1 in the reply direction, 0 not
    known."""
    if sightings.size == 0 or conntrack.size + said.size == 0:
        return np.zeros(sightings.size, np.int8)  # without sightings there may be sessions all the same
    first = np.maximum(sessions.first, 0)  # a session without sightings has no say
    namespace = sightings["namespace"][first]
    flow, reverse = sightings["flow"][first], sightings["flow_reverse"][first]
    of_end = np.empty(2 * first.size, np.uint64)
    of_end[0::2] = _flow_keys(namespace, np.minimum(flow, reverse))
    of_end[1::2] = _flow_keys(namespace, np.maximum(flow, reverse))
    sign_of_end = np.zeros(of_end.size, np.int8)
    for columns, sign in ((("original", "translated"), 1), (("reply", "restored"), -1)):
        tuples = np.concatenate([_flow_keys(conntrack["namespace"], conntrack[c]) for c in columns])
        sign_of_end[first_with(tuples, of_end) >= 0] += sign
    found = sign_of_end[ends]
    traced = found[told(sightings)]
    known = (said["conntrack_id"] != 0) & (said["conntrack_direction"] <= CT_REPLY)
    traced[known] = 1 - 2 * said["conntrack_direction"][known].astype(np.int8)
    return found


def _flow_keys(namespace: npt.NDArray[np.uint16], flow: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    return flow ^ spread(namespace)


@njit(cache=True)
def _join(parent, ties):
    for k in range(ties.shape[0]):
        for flip in range(2):  # what holds for one direction holds for the other
            join(parent, ties[k, 0] ^ flip, ties[k, 1] ^ flip)


def _number(
    session: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    roots: npt.NDArray[np.int64],
    leading: npt.NDArray[np.int64],
    earliest: npt.NDArray[np.int64],
    ties: dict[Tie, npt.NDArray[np.int64]],
    votes: dict[Tie, npt.NDArray[np.int64]],
) -> Connections:
    """Number the connections by first appearance and tell which direction is the client's. `roots`: of each end;
    `leading`, `earliest`: as from client_ways."""
    keys = np.flatnonzero(leading >= 0)
    rank = np.empty(leading.size, np.int64)
    key = np.minimum(roots, roots[np.arange(roots.size) ^ 1])
    rank[keys[np.argsort(earliest[keys], kind="stable")]] = np.arange(keys.size)
    way = roots[ends]
    return Connections(
        session=session,
        way=way,
        connection=rank[key][ends],
        forward=way == leading[key][ends],
        count=int(keys.size),
        ties=ties,
        votes=votes,
    )


def rival_pairs(connections: Connections) -> npt.NDArray[np.int64]:
    """(n, 2) connections (from 0) that could be one; of those pairs that share a connection at most one is true."""
    ends = connections.ties.get(Tie.RIVAL)
    if ends is None or ends.size == 0:
        return np.empty((0, 2), np.int64)
    pairs = connections.of_session()[ends >> 1]
    return np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
