"""Who is who in the captures: nodes, namespaces, capture points, and what the snapshots say of them."""

import ipaddress
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import TtraceError
from ...pcapng.blocks import LinkType
from ...pcapng.read import CaptureFile, Interface, is_packet_interface
from .snapshots import Key, read_snapshots
from .sources import Source


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
    """The capture holds conntrack messages of this namespace, so translations here are known, not inferred."""
    known: bool = False
    """A snapshot of its links is in the capture: roles and addresses are facts."""
    addresses: set[str] = field(default_factory=set)
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

    namespaces: list[Namespace]
    points: list[CapturePoint]
    file_nodes: list[str]
    places: list[npt.NDArray[np.uint32]]
    """Per file: capture point of each of its interfaces."""
    file_namespaces: list[npt.NDArray[np.uint16]]
    """Per file: namespace of each of its interfaces."""
    snapshots: dict[tuple[str, str | None, str, str], Any]
    """(node, netns label, kind, moment) to data."""
    rulesets: dict[tuple[str, str | None], list[tuple[int, Any]]]
    """(node, netns label) to (time in ns, data) of every ruleset snapshot, earliest first."""
    damaged_snapshots: list[int]
    """Per file: snapshots that could not be read."""
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

    def node_numbers(self) -> npt.NDArray[np.int64]:
        """Number of the node of each namespace, in the order of the files."""
        numbers = {name: i for i, name in enumerate(dict.fromkeys(self.file_nodes))}
        return np.array([numbers[n.node] for n in self.namespaces] or [0], np.int64)

    def snapshot(self, namespace: Namespace, kind: str, moment: str = "start") -> Any:  # noqa: ANN401 - JSON
        """Data of one snapshot, None when the capture has none."""
        return self.snapshots.get((namespace.node, namespace.label, kind, moment))


def build_topology(captures: list[CaptureFile], sources: list[Source]) -> Topology:
    """Number the namespaces and capture points of all files, with what their snapshots say.

    Files of one node (same name in the file or given as NODE=) share its namespaces and its clock.
    """
    topology = Topology(
        namespaces=[],
        points=[],
        file_nodes=[],
        places=[],
        file_namespaces=[],
        snapshots={},
        rulesets={},
        damaged_snapshots=[],
        owners={},
    )
    namespaces: dict[tuple[str, str], Namespace] = {}
    points: dict[tuple[int, str, int], CapturePoint] = {}
    for capture, source in zip(captures, sources, strict=True):
        node = source.node or capture.facts.get("node") or _stem(source.path)
        topology.file_nodes.append(node)
        snapshots = read_snapshots(capture)
        topology.damaged_snapshots.append(snapshots.damaged)
        known = topology.snapshots.get((node, None, "node", "start"))
        for time_ns, key, data in snapshots.found:
            _refuse_another_machine(known, node, key, data, source)
            topology.snapshots[(node, *key)] = data
            if key.kind == "ruleset":
                topology.rulesets.setdefault((node, key.netns), []).append((time_ns, data))
        places = np.zeros(len(capture.interfaces), np.uint32)
        file_namespaces = np.zeros(len(capture.interfaces), np.uint16)
        for i, interface in enumerate(capture.interfaces):
            label = interface.facts.get("netns") or "root"
            namespace = namespaces.setdefault((node, label), Namespace(index=len(namespaces), node=node, label=label))
            namespace.container = interface.facts.get("container") or namespace.container
            namespace.has_conntrack |= interface.link_type == LinkType.NETLINK
            file_namespaces[i] = namespace.index
            if is_packet_interface(interface):
                places[i] = _point(points, node, namespace, interface, source).index
        topology.places.append(places)
        topology.file_namespaces.append(file_namespaces)
    topology.namespaces = list(namespaces.values())
    topology.points = list(points.values())
    for namespace in topology.namespaces:
        _describe_namespace(topology, namespace)
    for point in topology.points:
        _describe_point(topology, point)
    _collect_owners(topology)
    return topology


def _stem(path: str) -> str:
    return Path(path).name.split(".")[0] if path != "-" else "stdin"


def _refuse_another_machine(known: Any, node: str, key: Key, data: Any, source: Source) -> None:  # noqa: ANN401
    """Two machines with one host name would be taken for one; `known`: what an earlier file says of the node."""
    if key != Key(None, "node", "start") or not known:
        return
    boots = known.get("boot_id"), data.get("boot_id")
    if None not in boots and boots[0] != boots[1]:
        raise TtraceError(
            f"`{source.path}` is from another machine (or boot) that is called `{node}` as well",
            f"name them apart: `{node}-2={source.path}`",
        )


def _point(
    points: dict[tuple[int, str, int], CapturePoint],
    node: str,
    namespace: Namespace,
    interface: Interface,
    source: Source,
) -> CapturePoint:
    # NODE/any=FILE cannot name the interfaces that `tcpdump -i any` tells apart by their numbers.
    cooked = bool(interface.facts.get("cooked"))
    name = (source.interface if not cooked else None) or interface.name or _stem(source.path)
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


def _describe_namespace(topology: Topology, namespace: Namespace) -> None:
    for moment in ("stop", "start"):
        for link in topology.snapshot(namespace, "links", moment) or []:
            namespace.links[link["index"]] = link
            namespace.known = True
        namespace.addresses.update(a["address"] for a in topology.snapshot(namespace, "addresses", moment) or [])
    sysctls = topology.snapshot(namespace, "sysctls") or {}
    namespace.bridge_nf = str(sysctls.get("net.bridge.bridge-nf-call-iptables", "0")) == "1"


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


def _collect_owners(topology: Topology) -> None:
    for namespace in topology.namespaces:
        for address in namespace.addresses:
            _own(topology, address, namespace.node, namespace.label)
    for (node, _, kind, _moment), data in topology.snapshots.items():
        if kind == "containers":
            for container in data:
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
