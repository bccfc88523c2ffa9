"""Where a packet that leaves must come in next, if that is captured: on another node, or in the root of its own."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...pcapng.blocks import Direction
from ..arrays.grouping import first_with, group_ids, hashed
from ..nodes.topology import Role, Topology
from .address_keys import address_halves, address_key, address_keys

_IN = int(Direction.IN)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Destination addresses of what was seen coming in by uplinks, each once per namespace."""

    keys: npt.NDArray[np.uint64]
    """Hashes of addresses."""
    namespaces: npt.NDArray[np.int64]

    @classmethod
    def of(cls, topology: Topology, observations: npt.NDArray[np.void]) -> "Arrivals":
        """From SIGHTING rows of captured frames."""
        uplink = np.array([topology.is_uplink(p) for p in topology.points] or [False], np.bool_)
        known = np.array([n.known for n in topology.namespaces] or [False], np.bool_)
        counts = np.array([uplink[p.index] and known[p.namespace] for p in topology.points] or [False], np.bool_)
        keys, namespaces = _came_in(observations, counts)
        _, first = group_ids(hashed(keys, namespaces))
        return cls(keys[first], namespaces[first]).merged()

    def merged(self, *others: "Arrivals") -> "Arrivals":
        """All of these together, each once."""
        every = (self, *others)
        keys = np.concatenate([one.keys for one in every])
        namespaces = np.concatenate([one.namespaces for one in every])
        order = np.lexsort((namespaces, keys))
        keys, namespaces = keys[order], namespaces[order]
        new = np.append(True, (keys[1:] != keys[:-1]) | (namespaces[1:] != namespaces[:-1]))[: keys.size]
        return Arrivals(keys[new], namespaces[new])


@dataclass(frozen=True, slots=True)
class Beyond:
    """Destination addresses and the root namespaces whose captured uplinks receive them."""

    keys: npt.NDArray[np.uint64]
    """Sorted hashes of addresses."""
    namespaces: npt.NDArray[np.int64]
    """The namespace of each; -1 where several would receive it."""
    roots: npt.NDArray[np.int64]
    """Per namespace: the root of its node, if its ports are captured, else -1."""

    @classmethod
    def build(cls, topology: Topology, arrivals: Arrivals) -> "Beyond":
        """From the snapshots' addresses, and from what was seen coming in by uplinks."""
        addresses, owner = [], []
        points = topology.points_of_namespaces()
        for namespace in topology.namespaces:
            uplinks = [p for p in points[namespace.index] if topology.is_uplink(p)]
            # A bridge with hardware in it has the address that the wire knows.
            masters = [namespace.links.get(p.interface_index, {}).get("master") for p in uplinks]
            captured = {p.interface_index for p in uplinks} | {m for m in masters if m}
            if namespace.label != "root" or not namespace.known:
                continue
            for interface, address in namespace.interface_addresses:
                if interface in captured:
                    addresses.append(address)
                    owner.append(namespace.index)
        keys = np.concatenate([address_keys(*address_halves(addresses)), arrivals.keys])
        owners = np.concatenate([np.array(owner, np.int64), arrivals.namespaces])
        order = np.lexsort((owners, keys))
        keys, owners = keys[order], owners[order]
        first = np.append(True, keys[1:] != keys[:-1]) if keys.size else np.empty(0, np.bool_)
        heads = np.flatnonzero(first)
        last = np.append(heads[1:], keys.size) - 1 if heads.size else heads
        several = owners[heads] != owners[last]
        return cls(keys[heads], np.where(several, -1, owners[heads]), _roots(topology))

    def find(self, rows: npt.NDArray[np.void], namespace: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Per row: the other node's root that receives its destination, -1 for none or its own."""
        if self.keys.size == 0:
            return np.full(rows.size, -1, np.int64)
        key = address_keys(rows["destination_high"], rows["destination_low"])
        at = first_with(self.keys, key)
        found = np.where(at >= 0, self.namespaces[np.maximum(at, 0)], -1)
        return np.where(found == namespace, -1, found)

    def root_of(self, namespace: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Per row: the root namespace of its own node, -1 where its ports are not captured."""
        return self.roots[namespace]


def _roots(topology: Topology) -> npt.NDArray[np.int64]:
    with_ports = {p.namespace for p in topology.points if p.role == Role.PORT}
    root = {n.node: n.index for n in topology.namespaces if n.label == "root" and n.index in with_ports}
    return np.array([root.get(n.node, -1) for n in topology.namespaces] or [-1], np.int64)


@njit(cache=True, nogil=True)
def _came_in(observations, counts):
    """(Destination, namespace) of what came in at the capture points that count."""
    keys = np.empty(observations.size, np.uint64)
    namespaces = np.empty(observations.size, np.int64)
    count = 0
    for i in range(observations.size):
        row = observations[i]
        if counts[row.place] and row.direction == _IN and row.ip_version > 0:
            keys[count] = address_key(row.destination_high, row.destination_low)
            namespaces[count] = row.namespace
            count += 1
    return keys[:count].copy(), namespaces[:count].copy()
