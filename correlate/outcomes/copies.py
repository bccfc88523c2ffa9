"""Drops that may be of a copy: a bridge, and a switch, flood to all ports what is addressed to none that they know."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import Direction
from ..nodes.topology import Role
from ..sightings import FRAME
from .tables import Tables

FLOODED: Final = (b"OTHERHOST", b"UNICAST_IN_L2_MULTICAST", b"BRIDGE_INGRESS_STP_STATE")
"""Reasons for which a frame that a bridge or a switch floods is dropped by all to whom it is not addressed."""


def came_straight(
    tables: Tables, paths: npt.NDArray[np.int64], rows: npt.NDArray[np.void], device: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Per path and its drop (SIGHTING rows, with the device of each): the frame was seen to leave by the other end of
    that veth pair, so nobody else had one."""
    far = _far_points(tables)
    if not far:
        return np.zeros(paths.size, np.bool_)
    key = rows["namespace"].astype(np.int64) << 32 | device
    known = np.array(sorted(far), np.int64)
    at = np.minimum(np.searchsorted(known, key), known.size - 1)
    point = np.where(known[at] == key, np.array([far[one] for one in known.tolist()], np.int64)[at], -1)
    wanted = np.full(int(tables.hops["packet"].max(initial=-1)) + 1, -2, np.int64)
    wanted[paths] = point
    seen = tables.sightings.take(tables.hops["sighting"])
    left = (seen["kind"] == FRAME) & (seen["direction"] == Direction.OUT)
    straight = np.zeros(wanted.size, np.bool_)
    packet = tables.hops["packet"]
    straight[packet[left & (seen["place"].astype(np.int64) == wanted[packet])]] = True
    return straight[paths]


def _far_points(tables: Tables) -> dict[int, int]:
    """Namespace and ifindex (in one number) of each end of a veth pair to the capture point that the other end is."""
    topology = tables.topology
    numbers = {(one.node, one.label): one.index for one in topology.namespaces}
    points = {(point.namespace, point.interface_index): point for point in topology.points}
    found = {}
    for namespace in topology.namespaces:
        for index, link in namespace.links.items():
            peer = numbers.get((namespace.node, link.get("peer_netns") or namespace.label), -1)
            point = points.get((peer, link.get("peer_index") or 0))
            if link.get("kind") != "veth" or point is None or point.role != Role.DEVICE:
                continue
            other = topology.namespaces[peer].links.get(point.interface_index, {})
            if other.get("peer_index") == index:  # ends of other pairs may have equal numbers in other namespaces
                found[namespace.index << 32 | index] = point.index
    return found


def are_flooded(tables: Tables, paths: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Per path: it left by several ports of a bridge."""
    ports = np.array([point.role == Role.PORT for point in tables.topology.points] or [False], np.bool_)
    packet, seen = tables.hops["packet"], tables.sightings.take(tables.hops["sighting"])
    left = (seen["kind"] == FRAME) & (seen["direction"] == Direction.OUT)
    left &= ports[np.where(left, seen["place"], 0)]
    places = np.unique(packet[left].astype(np.int64) << 32 | seen["place"][left].astype(np.int64)) >> 32
    count = np.bincount(places, minlength=int(packet.max(initial=-1)) + 1)
    return count[paths] > 1
