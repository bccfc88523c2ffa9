"""What a bridge does with frames that people take for routing: IP rules for bridged frames."""

from collections.abc import Iterator

import numpy as np

from ..nodes.topology import Namespace
from ..outcomes.kinds import Outcome, Reason
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen
from .words import frames_of, place, snapshot_evidence, subject_of, where

_SYSCTL = "net.bridge.bridge-nf-call-iptables"


def bridged_through_rules(facts: Facts) -> Iterator[Seen]:
    """`bridge_filtered`: a bridged frame went through IP rules, and died there.

    The kernel calls the IP hooks of a bridged frame with the bridge as both interfaces (br_netfilter_hooks.c). A frame
    that is routed back to where it came from has these too, but the bridge device itself takes it in.
    """
    outcomes = facts.result.outcomes
    killed = (outcomes.outcome == Outcome.DROPPED) & np.isin(outcomes.reason, (Reason.RULE, Reason.POLICY))
    paths = np.flatnonzero(killed & facts.last_is_told & facts.own)
    if paths.size == 0:
        return
    came_by = set(facts.said_at(facts.last[paths])["input_index"].tolist())
    for namespace in facts.result.topology.namespaces:
        if not namespace.bridge_nf:
            continue
        for bridge in sorted(came_by.intersection(_captured_bridges(facts, namespace))):
            here = paths[_is_bridged(facts, namespace, bridge)[paths]]
            for one in groups(facts, here, facts.said_at(facts.last[here])["hook"]):
                yield _bridged(facts, namespace, bridge, one)


def _bridged(facts: Facts, namespace: Namespace, bridge: int, paths: Rows) -> Seen:
    at, name = where(namespace.node, namespace.label), namespace.links[bridge]["name"]
    died = place(facts.result.hop_of(int(facts.last[paths[0]])))

    setting = snapshot_evidence(
        facts, "sysctl", f"{_SYSCTL} = 1", facts.result.surroundings.of(namespace.node, namespace.label)
    )

    def say(extent: Extent) -> str:
        return (
            f"{at}: {_SYSCTL} is 1, so what {name} bridges goes through the IP rules: {extent.counted} of "
            f"{extent.flow} died in {died}"
        )

    return Seen(
        kind=Kind.BRIDGE_FILTERED, key=(at, name, died), say=say, paths=paths, subject=subject_of(facts, paths),
        time_ns=int(facts.begin_ns[paths[0]]), node=namespace.node, fatal=True,
        advice=f"`sysctl -w {_SYSCTL}=0` keeps bridged frames out of the IP rules",
        evidence=(setting, *frames_of(facts, int(paths[0]))),
    )  # fmt: skip


def _captured_bridges(facts: Facts, namespace: Namespace) -> list[int]:
    """Interface indexes of the bridges that are capture points."""
    captured = {point.interface_index for point in facts.result.topology.points if point.namespace == namespace.index}
    return [i for i, link in namespace.links.items() if link.get("kind") == "bridge" and i in captured]


def _is_bridged(facts: Facts, namespace: Namespace, bridge: int) -> Mask:
    """Per path: it ended in a chain of this namespace, on its way from port to port of the bridge."""
    found = facts.last_is_told & (facts.result.sightings["namespace"][facts.last] == namespace.index)
    at = np.flatnonzero(found)
    said = facts.said_at(facts.last[at])
    found[at] = (said["input_index"] == bridge) & np.isin(said["output_index"], (0, bridge))
    places = [
        point.index
        for point in facts.result.topology.points
        if (point.namespace, point.interface_index) == (namespace.index, bridge)
    ]
    return found & ~facts.passing(places)
