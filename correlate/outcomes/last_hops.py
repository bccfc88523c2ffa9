"""The last sighting of each packet, with what is known of the place where it was."""

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import Direction
from ..arrays.grouping import first_with
from ..netfilter.evaluations import LAST_PRIORITY, Evaluations
from ..netfilter.numbers import Hook
from ..nodes.topology import Role, Topology
from ..sightings import FRAME
from .address_keys import address_halves, owner_keys

_CHILDREN: Final = ("macvlan", "macvtap", "ipvlan", "ipvtap")
"""Kinds of devices that take frames of another before it does (rx_handler of drivers/net/macvlan.c)."""


class LastHops:
    """The last sighting of each packet, with the facts that the judgement needs, as columns."""

    def __init__(
        self,
        rows: npt.NDArray[np.void],
        times_ns: npt.NDArray[np.int64],
        station: npt.NDArray[np.int64],
        evaluation: npt.NDArray[np.int64],
        topology: Topology,
        evaluations: Evaluations,
    ) -> None:
        self.rows, self.times_ns, self.station = rows, times_ns, station
        self.is_frame = rows["kind"] == FRAME
        self.is_evaluation = evaluation >= 0
        self.evaluation = np.maximum(evaluation, 0)
        self.namespace = rows["namespace"].astype(np.int64)
        self.topology, self.evaluations = topology, evaluations
        points = topology.points
        place = np.where(self.is_frame, rows["place"], 0)
        self.role = gather([int(p.role) for p in points], place)
        self.is_out = self.is_frame & (rows["direction"] == Direction.OUT)
        self.locations = _locations(topology)
        index = {location: i for i, location in enumerate(self.locations)}
        own = [index[(n.node, n.label)] for n in topology.namespaces]
        self.namespace_location = gather(own, self.namespace)
        self.container_of_namespace = [-1 if n.label == "root" else own[i] for i, n in enumerate(topology.namespaces)]
        self.far_of_point = [index.get((p.node, p.container), -1) if p.container else -1 for p in points]
        self.role_of_point = [int(p.role) for p in points]
        self.far_location = np.where(self.is_frame, gather(self.far_of_point, place), -1)
        hardware = [int(p.role == Role.PORT and topology.is_uplink(p)) for p in points]
        self.is_hardware = self.is_frame & (gather(hardware, place) == 1)
        shared = [int(is_shared) for is_shared in _shared_points(topology)]
        self.is_shared = self.is_frame & (gather(shared, place) == 1)
        self.ports = np.where(self.is_frame, gather(_ports_captured(topology), place), Ports.NONE)
        self.owner_keys = _owner_table(topology, index)
        self.is_root = gather([int(n.label == "root") for n in topology.namespaces], self.namespace) == 1
        self.behind_all_chains, self.before_last_chain = self._beside_last_chains()
        self.known = gather([int(n.known) for n in topology.namespaces], self.namespace) == 1

    def _beside_last_chains(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Of those that a chain saw last: it was ttrace's own, the last of its hook; another, and ttrace has one behind
        it there that did not see the packet."""
        chains = self.evaluations.chains
        if self.evaluations.rows.size == 0:
            return np.zeros(self.rows.size, np.bool_), np.zeros(self.rows.size, np.bool_)
        # Its table is put into a namespace as a whole: one chain of it in a trace tells of all.
        traced = {chain.namespace for chain in chains if chain.own}
        is_last = [int(chain.own and chain.base.priority > 0) for chain in chains]
        # Of a chain that is in no snapshot nobody knows which hook it hangs at.
        earlier = [
            int(
                c.namespace in traced
                and c.family in ("ip", "ip6", "inet")
                and c.base.priority < LAST_PRIORITY
                and Hook.named(c.base.hook) is not Hook.UNKNOWN
            )
            for c in chains
        ]
        chain = self.evaluations.rows["chain"][self.evaluation]
        last = self.is_evaluation & (gather(is_last, chain) == 1)
        return last, self.is_evaluation & ~last & (gather(earlier, chain) == 1)

    def owned_by(self, location: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """The destination address belongs to the location (per row; -1 to none)."""
        key = owner_keys(self.rows["destination_high"], self.rows["destination_low"], location)
        return (first_with(self.owner_keys, key) >= 0) & (location >= 0)

    def owner_on_node(self, which: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The location on its own node that has the destination address, -1 when none, of some of the rows."""
        found = np.full(which.size, -1, np.int64)
        nodes = [n.node for n in self.topology.namespaces]
        for node in set(nodes):
            here = np.isin(self.namespace[which], [n for n, name in enumerate(nodes) if name == node])
            places = np.array([i for i, (name, _) in enumerate(self.locations) if name == node], np.int64)
            rows = self.rows.take(which[here])
            addresses, inverse = np.unique(rows[["destination_high", "destination_low"]], return_inverse=True)
            owner = np.full(addresses.size, -1, np.int64)
            for place in places:
                key = owner_keys(
                    addresses["destination_high"], addresses["destination_low"], np.full(owner.size, place)
                )
                owner[(owner < 0) & np.isin(key, self.owner_keys)] = place
            found[here] = owner[inverse.reshape(-1)]
        return found


class Ports(IntEnum):
    """How many of a bridge's ports are captured."""

    NONE = 0
    SOME = 1
    ALL = 2


def _ports_captured(topology: Topology) -> list[int]:
    """Per capture point, of the bridge that it is."""
    found = []
    captured_in = topology.captured_indexes()
    ports_of: dict[tuple[int, int], set[int]] = {}
    for namespace in topology.namespaces:
        for index, link in namespace.links.items():
            if link.get("up") and link.get("master"):
                ports_of.setdefault((namespace.index, link["master"]), set()).add(index)
    for point in topology.points:
        ports, captured = ports_of.get((point.namespace, point.interface_index), set()), captured_in[point.namespace]
        some = bool(ports & captured)
        found.append(int(Ports.ALL if some and ports <= captured else Ports.SOME if some else Ports.NONE))
    return found


def _shared_points(topology: Topology) -> list[bool]:
    """Per capture point: frames that come in here are also for others, which take them where no capture sees it:
    children of macvlan and ipvlan, in any namespace."""
    parents = {
        (namespace.node, link.get("peer_index"))
        for namespace in topology.namespaces
        for link in namespace.links.values()
        if link.get("kind") in _CHILDREN
    }
    return [
        (point.node, point.interface_index) in parents
        or bool(topology.namespaces[point.namespace].links.get(point.interface_index, {}).get("other_macs"))
        for point in topology.points
    ]


def gather(values: list[int], index: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """The value at each index; 0 where there are none."""
    return np.array(values or [0], np.int64)[index]


def _locations(topology: Topology) -> list[tuple[str, str]]:
    found = [(n.node, n.label) for n in topology.namespaces]
    found += [owner for owners in topology.owners.values() for owner in owners]
    found += [(p.node, p.container) for p in topology.points if p.container]
    return list(dict.fromkeys(found))


def _owner_table(topology: Topology, index: dict[tuple[str, str], int]) -> npt.NDArray[np.uint64]:
    """Keys of the addresses and the locations that have them."""
    owned = [(address, index[owner]) for address, owners in topology.owners.items() for owner in owners]
    high, low = address_halves(address for address, _ in owned)
    return owner_keys(high, low, np.array([location for _, location in owned], np.int64))
