"""What joins sessions to connections: conntrack tuples, conntrack ids, and the same packet in two namespaces.

Each function returns pairs of session ends, (n, 2) int64: session * 2 + orientation, so that a pair also says which
direction of the one is which direction of the other.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from .evaluations import Evaluations
from .sessions import SessionIndex, index_places, orientation_of, pair_key
from .topology import Topology

_SAME_PACKET_NS: Final = 10_000_000_000
"""Two sightings of one packet on one node are at most this far apart."""
_LIFETIME_SLACK_NS: Final = 2_000_000_000
"""Conntrack messages are stamped when they are received."""


def conntrack_links(
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
    return _lifetime_links(
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
            if best >= 0 and most > -50_000_000 and count < links.shape[0]:
                links[count, 0] = 2 * sessions[a[x]] + o_before[i]
                links[count, 1] = 2 * sessions[b[best]] + o_after[i]
                count += 1
        i = j
    return links[:count]


def conntrack_id_links(
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


def same_flow_links(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    nodes: npt.NDArray[np.int64],
    on_wire: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int64]:
    """The same packet under the same addresses in two namespaces: of one node, or where it goes from one to another.

    Addresses alone would not do: every Docker host has a 172.17.0.2.
    """
    node = nodes[sightings["namespace"]]
    links = [_adjacent(sightings, times_ns, ends, node, np.arange(sightings.size), _SAME_PACKET_NS)]
    if nodes.size and nodes.max() > 0:
        links.append(_adjacent(sightings, times_ns, ends, np.zeros_like(node), np.flatnonzero(on_wire), None))
    return np.concatenate(links)


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


def sightings_on_wires(
    sightings: npt.NDArray[np.void], evaluations: Evaluations, topology: Topology
) -> npt.NDArray[np.bool_]:
    """Per sighting: the packet is where it can go to another node, or come from one.

    That is a frame at an uplink, or a chain that saw it coming in by one or, in postrouting, going out. What is not
    known to be inside a node may be on a wire.
    """
    observed = sightings.size - evaluations.rows.size
    points = np.array([topology.is_uplink(p) for p in topology.points] or [False], np.bool_)
    found = np.zeros(sightings.size, np.bool_)
    found[:observed] = points[sightings["place"][:observed]]
    if evaluations.rows.size:
        hook = np.array([_HOOKS_ON_WIRES.get(chain.base.hook, 0) for chain in evaluations.chains])
        side = hook[evaluations.rows["chain"]]
        device = np.where(side == 1, evaluations.rows["input_index"], evaluations.rows["output_index"]).astype(np.int64)
        namespace = sightings["namespace"][observed:].astype(np.int64)
        found[observed:] = (side > 0) & np.isin((namespace << 32) | device, _uplink_devices(topology))
    return found


_HOOKS_ON_WIRES: Final = {"prerouting": 1, "postrouting": 2}
"""Hooks next to a wire: 1 at the input device, 2 at the output device."""


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
