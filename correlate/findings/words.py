"""Packets, ends and places in words, for the sentences of findings."""

from typing import Final

import numpy as np

from ..protocols import WITH_PORTS
from ..result.correlation import Correlation
from ..result.show_connections import name_of
from ..result.values import ChainHop, Hop, InterfaceHop
from ..result.words import address_text, endpoint, packet_info, protocol_name
from .facts import Facts, Rows
from .seen import Extent
from .values import Evidence

_MOST_ENDS: Final = 3
"""Ends that a sentence names."""


def where(node: str, netns: str) -> str:
    """`slave`, `web1 on slave`."""
    return node if netns == "root" else f"{netns} on {node}"


def place(hop: Hop) -> str:
    """Where a hop is: `slave eth0 in`, `slave FORWARD`."""
    at = where(hop.node, hop.netns)
    if isinstance(hop, InterfaceHop):
        return f"{at} {hop.interface}" + (f" {hop.direction}" if hop.direction != "unknown" else "")
    if isinstance(hop, ChainHop):
        return f"{at} {hop.hook}"
    return f"{at}: {hop.says}"


def named(result: Correlation, end: str) -> str:
    """An end with the container or node that has its address, where just one has: `172.17.0.2:80 (web1)`."""
    name = name_of(result, end)
    return f"{end} ({name})" if name else end


def ends(facts: Facts, sightings: Rows, end: str) -> str:
    """The `source` or `destination` of some sightings: one by its address and port, several by their addresses."""
    result = facts.result
    rows = result.sightings[[f"{end}_high", f"{end}_low", f"{end}_port", "protocol", "ip_version", "notes"]][sightings]
    addresses = np.unique(rows[[f"{end}_high", f"{end}_low"]])
    ports = np.unique(rows[f"{end}_port"])
    if addresses.size == 1 and ports.size == 1:
        return named(result, endpoint(rows[0], end))
    texts = [address_text(int(high), int(low)) for high, low in addresses[:_MOST_ENDS].tolist()]
    texts = [named(result, text) for text in texts]
    more = f" and {addresses.size - _MOST_ENDS:,} more" if addresses.size > _MOST_ENDS else ""
    port = f" port {ports[0]}" if ports.size == 1 and int(rows["protocol"][0]) in WITH_PORTS and ports[0] else ""
    return ", ".join(texts) + more + port


def flow(facts: Facts, paths: Rows) -> str:
    """Who sent the packets to whom, as they were first seen: `tcp 172.17.0.2 (web1) -> 192.168.77.2:8080`."""
    heads = facts.result.head[paths]
    rows = facts.result.sightings[["protocol", "ethertype"]][heads]
    names = sorted({protocol_name(*pair) for pair in np.unique(rows).tolist()})
    return f"{'/'.join(names[:2])} {ends(facts, heads, 'source')} -> {ends(facts, heads, 'destination')}"


def packets_noun(facts: Facts, paths: Rows) -> str:
    """What the packets are, if all are the same: `SYN`, `SYN-ACK`, `echo request`; else `packet`."""
    if facts.syn[paths].all():
        return "SYN"
    if facts.syn_ack[paths].all():
        return "SYN-ACK"
    if facts.reset[paths].all():
        return "RST"
    head = facts.result.head[paths]
    kinds = np.unique(facts.result.sightings[["protocol", "icmp_type", "icmp_code"]][head])
    if kinds.size == 1 and kinds["icmp_type"][0]:
        info = packet_info(facts.result.sightings[int(head[0])])
        return info.split(" seq ")[0]
    return "packet"


def counted(extent: Extent, noun: str) -> str:
    """`3 SYNs`; of an ICMP error `2 times ICMP destination unreachable`."""
    if " (" in noun:
        return f"{extent.packets:,} times ICMP {noun}" if extent.packets > 1 else f"ICMP {noun}"
    return extent.of(noun)


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


def last_place(facts: Facts, path: int) -> str:
    """Where a path was last seen."""
    return place(facts.result.hop_of(int(facts.last[path])))


def node_of(facts: Facts, path: int) -> str:
    """The node on which a path was last seen."""
    namespace = int(facts.result.sightings["namespace"][facts.last[path]])
    return facts.result.topology.namespaces[namespace].node
