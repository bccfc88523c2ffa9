"""Sightings -> connections: which address pairs, on which nodes, are one bidirectional flow.

Sessions (sessions.py) are joined by what says for certain that they belong together (links.py). Every session has two
ends of a union-find, one per direction, so a joined connection knows which packets travel the same way.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from numba import njit

from .clocks import Clock
from .evaluations import Evaluations
from .inference import infer_links
from .links import conntrack_id_links, conntrack_links, same_flow_links, sightings_on_wires
from .node_delays import Flows
from .schema import NOTE_ERROR
from .sessions import SessionIndex, split_sessions
from .topology import Topology


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


@dataclass(slots=True, kw_only=True)
class Connections:
    """Connection and direction of every sighting."""

    session: npt.NDArray[np.int64]
    """Session of each sighting."""
    direction_group: npt.NDArray[np.int64]
    """Per sighting: the same number for all sightings that travel the same way in the same connection."""
    connection: npt.NDArray[np.int64]
    """Per sighting: connection index, from 0, in order of first appearance."""
    forward: npt.NDArray[np.bool_]
    """Per sighting: it travels from the client to the server."""
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

    def flows(self, observed: int) -> Flows:
        """The first `observed` sightings as the clocks need them."""
        return Flows(
            direction=self.direction_group[:observed].astype(np.uint64),
            connection=self.connection[:observed].astype(np.uint64),
            forward=self.forward[:observed],
        )


def link_connections(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    conntrack: npt.NDArray[np.void],
    evaluations: Evaluations,
    topology: Topology,
    clocks: list[Clock],
) -> Connections:
    """Find the connections.

    `sightings`: SIGHTING rows, observations first, then those of the evaluations; `times_ns`: when each happened, on
    the reference clock; `conntrack`: CONNTRACK rows.
    """
    nodes = topology.node_numbers()
    on_wire = sightings_on_wires(sightings, evaluations, topology)
    session, orientation = split_sessions(sightings, times_ns, conntrack)
    ends = 2 * session + orientation
    parent = np.arange(2 * (int(session.max()) + 1 if session.size else 0))
    index = SessionIndex.build(sightings, session, times_ns, on_wire, nodes)
    ties = {
        Tie.CONNTRACK: conntrack_links(index, conntrack, nodes),
        Tie.TRACE: conntrack_id_links(ends[sightings.size - evaluations.rows.size :], sightings, evaluations.rows),
        Tie.ADDRESSES: same_flow_links(sightings, times_ns, ends, nodes, on_wire),
    }
    observed = sightings.size - evaluations.rows.size
    uninformed = np.array([not n.has_conntrack for n in topology.namespaces] or [False], np.bool_)
    alone = np.array([clock.basis == "unknown" for clock in clocks])[nodes]
    inference = infer_links(
        sightings[:observed],
        session[:observed],
        ends[:observed],
        times_ns[:observed],
        np.where(alone, 1 + nodes, 0),
        uninformed,
    )
    ties[Tie.CONTENT] = inference.links
    for pairs in ties.values():
        _join(parent, pairs)
    ties[Tie.RIVAL] = inference.rivals
    said = _said_by_conntrack(sightings, conntrack, evaluations)
    votes = {Tie.CONTENT: inference.votes, Tie.RIVAL: inference.rival_votes}
    return _number(sightings, times_ns, session, _roots(parent, ends), _roots(parent, ends ^ 1), said, ties, votes)


def _said_by_conntrack(
    sightings: npt.NDArray[np.void], conntrack: npt.NDArray[np.void], evaluations: Evaluations
) -> npt.NDArray[np.int64]:
    """Per sighting: 1 it travels in the original direction of a conntrack entry, -1 in the reply direction, 0 not
    known."""
    said = np.zeros(sightings.size, np.int64)
    key = _flow_keys(sightings["namespace"], sightings["flow"])
    for columns, sign in ((("original", "translated"), 1), (("reply", "restored"), -1)):
        told = np.concatenate([_flow_keys(conntrack["namespace"], conntrack[c]) for c in columns])
        said[np.isin(key, told)] += sign
    rows = evaluations.rows
    traced = said[sightings.size - rows.size :]
    known = (rows["conntrack_id"] != 0) & (rows["conntrack_direction"] <= 1)
    traced[known] = 1 - 2 * rows["conntrack_direction"][known].astype(np.int64)
    return said


def _flow_keys(namespace: npt.NDArray[np.uint16], flow: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    return flow ^ (namespace.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))


@njit(cache=True)
def _find(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True)
def _join(parent, links):
    for k in range(links.shape[0]):
        for flip in range(2):  # what holds for one direction holds for the other
            a = _find(parent, links[k, 0] ^ flip)
            b = _find(parent, links[k, 1] ^ flip)
            if a < b:
                parent[b] = a
            else:
                parent[a] = b


@njit(cache=True)
def _roots(parent, nodes):
    out = np.empty_like(nodes)
    for i in range(nodes.size):
        out[i] = _find(parent, nodes[i])
    return out


def _number(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    session: npt.NDArray[np.int64],
    root: npt.NDArray[np.int64],
    opposite: npt.NDArray[np.int64],
    said: npt.NDArray[np.int64],
    ties: dict[Tie, npt.NDArray[np.int64]],
    votes: dict[Tie, npt.NDArray[np.int64]],
) -> Connections:
    """Number the connections by first appearance and tell which direction is the client's."""
    key = np.minimum(root, opposite)
    syn = (
        (sightings["protocol"] == 6) & ((sightings["tcp_flags"] & 0x12) == 2) & ((sightings["notes"] & NOTE_ERROR) == 0)
    )
    # A SYN tells the client, or conntrack; without them, whoever is seen first (not by an ICMP error).
    order = np.lexsort((times_ns, (sightings["notes"] & NOTE_ERROR) != 0, (said == 0) & ~syn, ~syn, key))
    ordered = key[order]
    first = np.ones(order.size, np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    leaders = order[first]
    _, inverse = np.unique(key, return_inverse=True)
    inverse = inverse.reshape(-1)
    earliest = np.full(leaders.size, np.iinfo(np.int64).max)
    np.minimum.at(earliest, inverse, times_ns)
    rank = np.empty(leaders.size, np.int64)
    rank[np.argsort(earliest, kind="stable")] = np.arange(leaders.size)
    leading = root[leaders] if leaders.size else root
    leading = np.where((said[leaders] < 0) & ~syn[leaders], opposite[leaders], leading)
    return Connections(
        session=session,
        direction_group=root,
        connection=rank[inverse],
        forward=root == leading[inverse],
        count=int(leaders.size),
        ties=ties,
        votes=votes,
    )
