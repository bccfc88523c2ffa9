"""What joins sessions of the same address pair: the same packet, seen in two namespaces.

Ties are pairs of session ends, (n, 2) int64, as in ties_by_conntrack.py.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import Runs, distinct_pairs
from ..arrays.growing import doubled
from ..netfilter.numbers import Hook
from ..nodes.topology import Topology
from ..sightings import frames, told

_SAME_PACKET_NS: Final = 10_000_000_000
"""Two sightings of one packet on one node are at most this far apart."""


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
    flow, node = np.empty(sightings.size, np.uint64), np.empty(sightings.size, np.int32)
    _note_flow_and_node(sightings, nodes, flow, node)
    runs = contents.sorted_by(times_ns, flow)
    several = int(nodes.max()) + 1 if nodes.size else 1
    most = int(ends.max()) + 1 if ends.size else 0
    seen = _Seen(flow=flow, times_ns=times_ns, ends=ends, node=node, on_wire=on_wire)
    return distinct_pairs(_same_flow(runs.rows, runs.start, seen, several, most))


class _Seen(NamedTuple):
    """Columns per sighting."""

    flow: npt.NDArray[np.uint64]
    times_ns: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    node: npt.NDArray[np.int32]
    on_wire: npt.NDArray[np.bool_]


@njit(cache=True, nogil=True)
def _note_flow_and_node(sightings, nodes, flow, node):
    for i in range(sightings.size):
        row = sightings[i]
        flow[i] = row.flow
        node[i] = nodes[row.namespace]


@njit(cache=True, nogil=True)
def _same_flow(rows, start, seen, nodes, most):
    """Two ends of one packet that follow each other in time, on one node or on the wires between several; most of them
    once only. `rows`: by content, flow and time; `nodes`, `most`: how many nodes and ends there are."""
    pairs = np.empty((1024, 2), np.int64)
    count = 0
    latest = np.full(nodes + 1, np.int64(-1))  # of each node, and behind them of all wires
    told = np.full((most, 2), np.int64(-1))  # what was last said of each end: on its node, and on a wire
    for g in range(start.size - 1):
        for k in range(start[g], start[g + 1]):
            b = rows[k]
            if k == start[g] or seen.flow[b] != seen.flow[rows[k - 1]]:
                latest[:] = -1
            for wire in range(2):
                if wire == 1 and (nodes == 1 or not seen.on_wire[b]):
                    continue
                slot = nodes if wire == 1 else np.int64(seen.node[b])
                a = latest[slot]
                latest[slot] = b
                if a < 0 or seen.ends[a] == seen.ends[b] or told[seen.ends[a], wire] == seen.ends[b]:
                    continue
                if wire == 0 and seen.times_ns[b] - seen.times_ns[a] > _SAME_PACKET_NS:
                    continue
                told[seen.ends[a], wire] = seen.ends[b]
                if count == pairs.shape[0]:
                    pairs = doubled(pairs)
                pairs[count, 0] = seen.ends[a]
                pairs[count, 1] = seen.ends[b]
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
    _mark_those_at(seen, points, found)
    if said.size:
        comes, goes = said["hook"] == Hook.PREROUTING, said["hook"] == Hook.POSTROUTING
        device = np.where(comes, said["input_index"], said["output_index"]).astype(np.int64)
        namespace = sightings["namespace"][behind].astype(np.int64)
        found[behind] = (comes | goes) & np.isin((namespace << 32) | device, _uplink_devices(topology))
    return found


@njit(cache=True, nogil=True)
def _mark_those_at(observations, points, found):
    for i in range(observations.size):
        found[i] = points[observations[i].place]


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
