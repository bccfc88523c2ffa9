"""Sightings -> connections: which address pairs, on which nodes, are one bidirectional flow.

A *session* is one life of one address pair in one namespace: a reused port begins a new one. Sessions are joined to
connections by what says for certain that they belong together: conntrack tuples, conntrack ids in trace events, and the
same packet under the same addresses in two namespaces. Every session has two ends of a union-find, one per direction,
so that a joined connection knows which packets travel the same way.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from .dissect import mix
from .topology import Role, Topology

_IDLE_NS: Final = 120_000_000_000
"""A flow without TCP's signs that is silent for so long is a new session (nf_conntrack_udp_timeout_stream: 120 s)."""
_SAME_PACKET_NS: Final = 10_000_000_000
"""Two sightings of one packet on one node are at most this far apart."""
_LIFETIME_SLACK_NS: Final = 2_000_000_000
"""Conntrack messages are stamped when they are received."""


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


def link_connections(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    conntrack: npt.NDArray[np.void],
    evaluations: npt.NDArray[np.void],
    topology: Topology,
) -> Connections:
    """Find the connections.

    `sightings`: SIGHTING rows, observations first, the last `evaluations.size` of them chain evaluations; `times_ns`:
    when each happened, on the reference clock; `conntrack`: CONNTRACK rows; `evaluations`: EVALUATION rows.
    """
    session, orientation = _split_sessions(sightings, times_ns, conntrack)
    ends = 2 * session + orientation
    parent = np.arange(2 * (int(session.max()) + 1 if session.size else 0))
    index = _SessionIndex.build(sightings, session, times_ns)
    _join(parent, _conntrack_links(index, conntrack))
    _join(parent, _conntrack_id_links(ends[sightings.size - evaluations.size :], sightings, evaluations))
    _join(parent, _same_flow_links(sightings, times_ns, ends, topology))
    return _number(sightings, times_ns, session, _roots(parent, ends), _roots(parent, ends ^ 1))


def orientation_of(flow: npt.NDArray[np.uint64], reverse: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """0 or 1: which of the two directions of its address pair a flow hash is."""
    return (flow > reverse).astype(np.int64)


def _split_sessions(
    sightings: npt.NDArray[np.void], times_ns: npt.NDArray[np.int64], conntrack: npt.NDArray[np.void]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(session, orientation) of each sighting. The end of a conntrack entry ends the session of a flow that is not
    TCP."""
    ended = conntrack[(conntrack["event"] == 3) & (conntrack["protocol"] != 6)]
    pair = np.concatenate(
        [
            np.minimum(sightings["flow"], sightings["flow_reverse"]),
            np.minimum(ended["original"], ended["restored"]),
            np.minimum(ended["translated"], ended["reply"]),
        ]
    )
    namespace = np.concatenate([sightings["namespace"], ended["namespace"], ended["namespace"]])
    times = np.concatenate([times_ns, ended["time_ns"], ended["time_ns"]])
    orientation = orientation_of(sightings["flow"], sightings["flow_reverse"])
    order = np.lexsort((times, pair, namespace))
    session = np.full(order.size, -1, np.int64)
    _split(order, namespace, pair, times, sightings, orientation, session)
    return session[: sightings.size], orientation


@njit(cache=True)
def _split(order, namespace, pair, times, sightings, orientation, session):
    count = -1
    last_time = np.int64(0)
    seen = 0
    ended = False
    has_syn = np.zeros(2, np.bool_)
    syn = np.zeros(2, np.uint32)
    for k in range(order.size):
        i = order[k]
        fresh = k == 0 or namespace[i] != namespace[order[k - 1]] or pair[i] != pair[order[k - 1]]
        if fresh:
            seen = 0
            ended = False
            has_syn[:] = False
            count += 1
        if i >= sightings.size:  # the end of a conntrack entry
            ended = True
            continue
        row = sightings[i]
        tcp = row.protocol == 6
        is_syn = tcp and (row.tcp_flags & np.uint16(0x12)) == 2
        new = False
        if seen > 0:
            if is_syn:
                o = orientation[i]
                new = (has_syn[o] and syn[o] != row.sequence) or not (has_syn[0] or has_syn[1])
            elif not tcp:
                new = ended or times[i] - last_time > _IDLE_NS
        if new:
            count += 1
            has_syn[:] = False
        ended = False
        if is_syn:
            has_syn[orientation[i]] = True
            syn[orientation[i]] = row.sequence
        session[i] = count
        last_time = times[i]
        seen += 1


@dataclass(slots=True)
class _SessionIndex:
    """Sessions by (namespace, address pair), with the time they lasted."""

    key: npt.NDArray[np.uint64]
    session: npt.NDArray[np.int64]
    start_ns: npt.NDArray[np.int64]
    end_ns: npt.NDArray[np.int64]

    @classmethod
    def build(
        cls, sightings: npt.NDArray[np.void], session: npt.NDArray[np.int64], times_ns: npt.NDArray[np.int64]
    ) -> "_SessionIndex":
        order = np.lexsort((times_ns, session))
        ordered = session[order]
        first = np.ones(order.size, np.bool_)
        first[1:] = ordered[1:] != ordered[:-1]
        starts = np.flatnonzero(first)
        ends = np.append(starts[1:], order.size) - 1 if starts.size else starts
        rows = sightings[order[starts]]
        key = pair_key(rows["namespace"], rows["flow"], rows["flow_reverse"])
        by_key = np.argsort(key, kind="stable")
        return cls(key[by_key], ordered[starts][by_key], times_ns[order[starts]][by_key], times_ns[order[ends]][by_key])


@njit(cache=True)
def _pair_key(namespace, flow, reverse, out):
    for i in range(flow.size):
        out[i] = mix(min(flow[i], reverse[i]), np.uint64(namespace[i]))


def pair_key(
    namespace: npt.NDArray[np.uint16], flow: npt.NDArray[np.uint64], reverse: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """One number for (namespace, address pair), the same for both directions."""
    out = np.empty(flow.size, np.uint64)
    _pair_key(np.ascontiguousarray(namespace), np.ascontiguousarray(flow), np.ascontiguousarray(reverse), out)
    return out


def _conntrack_links(index: _SessionIndex, conntrack: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """Pairs of session ends that a translation joins: the original direction before it and after it."""
    entries = conntrack[conntrack["original"] != conntrack["translated"]]
    if entries.size == 0:
        return np.empty((0, 2), np.int64)
    order = np.lexsort(
        (entries["time_ns"], entries["translated"], entries["original"], entries["id"], entries["namespace"])
    )
    entries = entries[order]
    before = pair_key(entries["namespace"], entries["original"], entries["restored"])
    after = pair_key(entries["namespace"], entries["translated"], entries["reply"])
    o_before = orientation_of(entries["original"], entries["restored"])
    o_after = orientation_of(entries["translated"], entries["reply"])
    return _lifetime_links(
        entries, before, after, o_before, o_after, index.key, index.session, index.start_ns, index.end_ns
    )


@njit(cache=True)
def _overlapping(key, start, end, keys, starts, ends, found):
    """Rows of the index with this key whose time meets [start, end]; the count."""
    n = 0
    at = np.searchsorted(keys, key)
    while at < keys.size and keys[at] == key and n < found.size:
        if starts[at] <= end and ends[at] >= start:
            found[n] = at
            n += 1
        at += 1
    return n


@njit(cache=True)
def _lifetime_links(entries, before, after, o_before, o_after, keys, sessions, starts, ends):
    links = np.empty((entries.size * 2, 2), np.int64)
    count = 0
    a = np.empty(64, np.int64)
    b = np.empty(64, np.int64)
    i = 0
    while i < entries.size:
        # All messages of one entry: dumped or new, updates, destroy. Its successor may have the same id.
        j = i
        start = np.int64(-(2**62))
        end = np.int64(2**62)
        while (
            j < entries.size
            and entries[j].id == entries[i].id
            and entries[j].namespace == entries[i].namespace
            and entries[j].original == entries[i].original
            and entries[j].translated == entries[i].translated
            and not (j > i and entries[j].event == 1 and entries[j - 1].event == 3)
        ):
            if entries[j].event == 1:
                start = entries[j].time_ns - _LIFETIME_SLACK_NS
            elif entries[j].event == 3:
                end = entries[j].time_ns + _LIFETIME_SLACK_NS
            j += 1
        na = _overlapping(before[i], start, end, keys, starts, ends, a)
        nb = _overlapping(after[i], start, end, keys, starts, ends, b)
        for x in range(na):
            # The session after the translation that overlaps this one most: a reused port gives several.
            best = -1
            most = np.int64(-(2**62))
            for y in range(nb):
                overlap = min(ends[a[x]], ends[b[y]]) - max(starts[a[x]], starts[b[y]])
                if overlap > most:
                    most = overlap
                    best = y
            if best >= 0 and most > -_LIFETIME_SLACK_NS and count < links.shape[0]:
                links[count, 0] = 2 * sessions[a[x]] + o_before[i]
                links[count, 1] = 2 * sessions[b[best]] + o_after[i]
                count += 1
        i = j
    return links[:count]


def _conntrack_id_links(
    ends: npt.NDArray[np.int64], sightings: npt.NDArray[np.void], evaluations: npt.NDArray[np.void]
) -> npt.NDArray[np.int64]:
    """A packet that chains saw under two flows with one conntrack id was translated between them.

    Only for the same packet: the id is a hash over the address of the entry, so a reused port can bring the id of the
    last entry.
    """
    traced = sightings[sightings.size - evaluations.size :]
    known = np.flatnonzero(evaluations["conntrack_id"] != 0)
    keys = (
        evaluations["order"][known],
        traced["content"][known],
        evaluations["conntrack_direction"][known],
        evaluations["conntrack_id"][known],
        traced["namespace"][known],
    )
    order = known[np.lexsort(keys)]
    a, b = order[:-1], order[1:]
    same = (
        (evaluations["conntrack_id"][a] == evaluations["conntrack_id"][b])
        & (evaluations["conntrack_direction"][a] == evaluations["conntrack_direction"][b])
        & (traced["namespace"][a] == traced["namespace"][b])
        & (traced["content"][a] == traced["content"][b])
        & (ends[a] != ends[b])
    )
    return np.column_stack([ends[a][same], ends[b][same]])


def _same_flow_links(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    topology: Topology,
) -> npt.NDArray[np.int64]:
    """The same packet under the same addresses in two namespaces: of one node, or where it goes from one node to
    another.

    Addresses alone would not do: every Docker host has a 172.17.0.2.
    """
    nodes = {name: i for i, name in enumerate(dict.fromkeys(topology.file_nodes))}
    node_of_namespace = np.array([nodes[n.node] for n in topology.namespaces] or [0], np.int64)
    node = node_of_namespace[sightings["namespace"]]
    place_is_uplink = np.array([_is_uplink(topology, p.index) for p in topology.points] or [False], np.bool_)
    is_observation = sightings["place"] < len(topology.points)
    uplink = np.zeros(sightings.size, np.bool_)
    uplink[is_observation] = place_is_uplink[sightings["place"][is_observation]]
    links = [_adjacent(sightings, times_ns, ends, node, np.arange(sightings.size), _SAME_PACKET_NS)]
    if len(nodes) > 1:
        links.append(_adjacent(sightings, times_ns, ends, np.zeros_like(node), np.flatnonzero(uplink), None))
    return np.concatenate(links)


def _is_uplink(topology: Topology, point: int) -> bool:
    """Can a packet go from here to another node? What is not known to be inside a node may."""
    found = topology.points[point]
    namespace = topology.namespaces[found.namespace]
    return not namespace.known or (found.role == Role.DEVICE and namespace.label == "root")


def _adjacent(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    group: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    window_ns: int | None,
) -> npt.NDArray[np.int64]:
    order = rows[np.lexsort((times_ns[rows], sightings["content"][rows], sightings["flow"][rows], group[rows]))]
    a, b = order[:-1], order[1:]
    same = (
        (group[a] == group[b])
        & (sightings["flow"][a] == sightings["flow"][b])
        & (sightings["content"][a] == sightings["content"][b])
        & (ends[a] != ends[b])
    )
    if window_ns is not None:
        same &= times_ns[b] - times_ns[a] <= window_ns
    return np.column_stack([ends[a][same], ends[b][same]])


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
) -> Connections:
    """Number the connections by first appearance and tell which direction is the client's."""
    key = np.minimum(root, opposite)
    syn = (sightings["protocol"] == 6) & ((sightings["tcp_flags"] & 0x12) == 2) & ((sightings["notes"] & 1) == 0)
    # A SYN tells the client; without one, whoever is seen first (not by an ICMP error).
    order = np.lexsort((times_ns, (sightings["notes"] & 1) != 0, ~syn, key))
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
    return Connections(
        session=session,
        direction_group=root,
        connection=rank[inverse],
        forward=root == root[leaders][inverse],
        count=int(leaders.size),
    )
