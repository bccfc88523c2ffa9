"""What one capture file holds, without correlating it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...pcapng.blocks import LinkType
from ...pcapng.capture_file import left_out
from ...pcapng.read import CaptureFile, is_for_drops, is_packet_interface, read_capture
from ...pcapng.shrinking import refuse_shorter
from ..netfilter.sources import decode_messages
from ..nodes.counted_drops import CountedDrops
from ..nodes.merged import take_apart
from ..nodes.snapshots import NodeSnapshots, gather_snapshots
from ..nodes.sources import Source
from ..nodes.surroundings import drops_of_files
from ..nodes.topology import Topology, build_topology
from ..schema import CONNTRACK_DUMPED


@dataclass(frozen=True, slots=True, kw_only=True)
class PointDescription:
    """One capture point."""

    netns: str
    interface: str
    container: str | None
    packets: int
    received: int | None
    lost: int | None
    """None where the file does not say."""
    filter: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceDescription:
    """What the kernel said in one namespace."""

    netns: str
    trace_events: int
    conntrack_events: int
    conntrack_entries: int
    """Entries of the table dumped at the start."""
    lost: int | None
    """None where the file does not say."""
    rules: int | None
    """Rules in the first snapshot; None without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureDescription:
    """One capture file."""

    file: str
    bytes: int
    node: str
    is_ttrace: bool
    settings: dict[str, Any]
    """The `capture` snapshot; empty for a file of another tool."""
    machine: dict[str, Any]
    """The `node` snapshot."""
    containers: tuple[str, ...]
    records: int
    """Packet blocks of the file: frames, kernel messages and snapshots."""
    start_ns: int | None
    end_ns: int | None
    truncated_at: int | None
    snapshots: int
    points: tuple[PointDescription, ...]
    namespaces: tuple[NamespaceDescription, ...]
    kernel_drops: tuple[CountedDrops, ...] | None
    """Packets that the kernel dropped on the whole machine, where they were counted; None where they were not."""


def describe_capture(path: str, max_expanded: int | None = None) -> list[CaptureDescription]:
    """Describe a capture file; where it holds those of several nodes, each of them. Raises TtraceError when it is
    none."""
    source = Source.parse(path)
    described = [
        _describe(capture, named)
        for capture, named in zip(*take_apart([read_capture(source.path, max_expanded)], [source]), strict=True)
    ]
    refuse_shorter()
    return described


def _describe(capture: CaptureFile, source: Source) -> CaptureDescription:
    snapshots = gather_snapshots([capture], [source])
    topology = build_topology([capture], [source], snapshots)
    node = snapshots.file_nodes[0]
    times = capture.records["time_ns"][
        (capture.records["time_ns"] > 0) & ~left_out(capture.records, capture.interfaces)
    ]
    return CaptureDescription(
        file=capture.path,
        bytes=int(capture.data.size),
        node=node,
        is_ttrace="ttrace" in capture.facts or any("inode" in interface.facts for interface in capture.interfaces),
        settings=snapshots.of_node(node, "capture"),
        machine=snapshots.of_node(node, "node"),
        containers=tuple(container["name"] for container in snapshots.of_node(node, "containers")),
        records=int(capture.records.size),
        start_ns=int(times.min()) if times.size else None,
        end_ns=int(times.max()) if times.size else None,
        truncated_at=capture.truncated_at,
        snapshots=len(snapshots.latest),
        points=tuple(_points(capture)),
        namespaces=tuple(_namespaces(capture, topology, snapshots)),
        kernel_drops=drops_of_files(snapshots).get(0),
    )


def _points(capture: CaptureFile) -> list[PointDescription]:
    per_interface = np.bincount(
        np.minimum(capture.records["interface"], len(capture.interfaces)), minlength=len(capture.interfaces) + 1
    )
    last = {s.interface: s for s in capture.statistics}
    points = []
    for number, interface in enumerate(capture.interfaces):
        if is_packet_interface(interface):
            statistics = last.get(number)
            points.append(
                PointDescription(
                    netns=interface.facts.get("netns") or "root",
                    interface=interface.name or "unnamed",
                    container=interface.facts.get("container"),
                    packets=int(per_interface[number]),
                    received=statistics.received if statistics else None,
                    lost=statistics.lost if statistics else None,
                    filter=interface.filter,
                )
            )
    return points


def _namespaces(capture: CaptureFile, topology: Topology, snapshots: NodeSnapshots) -> list[NamespaceDescription]:
    messages = decode_messages(capture, 0, topology.file_namespaces[0])
    lost: dict[int, int] = {}
    for statistics in capture.statistics:
        if statistics.interface < len(capture.interfaces) and not (
            is_packet_interface(capture.interfaces[statistics.interface])
            or is_for_drops(capture.interfaces[statistics.interface])
        ):
            lost[int(topology.file_namespaces[0][statistics.interface])] = statistics.lost
    heard = {
        int(namespace)
        for namespace, interface in zip(topology.file_namespaces[0].tolist(), capture.interfaces, strict=True)
        if interface.link_type == LinkType.NETLINK
    }
    found = []
    for namespace in topology.namespaces:
        if namespace.index not in heard:
            continue
        entries = messages.conntrack[messages.conntrack["namespace"] == namespace.index]
        ruleset = snapshots.of_namespace(namespace.node, namespace.label, "ruleset")
        rules = [e for e in (ruleset.get("json") or {}).get("nftables", []) if "rule" in e]
        found.append(
            NamespaceDescription(
                netns=namespace.label,
                trace_events=int((messages.events["namespace"] == namespace.index).sum()),
                conntrack_events=int((entries["event"] != CONNTRACK_DUMPED).sum()),
                conntrack_entries=int((entries["event"] == CONNTRACK_DUMPED).sum()),
                lost=lost.get(namespace.index),
                rules=len(rules) if ruleset else None,
            )
        )
    return found
