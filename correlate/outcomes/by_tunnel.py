"""Packets in a tunnel: that the datagram around one arrived does not mean that it was taken out."""

from typing import Final

import numpy as np

from ..nodes.topology import Topology
from .address_keys import owner_keys
from .by_last_hop import lost_unless_missed, open_
from .kinds import Outcome, Outcomes, Reason, Verdicts
from .last_hops import gather
from .tables import Tables

_DEVICES: Final = ("vxlan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "ipip", "sit", "ip6tnl", "vti", "erspan")
"""What the kernel calls devices that take packets out of a tunnel (`ip -details link`)."""


def never_left_its_tunnel(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Packets that were last seen inside a datagram that came in at the address it was sent to: lost where the tunnel
    devices of that namespace are all captured, for there they had to appear."""
    final = tables.last_hops
    inside = np.flatnonzero(open_(so_far) & (final.rows["outer"] > 0) & ~final.is_out & final.known)
    if inside.size == 0:
        return Verdicts.none()
    outer = tables.outers.take(final.rows["outer"][inside].astype(np.int64) - 1)
    key = owner_keys(outer["destination_high"], outer["destination_low"], final.namespace_location[inside])
    arrived = inside[np.isin(key, final.owner_keys)]
    captured = gather(_tunnels_captured(tables.topology), final.namespace[arrived])
    watched, others = arrived[captured == 1], arrived[captured != 1]
    lost = lost_unless_missed(tables, watched, Reason.NOT_DECAPSULATED, final.namespace[watched])
    return lost.and_(Verdicts(paths=others, outcome=Outcome.UNKNOWN, reason=Reason.ARRIVED))


def _tunnels_captured(topology: Topology) -> list[int]:
    """Per namespace: it has tunnel devices that are up, and each of them is a capture point."""
    found = []
    captured_in = topology.captured_indexes()
    for namespace in topology.namespaces:
        devices = {i for i, link in namespace.links.items() if link.get("kind") in _DEVICES and link.get("up")}
        found.append(int(bool(devices) and devices <= captured_in[namespace.index]))
    return found
