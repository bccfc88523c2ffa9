"""Why a captured frame is matched with others: which they are, what is equal, what ties the flows, what was rejected.

Nothing is matched again here: everything is read from the tables of the Correlation (`--explain`).
"""

from dataclasses import dataclass

from ..decode.compared_bytes import WHOLE
from ..result.correlation import Correlation
from ..result.values import InterfaceHop, Path
from .absent_points import AbsentPoint, absent_points
from .beside import Apart, compare_times
from .compared_fields import ComparedField, PayloadCheck, check_payload, compared_fields
from .equal_packets import EqualPackets, equal_packets, rivals_of
from .flow_ties import TiedFlow, tied_flows


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSighting:
    """One sighting of the packet's path."""

    seen: Apart
    flow: int
    """Index into the flows of the explanation."""
    ttl: int
    payload: PayloadCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that is known about why one frame belongs to its path."""

    frame: InterfaceHop
    connection_rivals: tuple[int, ...]
    """Ids of connections that this one may be as well (Connection.rivals)."""
    path: Path
    payload_bytes: int
    """Of the explained frame behind its TCP or UDP header, or in its ICMP echo."""
    compared: tuple[ComparedField, ...]
    """What is equal in all sightings of the path; the most telling first."""
    reach: int | None
    """Bytes of the transport header that were compared, where some capture kept no more of it; else None."""
    sightings: tuple[PathSighting, ...]
    """The path, in the order of its way; the explained frame is one of them."""
    flows: tuple[TiedFlow, ...]
    """The flows of the sightings, and those that tie them; the explained frame's own is the first."""
    equal: EqualPackets
    absent: tuple[AbsentPoint, ...]


def explain(result: Correlation, sighting: int) -> Explanation:
    """Explain one captured frame, by its row in the sightings."""
    frame = result.hop_of(sighting)
    if not isinstance(frame, InterfaceHop):
        raise IndexError(f"sighting {sighting} is no captured frame")
    index = int(result.packets.packet[sighting])
    members = result.hops["sighting"][result.first_hop[index] : result.first_hop[index + 1]]
    flows, flow_of = tied_flows(result, sighting, members)
    row = result.sightings[sighting]
    reach = int(result.reach[int(row["ip_version"] == 6)])
    equal = equal_packets(result, sighting, members)
    connection = int(result.connections.connection[sighting])
    return Explanation(
        frame=frame,
        connection_rivals=rivals_of(result, connection),
        path=result.path(index + 1),
        payload_bytes=int(row["payload_length"]),
        compared=compared_fields(result, sighting),
        reach=reach if reach < WHOLE and row["ip_version"] else None,
        sightings=tuple(
            PathSighting(
                seen=compare_times(result, sighting, other),
                flow=flow_of[int(result.connections.session[other])],
                ttl=int(result.sightings["ttl"][other]),
                payload=check_payload(result, sighting, other),
            )
            for other in members.tolist()
        ),
        flows=flows,
        equal=equal,
        absent=absent_points(result, sighting, members, equal.places),
    )
