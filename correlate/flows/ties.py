"""What joins sessions to connections: conntrack tuples, conntrack ids, and the same packet in two namespaces.

Each function returns pairs of session ends, (n, 2) int64: session * 2 + orientation, so that a pair also says which
direction of the one is which direction of the other. Equal pairs are named once.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import Runs, distinct_pairs, hashed, runs_of_keys
from ..netfilter.numbers import Hook
from ..nodes.topology import Topology
from ..schema import CONNTRACK_DESTROYED, CONNTRACK_NEW
from ..sightings import frames, told
from .sessions import SessionIndex, index_places, orientation_of, pair_key

_SAME_PACKET_NS: Final = 10_000_000_000
"""Two sightings of one packet on one node are at most this far apart."""
_LIFETIME_SLACK_NS: Final = 2_000_000_000
"""Conntrack messages are stamped when they are received."""


def conntrack_ties(
    index: SessionIndex, conntrack: npt.NDArray[np.void], nodes: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The original direction before a translation and after it (`conntrack`: CONNTRACK rows).

    Either side is looked for in the entry's namespace, then on its node (a container beside it), then on the wires.
    """
    entries = conntrack[conntrack["original"] != conntrack["translated"]]
    if entries.size == 0:
        return np.empty((0, 2), np.int64)
    order = np.lexsort(
        (entries["time_ns"], entries["translated"], entries["original"], entries["id"], entries["namespace"])
    )
    entries = entries[order]
    places = index_places(entries["namespace"], nodes)
    before = np.stack([pair_key(place, entries["original"], entries["restored"]) for place in places])
    after = np.stack([pair_key(place, entries["translated"], entries["reply"]) for place in places])
    o_before = orientation_of(entries["original"], entries["restored"])
    o_after = orientation_of(entries["translated"], entries["reply"])
    return _entry_ties(
        entries, before, after, o_before, o_after, index.key, index.session, index.start_ns, index.end_ns
    )


@njit(cache=True)
def _overlapping(wanted, start, end, keys, starts, ends, found):
    """Rows of the index with the first of the wanted keys that has any whose time meets [start, end]; the count."""
    for level in range(wanted.size):
        n = _overlapping_one(wanted[level], start, end, keys, starts, ends, found)
        if n > 0:
            return n
    return 0


@njit(cache=True)
def _overlapping_one(key, start, end, keys, starts, ends, found):
    n = 0
    at = np.searchsorted(keys, key)
    while at < keys.size and keys[at] == key and n < found.size:
        if starts[at] <= end and ends[at] >= start:
            found[n] = at
            n += 1
        at += 1
    return n


@njit(cache=True)
def _entry_ties(entries, before, after, o_before, o_after, keys, sessions, starts, ends):
    ties = np.empty((entries.size * 2, 2), np.int64)
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
            and not (j > i and entries[j].event == CONNTRACK_NEW and entries[j - 1].event == CONNTRACK_DESTROYED)
        ):
            if entries[j].event == CONNTRACK_NEW:
                start = entries[j].time_ns - _LIFETIME_SLACK_NS
            elif entries[j].event == CONNTRACK_DESTROYED:
                end = entries[j].time_ns + _LIFETIME_SLACK_NS
            j += 1
        na = _overlapping(before[:, i], start, end, keys, starts, ends, a)
        nb = _overlapping(after[:, i], start, end, keys, starts, ends, b)
        for x in range(na):
            # The session after the translation that overlaps this one most: a reused port gives several.
            best = -1
            most = np.int64(-(2**62))
            for y in range(nb):
                overlap = min(ends[a[x]], ends[b[y]]) - max(starts[a[x]], starts[b[y]])
                if overlap > most:
                    most = overlap
                    best = y
            # Each packet is seen on both sides within microseconds; a message of the trace comes a little later.
            if best >= 0 and most > -50_000_000 and count < ties.shape[0]:
                ties[count, 0] = 2 * sessions[a[x]] + o_before[i]
                ties[count, 1] = 2 * sessions[b[best]] + o_after[i]
                count += 1
        i = j
    return ties[:count]


def conntrack_id_ties(
    ends: npt.NDArray[np.int64], sightings: npt.NDArray[np.void], said: npt.NDArray[np.void]
) -> npt.NDArray[np.int64]:
    """A packet that the kernel told of under two flows with one conntrack id was translated between them.

    Only for the same packet: the id is a hash over the address of the entry, so a reused port can bring the id of the
    last entry.
    """
    traced = sightings[told(sightings)]
    known = np.flatnonzero(said["conntrack_id"] != 0)
    key = hashed(
        traced["namespace"][known],
        said["conntrack_id"][known],
        said["conntrack_direction"][known],
        traced["content"][known],
    )
    runs = runs_of_keys(key).sorted_by(said["order"][known])
    return distinct_pairs(_neighbours(runs.rows, runs.start, ends[known]))


@njit(cache=True, nogil=True)
def _neighbours(rows, start, ends):
    """Two ends that follow each other in a run."""
    pairs = np.empty((rows.size, 2), np.int64)
    count = 0
    for g in range(start.size - 1):
        for i in range(start[g] + 1, start[g + 1]):
            a, b = ends[rows[i - 1]], ends[rows[i]]
            if a != b:
                pairs[count, 0] = a
                pairs[count, 1] = b
                count += 1
    return pairs[:count].copy()


def same_flow_ties(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    nodes: npt.NDArray[np.int64],
    on_wire: npt.NDArray[np.bool_],
    contents: Runs,
) -> npt.NDArray[np.int64]:
    """The same packet under the same addresses in two namespaces: of one node, or where it goes from one to another.

    Addresses alone would not do: every Docker host has a 172.17.0.2. `contents`: sightings with equal content.
    """
    flow = np.ascontiguousarray(sightings["flow"])
    node = nodes[sightings["namespace"]].astype(np.int32)
    runs = contents.sorted_by(times_ns, flow)
    several = int(nodes.max()) + 1 if nodes.size else 1
    most = int(ends.max()) + 1 if ends.size else 0
    return distinct_pairs(_same_flow(runs.rows, runs.start, flow, times_ns, ends, node, several, on_wire, most))


@njit(cache=True, nogil=True)
def _same_flow(rows, start, flow, times, ends, node, nodes, on_wire, most):
    """Two ends of one packet that follow each other in time, on one node or on the wires between several; most of them
    once only. `rows`: by content, flow and time."""
    capacity = 1024
    pairs = np.empty((capacity, 2), np.int64)
    count = 0
    latest = np.full(nodes + 1, np.int64(-1))  # of each node, and behind them of all wires
    told = np.full((most, 2), np.int64(-1))  # what was last said of each end: on its node, and on a wire
    for g in range(start.size - 1):
        for k in range(start[g], start[g + 1]):
            b = rows[k]
            if k == start[g] or flow[b] != flow[rows[k - 1]]:
                latest[:] = -1
            for wire in range(2):
                if wire == 1 and (nodes == 1 or not on_wire[b]):
                    continue
                slot = nodes if wire == 1 else np.int64(node[b])
                a = latest[slot]
                latest[slot] = b
                if a < 0 or ends[a] == ends[b] or told[ends[a], wire] == ends[b]:
                    continue
                if wire == 0 and times[b] - times[a] > _SAME_PACKET_NS:
                    continue
                told[ends[a], wire] = ends[b]
                if count == capacity:
                    capacity *= 2
                    grown = np.empty((capacity, 2), np.int64)
                    for n in range(count):
                        grown[n, 0], grown[n, 1] = pairs[n, 0], pairs[n, 1]
                    pairs = grown
                pairs[count, 0] = ends[a]
                pairs[count, 1] = ends[b]
                count += 1
    return pairs[:count].copy()


def sightings_on_wires(
    sightings: npt.NDArray[np.void], said: npt.NDArray[np.void], topology: Topology
) -> npt.NDArray[np.bool_]:
    """Per sighting: the packet is where it can go to another node, or come from one.

    That is a frame at an uplink, or a chain that saw it coming in by one or, in postrouting, going out. What is not
    known to be inside a node may be on a wire.
    """
    seen, behind = frames(sightings), told(sightings)
    points = np.array([topology.is_uplink(p) for p in topology.points] or [False], np.bool_)
    found = np.zeros(sightings.size, np.bool_)
    found[: seen.size] = points[seen["place"]]
    if said.size:
        comes, goes = said["hook"] == Hook.PREROUTING, said["hook"] == Hook.POSTROUTING
        device = np.where(comes, said["input_index"], said["output_index"]).astype(np.int64)
        namespace = sightings["namespace"][behind].astype(np.int64)
        found[behind] = (comes | goes) & np.isin((namespace << 32) | device, _uplink_devices(topology))
    return found


def _uplink_devices(topology: Topology) -> list[int]:
    """(namespace << 32) | interface index of every device of a root namespace by which packets come from other
    nodes."""
    found = []
    for namespace in topology.namespaces:
        if namespace.label != "root":
            continue
        for index, link in namespace.links.items():
            ports = [port for port in namespace.links.values() if port.get("master") == index]
            if link.get("kind") == "bridge":
                is_uplink = any(
                    port.get("kind") is None for port in ports
                )  # hardware in a bridge: the bridge stands for it
            else:
                master = namespace.links.get(link.get("master") or 0, {})
                is_uplink = master.get("kind") != "bridge" and link["name"] != "lo"
            if is_uplink:
                found.append((namespace.index << 32) | index)
    return found
