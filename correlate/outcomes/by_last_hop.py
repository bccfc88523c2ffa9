"""Where a packet was last seen -> what became of it, and why.

"Not seen because the capture lost packets here" or "because nobody captured there" is never called a loss: it is
`unknown`.
"""

from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...pcapng.blocks import Direction
from ..decode.link_scope import stays_on_link
from ..hops.stations import Station
from ..nodes.topology import Role
from ..schema import NOTE_OUTER
from ..sightings import FRAME
from .address_keys import owner_key
from .coverage import unseen, watches_in_namespace
from .kinds import Outcome, Outcomes, Reason, Verdicts
from .last_hops import LastHops, Ports, gather
from .next_node import Beyond
from .tables import Tables

_OUT: Final = int(Direction.OUT)


def open_(so_far: Outcomes) -> npt.NDArray[np.bool_]:
    """Nothing has been said of them yet."""
    return (so_far.outcome == Outcome.UNKNOWN) & (so_far.reason == Reason.NOT_CAPTURED)


def passed_its_owner(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Packets that any hop shows at the container which has their address; a bridge may have flooded copies
    elsewhere."""
    final = tables.last_hops
    if max(*final.far_of_point, *final.container_of_namespace, -1, -1) < 0:
        return Verdicts.none()
    far, inside = (np.array(of or [-1], np.int64) for of in (final.far_of_point, final.container_of_namespace))
    port = np.array(final.role_of_point or [-1], np.int64) == Role.PORT
    location = np.full(final.rows.size, -1, np.int64)
    owners = np.sort(final.owner_keys)
    behind = np.where(port, far, -1)
    _find_arrivals(tables.hops, tables.sightings, behind, inside, owners, location)
    paths = np.flatnonzero(open_(so_far) & (location >= 0))
    return Verdicts(paths=paths, outcome=Outcome.DELIVERED, reason=Reason.NONE, location=location[paths])


@njit(cache=True, nogil=True)
def _find_arrivals(hops, sightings, behind, inside, owners, location):
    """Location of the last frame of each path that is at the container which has its destination address.

    `behind`: per capture point, the location that a packet gets to which goes out there; `inside`: per namespace, its
    own; -1 for none. `owners`: sorted keys of addresses and locations.
    """
    path = -1
    for k in range(hops.size):
        path += k == 0 or hops[k].packet != hops[k - 1].packet
        row = sightings[hops[k].sighting]
        if row.kind != FRAME:
            continue
        here = behind[row.place] if row.direction == _OUT else inside[row.namespace]
        if here < 0:
            continue
        key = owner_key(row.destination_high, row.destination_low, here)
        at = np.searchsorted(owners, key)
        if at < owners.size and owners[at] == key:
            location[path] = here


def arrived_where_it_ends(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Packets that were last seen where they are bound for, or where nothing that is captured lies behind."""
    final, undecided = tables.last_hops, open_(so_far)
    here = np.full(undecided.size, -1, np.int64)
    # Into a socket of this namespace: all chains of the input hook passed it, or it came in and the address is ours.
    local = final.is_frame & ~final.is_out & final.owned_by(final.namespace_location)
    local |= final.is_evaluation & (final.station == Station.INPUT) & final.behind_all_chains
    local &= (final.rows["notes"] & NOTE_OUTER) == 0
    here[local] = final.namespace_location[local]
    # Out of a veth whose far end nobody describes: what is behind it, has it.
    to_somebody = final.is_out & (final.role == Role.PORT) & (final.far_location < 0) & ~final.is_hardware
    loopback = final.is_frame & (final.role == Role.LOOPBACK)
    delivered = undecided & (local | to_somebody | stays_on_link(final.rows) | loopback)
    # Out of a bridge none of whose ports is captured: as far as can be seen, it has arrived.
    bridge = undecided & ~delivered & final.is_out & (final.role == Role.BRIDGE) & (final.ports == Ports.NONE)
    behind = np.flatnonzero(bridge)
    here[behind] = final.owner_on_node(behind)
    paths = np.flatnonzero(delivered | bridge)
    return Verdicts(paths=paths, outcome=Outcome.DELIVERED, reason=Reason.NONE, location=here[paths])


def out_of_time_to_live(tables: Tables, so_far: Outcomes) -> Verdicts:
    """A packet that came in with TTL 1 and is not for here is dropped instead of forwarded (RFC 1812, 5.3.1)."""
    final = tables.last_hops
    rows = final.rows
    # Where no snapshot says which addresses are its own, it may have been sent to this very node, as BGP does.
    arrived = (final.station < Station.FORWARD) & ~final.is_out & final.known & (rows["ip_version"] > 0)
    paths = np.flatnonzero(open_(so_far) & arrived & final.is_root & (rows["ttl"] <= 1))
    return Verdicts(paths=paths, outcome=Outcome.DROPPED, reason=Reason.TTL)


def gone_inside(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Packets that came in, or went out of a bridge, and that no further interface shows, though each is captured."""
    final = tables.last_hops
    came_in = final.is_frame & ~final.is_out & final.known & ~final.is_shared & _all_ways_out_captured(final)
    into_ports = final.is_out & (final.role == Role.BRIDGE) & (final.ports == Ports.ALL)
    paths = np.flatnonzero(open_(so_far) & (came_in | into_ports))
    return lost_unless_missed(tables, paths, Reason.INSIDE, final.namespace[paths])


def gone_on_the_wire(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Packets that left for a namespace whose way in is captured, and that did not come in there."""
    final = tables.last_hops
    beyond = Beyond.build(tables.topology, tables.arrivals)
    leaving = open_(so_far) & final.is_out & ((final.role == Role.DEVICE) | final.is_hardware)
    following = np.where(final.is_root, beyond.find(final.rows, final.namespace), beyond.root_of(final.namespace))
    paths = np.flatnonzero(leaving & (following >= 0))
    return lost_unless_missed(tables, paths, Reason.WIRE, following[paths])


def _all_ways_out_captured(final: LastHops) -> npt.NDArray[np.bool_]:
    """Every interface that is up in the namespace, lo aside, is a capture point."""
    complete = []
    captured_in = final.topology.captured_indexes()
    for namespace in final.topology.namespaces:
        up = {i for i, link in namespace.links.items() if link.get("up") and link["name"] != "lo"}
        complete.append(int(bool(up) and up <= captured_in[namespace.index]))
    return gather(complete, final.namespace) == 1


def lost_unless_missed(
    tables: Tables, paths: npt.NDArray[np.int64], reason: Reason, namespace: npt.NDArray[np.int64]
) -> Verdicts:
    """Lost for this reason, or unknown where the capture may have missed it; `namespace`: which should have seen each
    of them next."""
    watches_of = partial(watches_in_namespace, tables.coverage, tables.topology)
    return Verdicts.lost(paths, reason, unseen(watches_of, namespace, tables.last_hops.times_ns[paths]))
