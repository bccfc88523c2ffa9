"""Who is who in the captures: nodes, namespaces, capture points, and what the snapshots say of them."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ...pcapng.read import CaptureFile, Interface, is_for_drops, is_packet_interface
from .messages_heard import heard_conntrack
from .rings import ring_file
from .snapshots import NodeSnapshots
from .sources import Source

_LINK_FACTS: Final = ("kind", "master", "up", "peer_netns", "peer_index", "other_macs")
"""What is kept of a link, where it says anything, beside its index and its name, which may be empty."""


class Role(IntEnum):
    """Where an interface stands in its namespace; with the direction it gives the place in a packet's way through
    it."""

    DEVICE = 0
    """Not part of a bridge: an uplink, a container's eth0, a tunnel."""
    PORT = 1
    """A bridge port, such as the node's end of a container's veth pair."""
    BRIDGE = 2
    """The bridge device itself, such as docker0."""
    LOOPBACK = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine, by what the snapshots say of it as a whole."""

    boot_id: str | None
    """Of the running kernel; None where no snapshot says."""
    began_ns: int | None
    """When its (last) capture began to take packets, by its own clock; None where no snapshot says."""
    ended_ns: int | None


@dataclass(slots=True, kw_only=True)
class Namespace:
    """One network namespace of one node."""

    index: int
    node: str
    label: str
    """`root`, the container's name, or the name of a named namespace."""
    container: str | None = None
    bridge_nf: bool = False
    """net.bridge.bridge-nf-call-iptables: bridged packets pass the IP hooks."""
    has_conntrack: bool = False
    """Conntrack was recorded in this namespace, so translations here are known, not inferred (messages_heard.py)."""
    known: bool = False
    """A snapshot of its links is in the capture: roles and addresses are facts."""
    addresses: set[str] = field(default_factory=set)
    broadcasts: set[str] = field(default_factory=set)
    """Those of the networks of its addresses (IPv4)."""
    interface_addresses: list[tuple[int, str]] = field(default_factory=list)
    """(interface index, address) when the capture began."""
    links: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Interface index to the link's row of the snapshot."""


@dataclass(slots=True, kw_only=True)
class CapturePoint:
    """(node, netns, interface), and the far end where it is a veth into a container."""

    index: int
    node: str
    namespace: int
    interface: str
    interface_index: int
    role: Role
    container: str | None = None
    """The container at the other end of this port, or in whose namespace this interface is."""
    kind: str | None = None
    """What the kernel calls the device (`veth`, `bridge`, …); None for hardware, or where no snapshot says."""
    filter: str | None = None
    """The capture filter: what it excludes is not seen here."""
    resolution_ns: int = 0
    """Its timestamps are cut to this; 0 for full nanoseconds."""


@dataclass(slots=True, kw_only=True)
class Topology:
    """All namespaces and capture points of all files, numbered."""

    nodes: dict[str, Node]
    """By name, in the order of the files."""
    namespaces: list[Namespace]
    points: list[CapturePoint]
    file_nodes: list[str]
    places: list[npt.NDArray[np.uint32]]
    """Per file: capture point of each of its interfaces."""
    file_namespaces: list[npt.NDArray[np.uint16]]
    """Per file: namespace of each of its interfaces."""
    piece_of: list[int | None]
    """Per file: the first file of the capture that it is a piece of, where it is one (pieces.py)."""
    ring_files: list[tuple[int, int | None, int | None] | None]
    """Per file of a ring (rings.py): its number, and from when to when it has every packet, as far as it says."""
    owners: dict[str, list[tuple[str, str]]]
    """Address to the (node, container name or namespace label) pairs that hold it; overlapping networks give
    several."""

    def is_uplink(self, point: CapturePoint) -> bool:
        """Whether a packet can go from here to another node; what is not known to be inside a node may.

        That is a device of the root namespace, or hardware that is a bridge port, as on most virtualisation hosts.
        """
        namespace = self.namespaces[point.namespace]
        if not namespace.known:
            return True
        hardware_port = point.role == Role.PORT and point.kind is None
        return namespace.label == "root" and (point.role == Role.DEVICE or hardware_port)

    def points_of_namespaces(self) -> list[list[CapturePoint]]:
        """The capture points in each namespace."""
        found: list[list[CapturePoint]] = [[] for _ in self.namespaces]
        for point in self.points:
            found[point.namespace].append(point)
        return found

    def captured_indexes(self) -> list[set[int]]:
        """The indexes of the interfaces that are captured in each namespace."""
        return [{point.interface_index for point in points} for points in self.points_of_namespaces()]

    def node_numbers(self) -> npt.NDArray[np.int64]:
        """Number of the node of each namespace, in the order of the files."""
        numbers = {name: i for i, name in enumerate(self.nodes)}
        return np.array([numbers[n.node] for n in self.namespaces] or [0], np.int64)

    def machine(self, node: str) -> str:
        """Which running kernel's clock stamped its packets: nodes that are namespaces of one machine share it."""
        return self.nodes[node].boot_id or f"node {node}"


def build_topology(captures: Sequence[CaptureFile], sources: Sequence[Source], snapshots: NodeSnapshots) -> Topology:
    """Number the namespaces and capture points of all files, with what their `snapshots` say.

    Files of one node (same name in the file or given as NODE=) share its namespaces and its clock.
    """
    nodes = {node: _node(snapshots, node) for node in snapshots.file_nodes}
    topology = Topology(
        nodes=nodes, namespaces=[], points=[], file_nodes=snapshots.file_nodes, places=[], file_namespaces=[],
        piece_of=[source.piece_of for source in sources],
        ring_files=[
            (ring.number, *span) if (ring := ring_file(capture)) else None
            for capture, span in zip(captures, snapshots.spans, strict=True)
        ],
        owners={},
    )  # fmt: skip
    namespaces: dict[tuple[str, str], Namespace] = {}
    points: dict[tuple[int, str, int], CapturePoint] = {}
    for capture, source, node in zip(captures, sources, snapshots.file_nodes, strict=True):
        places = np.zeros(len(capture.interfaces), np.uint32)
        file_namespaces = np.zeros(len(capture.interfaces), np.uint16)
        again = _times_before(capture.interfaces)
        for i, interface in enumerate(capture.interfaces):
            label = interface.facts.get("netns") or "root"
            namespace = namespaces.setdefault((node, label), Namespace(index=len(namespaces), node=node, label=label))
            namespace.container = interface.facts.get("container") or namespace.container
            if not is_for_drops(interface):
                namespace.has_conntrack |= heard_conntrack(capture, i)
            file_namespaces[i] = namespace.index
            if is_packet_interface(interface):
                places[i] = _point(points, node, namespace, interface, source, again[i]).index
        topology.places.append(places)
        topology.file_namespaces.append(file_namespaces)
    topology.namespaces = list(namespaces.values())
    topology.points = list(points.values())
    for namespace in topology.namespaces:
        _describe_namespace(namespace, snapshots)
    for point in topology.points:
        _describe_point(topology, point)
    _collect_owners(topology, snapshots)
    return topology


def _node(snapshots: NodeSnapshots, node: str) -> Node:
    captured = snapshots.of_node(node, "capture", "stop")
    began_ns, ended_ns = captured.get("started_ns"), captured.get("ended_ns")
    return Node(
        boot_id=snapshots.of_node(node, "node").get("boot_id"),
        began_ns=began_ns if isinstance(began_ns, int) else None,
        ended_ns=ended_ns if isinstance(ended_ns, int) else None,
    )


def _times_before(interfaces: Sequence[Interface]) -> list[int]:
    """Of each interface that says nothing but its name: how many of the same name the file describes before it. Each is
    a point, for a file that others merged does not say whose they are."""
    seen: dict[str, int] = {}
    found = []
    for interface in interfaces:
        plain = is_packet_interface(interface) and not interface.facts
        found.append(seen.get(interface.name, 0) if plain else 0)
        if plain:
            seen[interface.name] = seen.get(interface.name, 0) + 1
    return found


def _point(
    points: dict[tuple[int, str, int], CapturePoint],
    node: str,
    namespace: Namespace,
    interface: Interface,
    source: Source,
    again: int,
) -> CapturePoint:
    # NODE/any=FILE cannot name the interfaces that `tcpdump -i any` tells apart by their numbers.
    cooked = bool(interface.facts.get("cooked"))
    name = (source.interface if not cooked else None) or interface.name or source.stem
    if again and not source.interface:
        name = f"{name} ({again + 1})"
    number = int(interface.facts.get("ifindex") or 0)
    role = Role.LOOPBACK if name == "lo" else Role.BRIDGE if name.startswith(("docker", "br-")) else Role.DEVICE
    if name.startswith("veth") and namespace.label == "root":
        role = Role.PORT  # a guess for captures without a snapshot; the snapshot corrects it
    point = points.setdefault(
        (namespace.index, name, number),
        CapturePoint(
            index=len(points), node=node, namespace=namespace.index, interface=name, interface_index=number, role=role
        ),
    )
    point.filter = interface.filter or point.filter
    if interface.units_per_second < 1_000_000_000:
        point.resolution_ns = max(point.resolution_ns, 1_000_000_000 // interface.units_per_second)
    return point


def _describe_namespace(namespace: Namespace, snapshots: NodeSnapshots) -> None:
    node, label = namespace.node, namespace.label
    for links in snapshots.ever(node, label, "links"):
        for link in links:
            said = {fact: link[fact] for fact in _LINK_FACTS if link.get(fact)}
            namespace.links[link["index"]] = {"index": link["index"], "name": link["name"], **said}
            namespace.known = True
    for held in snapshots.ever(node, label, "addresses"):
        namespace.interface_addresses = [(row["index"], row["address"]) for row in held]
        namespace.addresses.update(row["address"] for row in held)
        namespace.broadcasts.update(filter(None, map(_broadcast, held)))
    sysctls = snapshots.of_namespace(node, label, "sysctls")
    namespace.bridge_nf = str(sysctls.get("net.bridge.bridge-nf-call-iptables", "0")) == "1"


def _broadcast(held: dict[str, Any]) -> str | None:
    """The broadcast address of the network of an address; those of 31 bits and more have none (RFC 3021)."""
    length = held.get("prefix")
    if ":" in held["address"] or not isinstance(length, int) or not 0 <= length <= 30:
        return None
    return str(ipaddress.ip_interface(f"{held['address']}/{length}").network.broadcast_address)


def _describe_point(topology: Topology, point: CapturePoint) -> None:
    namespace = topology.namespaces[point.namespace]
    point.container = namespace.container
    link = namespace.links.get(point.interface_index)
    if link is None:
        return
    point.kind = link.get("kind")
    if point.interface == f"if{point.interface_index}":
        point.interface = link["name"]  # SLL2 has the number only
    point.role = Role.DEVICE
    if link["name"] == "lo":
        point.role = Role.LOOPBACK
    elif link.get("kind") == "bridge":
        point.role = Role.BRIDGE
    elif namespace.links.get(link.get("master") or 0, {}).get("kind") == "bridge":
        point.role = Role.PORT  # a master may be a bond or a VRF as well
    if point.container is None:
        peer = link.get("peer_netns")
        point.container = peer if peer != "root" else None


def _collect_owners(topology: Topology, snapshots: NodeSnapshots) -> None:
    for namespace in topology.namespaces:
        for address in namespace.addresses:
            _own(topology, address, namespace.node, namespace.label)
    for node in topology.nodes:
        for containers in snapshots.ever(node, None, "containers")[::-1]:
            for container in containers:
                for address in container.get("addresses") or []:
                    _own(topology, address, node, container["name"])


def _own(topology: Topology, address: str, node: str, name: str) -> None:
    try:
        if ipaddress.ip_address(address).is_loopback:
            return
    except ValueError:
        return  # an empty address of a container without a network
    owners = topology.owners.setdefault(address, [])
    if (node, name) not in owners:
        owners.append((node, name))
