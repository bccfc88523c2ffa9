"""Packets that the kernel says it dropped: true of what it had in hand, which need not be the packet.

It may have been a copy: one of a flooded frame, or one that a socket of another kind did not want. So a drop is the end
of a packet only where nothing shows that the packet went on. And not each that bears that name is a loss: what TCP has
already, for example, it drops.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ..decode.link_scope import stays_on_link
from ..nodes.topology import Role
from ..protocols import TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, UDP
from ..sightings import DROP, FRAME, of_kind
from .copies import FLOODED, are_flooded, came_straight
from .kinds import Outcome, Outcomes, Reason, Verdicts
from .last_hops import gather
from .tables import Tables

NOBODY: Final = b"NO_SOCKET"
NO_LOSS: Final = (
    b"TCP_OLD_DATA", b"TCP_OLD_ACK", b"TCP_TOO_OLD_ACK", b"TCP_OLD_SEQUENCE", b"TCP_OFOMERGE", b"TCP_RESET",
    b"TCP_CLOSE", b"SOCKET_CLOSE", b"QUEUE_PURGE", b"DUP_FRAG", b"UNIX_DISCONNECT", b"UNIX_SKIP_OOB",
)  # fmt: skip
"""Reasons that are told of what has arrived: its content was there already, or it lay there when its socket was
closed; TCP_RESET is of a reset that did its work."""
_OVERTAKEN: Final = (b"TCP_RFC7323_PAWS", b"TCP_RFC7323_PAWS_ACK")
"""Its timestamp is older than the newest. Of a bare acknowledgment that is all there is to it: a later one, sent from
another core, came first (tcp_disordered_ack_check in net/ipv4/tcp_input.c)."""
_WEAK: Final = (*FLOODED, b"NOT_SPECIFIED", b"")
"""Reasons that are also told of packets that arrived (IGMP frees what it has taken so), and of flooded copies."""
_STACKED: Final = (
    "vxlan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "ipip", "sit", "ip6tnl", "wireguard", "vlan", "macvlan",
    "ipvlan", "bond", "team", "vrf",
)  # fmt: skip
"""Kinds of devices whose packets go on by another one of their namespace."""
_JITTER_NS: Final = 50_000
"""The kernel tells the time of a frame and that of a drop by two clocks, which we compare."""
_DECIDED: Final = (Reason.RULE, Reason.POLICY, Reason.HANDED_OVER, Reason.TTL)
"""What says more than the kernel's reason, and is the same drop."""


def dropped_by_the_kernel(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Packets that ended where the kernel says that it dropped them. Of `NO_SOCKET`, see `not_taken_by_a_socket`."""
    paths, drop = _last_drops(tables)
    if paths.size == 0:
        return Verdicts.none()
    reason = tables.drop_rows["reason"][_row(tables, drop)]
    wanted = ~np.isin(reason, (*NO_LOSS, NOBODY)) & ~np.isin(so_far.reason[paths], _DECIDED)
    rows = tables.sightings.take(drop)
    wanted &= ~(np.isin(reason, _OVERTAKEN) & _acknowledges_only(rows))
    weak, owner = np.isin(reason, _WEAK) | stays_on_link(rows), _refused_by_its_owner(tables, so_far, paths, drop)
    wanted &= ~weak | (so_far.outcome[paths] != Outcome.DELIVERED) | owner
    device = tables.drop_rows["device"][_row(tables, drop)].astype(np.int64)
    of_others = np.isin(reason, FLOODED) & ~owner & ~came_straight(tables, paths, rows, device)
    wanted &= ~of_others & (~are_flooded(tables, paths) | owner) & ~_went_on(tables, so_far, paths, drop)
    # Of what is for others nobody could see more here: it is not lost for that.
    passed_by = paths[of_others & (so_far.outcome[paths] == Outcome.LOST) & (so_far.reason[paths] == Reason.INSIDE)]
    dropped = Verdicts(paths=paths[wanted], outcome=Outcome.DROPPED, reason=Reason.KERNEL_DROP)
    return dropped.and_(Verdicts(paths=passed_by, outcome=Outcome.UNKNOWN, reason=Reason.NOT_CAPTURED))


def not_taken_by_a_socket(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Datagrams and SYNs that no socket wanted, where nobody said so: an answer to them is the better word for it.

    Of others that is told without harm: an echo reply goes to raw sockets as well, and a late segment finds its
    connection closed.
    """
    paths, drop = _last_drops(tables)
    if paths.size == 0:
        return Verdicts.none()
    rows = tables.sightings.take(drop)
    begins = (rows["protocol"] == TCP) & ((rows["tcp_flags"] & (TCP_SYN | TCP_ACK)) == TCP_SYN)
    wanted = (tables.drop_rows["reason"][_row(tables, drop)] == NOBODY) & (begins | (rows["protocol"] == UDP))
    wanted &= (so_far.outcome[paths] != Outcome.DROPPED) & (so_far.reason[paths] != Reason.REFUSED)
    wanted &= ~stays_on_link(rows) & ~_went_on(tables, so_far, paths, drop)
    return Verdicts(paths=paths[wanted], outcome=Outcome.DROPPED, reason=Reason.KERNEL_DROP)


def _acknowledges_only(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    bare = (rows["tcp_flags"] & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) == TCP_ACK
    return (rows["protocol"] == TCP) & bare & (rows["payload_length"] == 0)


def _last_drops(tables: Tables) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(paths of which a drop is told, sighting of the last drop of each)."""
    packet = tables.drops["packet"]
    last = np.append(packet[1:] != packet[:-1], True)[: packet.size]
    return packet[last].astype(np.int64), tables.drops["sighting"][last].astype(np.int64)


def _row(tables: Tables, drop: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Of these sightings in `drop_rows`."""
    return drop - of_kind(tables.sightings, DROP).start


def _location(tables: Tables, rows: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    final = tables.last_hops
    index = {location: number for number, location in enumerate(final.locations)}
    own = [index[(n.node, n.label)] for n in tables.topology.namespaces]
    return gather(own, rows["namespace"].astype(np.int64))


def _refused_by_its_owner(
    tables: Tables, so_far: Outcomes, paths: npt.NDArray[np.int64], drop: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """OTHERHOST where the packet seems to have arrived: it came to whom its address belongs, with another's MAC."""
    otherhost = tables.drop_rows["reason"][_row(tables, drop)] == b"OTHERHOST"
    return otherhost & (so_far.location[paths] == _location(tables, tables.sightings.take(drop)))


def _went_on(
    tables: Tables, so_far: Outcomes, paths: npt.NDArray[np.int64], drop: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """What was dropped was a copy, for the packet itself was seen where it cannot have been after that drop.

    It was seen later; or it was last seen to leave by another device, or in another namespace from which no way leads
    to where it was dropped.
    """
    sightings, final = tables.sightings, tables.last_hops
    last, rows = tables.last[paths], sightings.take(drop)
    others = sightings["kind"][last] != DROP  # of a packet of which drops are all there is, nothing else is known
    seen = sightings.take(last)
    names = [n.node for n in tables.topology.namespaces]
    nodes = np.array([names.index(name) for name in names] or [0], np.int64)
    one_node = nodes[seen["namespace"]] == nodes[rows["namespace"]]
    later = one_node & (seen["kind"] == FRAME) & (seen["time_ns"] > rows["time_ns"] + _JITTER_NS)
    same = seen["namespace"] == rows["namespace"]
    is_out = final.is_out[paths]
    interface, passes_on = _points(tables)
    place = np.where(seen["kind"] == FRAME, seen["place"], 0)
    device = tables.drop_rows["device"][_row(tables, drop)]
    left = is_out & (device != 0) & (interface[place] != device) & ~passes_on[place]
    here = _location(tables, rows)
    elsewhere = ~same & (~is_out | ((final.far_location[paths] >= 0) & (final.far_location[paths] != here)))
    delivered = (so_far.outcome[paths] == Outcome.DELIVERED) & (so_far.location[paths] >= 0)
    elsewhere |= ~same & delivered & (so_far.location[paths] != here)
    return others & (later | (same & left) | elsewhere)


def _points(tables: Tables) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(ifindex of each capture point, whether what leaves by it goes on by another device of its namespace)."""
    points, namespaces = tables.topology.points, tables.topology.namespaces
    kinds = [namespaces[p.namespace].links.get(p.interface_index, {}).get("kind") for p in points]
    passes_on = [p.role == Role.BRIDGE or kind in _STACKED for p, kind in zip(points, kinds, strict=True)]
    return np.array([p.interface_index or 0 for p in points] or [0], np.int64), np.array(passes_on or [False], np.bool_)
