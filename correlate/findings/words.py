"""Packets and places in words, for the sentences of findings."""

from typing import Final

import numpy as np

from ..arrays.grouping import group_ids, hashed
from ..netfilter.rules import Rule
from ..nodes.namespace_facts import NamespaceFacts
from ..result.reasons import rule_place
from ..result.values import ChainHop, Hop, InterfaceHop
from ..result.words import DIRECTIONS, endpoint, packet_info, protocol_name
from .facts import Facts, Rows
from .subject import Ends, Subject
from .values import Evidence


def where(node: str, netns: str) -> str:
    """`slave`, `web1 on slave`."""
    return node if netns == "root" else f"{netns} on {node}"


def place(hop: Hop) -> str:
    """Where a hop is: `slave eth0 in`, `slave forward`."""
    at = where(hop.node, hop.netns)
    if isinstance(hop, InterfaceHop):
        return _at_interface(at, hop.interface, hop.direction)
    if isinstance(hop, ChainHop):
        return f"{at} {hop.hook}"
    return f"{at}: {hop.says}"


def _at_interface(at: str, interface: str, direction: str) -> str:
    name = "" if interface == at else f" {interface}"  # a plain file may be called as its interface is
    return at + name + (f" {direction}" if direction != "unknown" else "")


def subject_of(facts: Facts, paths: Rows) -> Subject:
    """Who sent these packets to whom, as the first of each connection was first seen."""
    _, first = np.unique(facts.result.connection_of_path[paths], return_index=True)
    # Behind a translation, what is one packet may be taken for one more.
    rows = facts.result.sightings.take(facts.result.head[paths[first]])
    _, once = group_ids(hashed(rows["protocol"], rows["ethertype"]))
    kinds = rows.take(once)[["protocol", "ethertype"]]
    return Subject(
        protocols=frozenset(protocol_name(*pair) for pair in kinds.tolist()),
        sources=Ends.of(rows, "source"),
        destinations=Ends.of(rows, "destination"),
        nouns=_nouns(facts, paths),
    )


def _nouns(facts: Facts, paths: Rows) -> frozenset[str]:
    """What the packets are."""
    if paths.size == 0:
        return frozenset()
    for what, chosen in (("SYN", facts.syn), ("SYN-ACK", facts.syn_ack), ("RST", facts.reset)):
        if chosen[paths].all():
            return frozenset((what,))
    rows = facts.result.sightings.take(facts.result.head[paths])
    _, first = group_ids(hashed(rows["protocol"], rows["icmp_type"], rows["icmp_code"]))
    infos = [packet_info(row) if row["icmp_type"] else "packet" for row in rows.take(first)]
    return frozenset(info.split(" seq ")[0] for info in infos)


def frames_of(facts: Facts, path: int, most: int = 2) -> tuple[Evidence, ...]:
    """The first frames of a path and its last, as evidence."""
    result = facts.result
    rows = result.hops["sighting"][result.first_hop[path] : result.first_hop[path + 1]]
    info = packet_info(result.sightings[int(result.head[path])])
    hops = [hop for row in rows.tolist() if isinstance(hop := result.hop_of(row), InterfaceHop)]
    chosen = hops if len(hops) <= most else [*hops[: most - 1], hops[-1]]
    return tuple(
        Evidence(
            what="frame",
            text=f"{info} {hop.source} -> {hop.destination} at {place(hop)}",
            file=hop.file,
            frame=hop.frame,
        )
        for hop in chosen
    )


def frame_evidence(facts: Facts, row: np.void) -> Evidence:
    """A frame, by its row in any part."""
    point = facts.result.topology.points[int(row["place"])]
    at = _at_interface(
        where(point.node, facts.result.topology.namespaces[point.namespace].label),
        point.interface,
        DIRECTIONS[row["direction"]],
    )
    return Evidence(
        what="frame", text=f"{packet_info(row)} {endpoint(row, 'source')} -> {endpoint(row, 'destination')} at {at}",
        file=facts.result.files[row["file"]].path, frame=int(row["frame"]),
    )  # fmt: skip


def entry_evidence(facts: Facts, entry: np.void, text: str) -> Evidence:
    """What conntrack says of an entry (a CONNTRACK row)."""
    rows, files = facts.conntrack
    same = np.logical_and.reduce([rows[name] == entry[name] for name in ("frame", "id", "namespace", "time_ns")])
    file = facts.result.files[int(files[np.flatnonzero(same)[0]])].path
    return Evidence(what="conntrack", text=text, file=file, frame=int(entry["frame"]))


def rule_evidence(facts: Facts, path: int, rule: Rule | None) -> tuple[Evidence, ...]:
    """The rule that a path ended by, with the snapshot or message that has its words, where there is one."""
    if rule is None:
        return ()
    namespace = int(facts.result.sightings["namespace"][facts.last[path]])
    history = facts.result.histories.get(namespace)
    at, line = (history.told_at(rule) if history is not None else None) or (None, None)
    text = f"{rule_place(rule)}: {rule.text}" if rule.text else rule_place(rule)
    if at is None:
        return (Evidence(what="rule", text=text),)
    return (Evidence(what="rule", text=text, file=facts.result.files[at.file].path, frame=at.frame, line=line),)


def place_of(facts: Facts, row: np.void) -> str:
    """Where a frame was seen, by its row in any part: `slave eth0`."""
    point = facts.result.topology.points[int(row["place"])]
    return _at_interface(
        where(point.node, facts.result.topology.namespaces[point.namespace].label), point.interface, "unknown"
    )


def last_place(facts: Facts, path: int) -> str:
    """Where a path was last seen."""
    return place(facts.result.hop_of(int(facts.last[path])))


def node_of(facts: Facts, path: int) -> str:
    """The node on which a path was last seen."""
    namespace = int(facts.result.sightings["namespace"][facts.last[path]])
    return facts.result.topology.namespaces[namespace].node


_SNAPSHOTS: Final = {"link": "links", "kernel": "listeners", "counter": "counters", "sysctl": "sysctls"}
"""What evidence is to the kind of the snapshot that it is in."""


def snapshot_evidence(
    facts: Facts, what: str, text: str, known: NamespaceFacts, line: int | None = None, kind: str | None = None
) -> Evidence:
    """Something that a snapshot holds, of the namespace and moment `known`."""
    at = known.where.get(kind or _SNAPSHOTS[what])
    file = facts.result.files[at.file].path if at is not None else None
    return Evidence(what=what, text=text, file=file, frame=at.frame if at is not None else None, line=line)
