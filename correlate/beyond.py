"""Where a packet that leaves must come in next, if that is captured: on another node, or in the root of its own."""

import ipaddress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..pcapng.blocks import Direction
from .topology import Role, Topology


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
    def build(cls, topology: Topology, observations: npt.NDArray[np.void]) -> "Beyond":
        """From the snapshots' addresses, and from what was seen coming in by uplinks (SIGHTING rows)."""
        high, low, owner = [], [], []
        for namespace in topology.namespaces:
            uplinks = [p for p in topology.points if p.namespace == namespace.index and topology.is_uplink(p)]
            # A bridge with hardware in it has the address that the wire knows.
            masters = [namespace.links.get(p.interface_index, {}).get("master") for p in uplinks]
            captured = {p.interface_index for p in uplinks} | {m for m in masters if m}
            if namespace.label != "root" or not namespace.known:
                continue
            for row in topology.snapshot(namespace, "addresses") or []:
                if row["index"] in captured:
                    number = int(ipaddress.ip_address(row["address"]))
                    number |= 0xFFFF << 32 if "." in row["address"] else 0
                    high.append(number >> 64)
                    low.append(number & (2**64 - 1))
                    owner.append(namespace.index)
        uplink = np.array([topology.is_uplink(p) for p in topology.points] or [False], np.bool_)
        known = np.array([n.known for n in topology.namespaces] or [False], np.bool_)
        came = observations[
            uplink[observations["place"]]
            & (observations["direction"] == Direction.IN)
            & known[observations["namespace"]]
            & (observations["ip_version"] > 0)
        ]
        keys = np.concatenate(
            [
                _key(np.array(high, np.uint64), np.array(low, np.uint64)),
                _key(came["destination_high"], came["destination_low"]),
            ]
        )
        owners = np.concatenate([np.array(owner, np.int64), came["namespace"].astype(np.int64)])
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
        key = _key(rows["destination_high"], rows["destination_low"])
        at = np.minimum(np.searchsorted(self.keys, key), self.keys.size - 1)
        found = np.where(self.keys[at] == key, self.namespaces[at], -1)
        return np.where(found == namespace, -1, found)

    def root_of(self, namespace: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Per row: the root namespace of its own node, -1 where its ports are not captured."""
        return self.roots[namespace]


def _roots(topology: Topology) -> npt.NDArray[np.int64]:
    with_ports = {p.namespace for p in topology.points if p.role == Role.PORT}
    root = {n.node: n.index for n in topology.namespaces if n.label == "root" and n.index in with_ports}
    return np.array([root.get(n.node, -1) for n in topology.namespaces] or [-1], np.int64)


def _key(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    return high * np.uint64(0x9E3779B97F4A7C15) ^ low * np.uint64(0xBF58476D1CE4E5B9)
