"""Packets that would have to leave by the bridge port they came in by, where that port does not allow it."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from ...pcapng.blocks import Direction
from ..nodes.namespace_facts import LinkSettings, NamespaceFacts
from ..nodes.topology import CapturePoint, Role
from ..outcomes.kinds import Outcome, Reason
from ..result.words import address_text
from ..sightings import FRAME
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen
from .words import frames_of, node_of, snapshot_evidence, subject_of, where

_OTHER_CAUSES: Final = (
    Reason.RULE, Reason.POLICY, Reason.TTL, Reason.HANDED_OVER, Reason.CAPTURE_LOST, Reason.CAPTURE_ENDED,
    Reason.FILTERED,
)  # fmt: skip
_DESTINATION: Final = ("destination_high", "destination_low")
_CALLS: Final = {
    4: ("net.bridge.bridge-nf-call-iptables", "nf_call_iptables"),
    6: ("net.bridge.bridge-nf-call-ip6tables", "nf_call_ip6tables"),
}
"""By IP version: the setting of the namespace, and that of one bridge."""


class _Turn(NamedTuple):
    """A port that a packet came in by and had to leave by."""

    port: LinkSettings
    bridge: str
    target: str


def kept_from_its_port(facts: Facts) -> Iterator[Seen]:
    """`hairpin_off`: translated to an address behind the port it came in by (bridge-nf calls the IP hooks of bridged
    frames), and a bridge sends nothing back there (should_deliver of net/bridge/br_forward.c)."""
    outcomes, sightings = facts.result.outcomes, facts.result.sightings
    gone = (outcomes.outcome != Outcome.DELIVERED) & ~np.isin(outcomes.reason, _OTHER_CAUSES) & facts.own
    came_by = _came_by(facts, gone)
    paths = np.flatnonzero(came_by >= 0)
    entry, last = sightings.take(came_by[paths]), sightings.take(facts.last[paths])
    translated = np.logical_or.reduce([last[name] != entry[name] for name in _DESTINATION])
    columns = [entry["place"], *(last[name] for name in _DESTINATION)]
    for one in groups(facts, paths[translated], *(column[translated] for column in columns)):
        if (turn := _turn(facts, int(came_by[one[0]]), int(facts.last[one[0]]))) is not None:
            yield _seen(facts, turn, one)


def _came_by(facts: Facts, chosen: Mask) -> Rows:
    """Per path, of those chosen: its frame at the bridge port by which it came into the namespace where it was last
    seen; -1 where it came by none, and where it was seen to leave by one."""
    result = facts.result
    found = np.full(facts.last.size, -1, np.int64)
    ports = [point.index for point in result.topology.points if point.role == Role.PORT]
    if not ports:
        return found
    rows = np.flatnonzero(chosen[result.hops["packet"]])
    packet, sighting = result.hops["packet"][rows], result.hops["sighting"][rows].astype(np.int64)
    at_port = (result.sightings["kind"][sighting] == FRAME) & np.isin(result.sightings["place"][sighting], ports)
    packet, sighting = packet[at_port], sighting[at_port]
    here = result.sightings["namespace"][sighting] == result.sightings["namespace"][facts.last[packet]]
    direction = result.sightings["direction"][sighting]
    inside, outside = here & (direction == Direction.IN), here & (direction == Direction.OUT)
    found[packet[inside]] = sighting[inside]
    found[packet[outside]] = -1
    return found


def _turn(facts: Facts, entry: int, last: int) -> _Turn | None:
    """Whether the last destination is behind the port of `entry`, and that is set to send nothing back."""
    sightings, topology = facts.result.sightings, facts.result.topology
    point = topology.points[int(sightings["place"][entry])]
    namespace = topology.namespaces[point.namespace]
    target, source = _address(sightings[last], "destination"), _address(sightings[entry], "source")
    if target in namespace.addresses or (target != source and target not in _addresses_behind(facts, point)):
        return None
    moments = [facts.result.surroundings.of(namespace.node, namespace.label, at_stop=end) for end in (False, True)]
    turns = [_kept(known, point.interface_index, int(sightings["ip_version"][entry])) for known in moments]
    if None in turns or turns[0] is None:
        return None
    return _Turn(*turns[0], target)


def _address(row: np.void, end: str) -> str:
    return address_text(int(row[f"{end}_high"]), int(row[f"{end}_low"]))


def _kept(known: NamespaceFacts, index: int, version: int) -> tuple[LinkSettings, str] | None:
    """The port and its bridge, if at this moment it sends nothing back, and bridged frames go through the IP rules:
    otherwise what is translated is routed, and comes out of the bridge itself."""
    port = known.links.get(index)
    bridge = known.links.get(port.master or 0) if port is not None else None
    if port is None or bridge is None or (port.port or {}).get("hairpin") != 0:
        return None
    of_namespace, of_bridge = _CALLS.get(version, ("", ""))
    calls = known.sysctl(of_namespace) or (bridge.bridge or {}).get(of_bridge)
    return (port, bridge.name) if calls else None


def _addresses_behind(facts: Facts, point: CapturePoint) -> set[str]:
    """Those of the other end of a veth pair."""
    topology = facts.result.topology
    link = topology.namespaces[point.namespace].links.get(point.interface_index, {})
    return {
        address
        for namespace in topology.namespaces
        if namespace.node == point.node and namespace.label == link.get("peer_netns")
        for index, address in namespace.interface_addresses
        if index == link.get("peer_index")
    }


def _seen(facts: Facts, turn: _Turn, paths: Rows) -> Seen:
    first, port = int(paths[0]), turn.port.name
    row = facts.result.sightings[int(facts.last[first])]
    namespace = facts.result.topology.namespaces[int(row["namespace"])]
    at = where(namespace.node, namespace.label)

    def say(extent: Extent) -> str:
        return (
            f"{at}: {extent.counted} of {extent.flow} would have to leave {turn.bridge} by {port}, the port it came in "
            f"by, to {turn.target}, and hairpin mode of {port} is off"
        )

    known = facts.result.surroundings.of(namespace.node, namespace.label)
    link = snapshot_evidence(facts, "link", f"{port}: port of {turn.bridge}, hairpin 0", known, turn.port.line)
    return Seen(
        kind=Kind.HAIRPIN_OFF, key=(at, port, turn.target), say=say, paths=paths, subject=subject_of(facts, paths),
        time_ns=int(facts.begin_ns[first]), node=node_of(facts, first),
        advice=f"`ip link set dev {port} type bridge_slave hairpin on` lets it out there",
        evidence=(link, *frames_of(facts, first)),
    )  # fmt: skip
