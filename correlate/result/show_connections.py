"""Connections as values, for those who show or export them."""

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import group_ids, hashed
from ..nodes.topology import Topology
from ..outcomes.kinds import OUTCOMES
from ..protocols import TCP
from ..schema import NOTE_ERROR
from ..sightings import FRAME, frames, of_kind
from .columns import Columns
from .connection_ending import connection_endings
from .connection_state import STATES, connection_states
from .members import Members
from .processes import process_at
from .show import reason_of
from .values import Connection, View
from .words import endpoint, protocol_name


def connections_at(result: Columns, indexes: list[int]) -> list[Connection]:
    """Connections as values, by their indexes, from 0, in that order."""
    members = Members.of_connections(result, np.array(indexes, np.int64))
    states, outcomes, failed, ends = connection_states(members), members.outcomes(), members.failed(), members.ends()
    endings = connection_endings(members, states)
    chosen = np.zeros(result.connections.count, np.bool_)
    chosen[indexes] = True
    views = _views(result, chosen)
    rival, other = result.rival_connections
    found = []
    for row, index in enumerate(indexes):
        first, last = int(members.first[row]), int(members.first[row + 1])
        head, paths = members.heads[first], members.paths[first:last]
        client_row, server_row = result.sightings[ends.client[row]], result.sightings[ends.server[row]]
        client_end, server_end = end_name(ends.client_is_source[row]), end_name(ends.server_is_source[row])
        client, server = endpoint(client_row, client_end), endpoint(server_row, server_end)
        rivals = other[np.searchsorted(rival, index) : np.searchsorted(rival, index, side="right")]
        found.append(
            Connection(
                id=int(result.ids.connections[index]),
                protocol=protocol_name(int(head["protocol"]), int(head["ethertype"])),
                client=client,
                client_name=name_of(result, client),
                client_process=process_at(result, client_row, client_end, may_listen=client_row["protocol"] != TCP),
                server=server,
                server_name=name_of(result, server),
                server_process=process_at(result, server_row, server_end, may_listen=True),
                reason=reason_of(result, int(members.paths[failed[row]])) if failed[row] >= 0 else None,
                outcome=OUTCOMES[outcomes[row]],
                state=STATES[states[row]],
                ending=endings.text(members, row),
                packets=int(paths.size),
                views=tuple(views.get(index, [])),
                paths=tuple(result.ids.paths[paths].tolist()),
                rivals=tuple(result.ids.connections[rivals].tolist()),
            )
        )
    return found


def end_name(is_source: np.bool_) -> str:
    """Which end of a packet."""
    return "source" if is_source else "destination"


def name_of(result: Columns, end: str) -> str | None:
    """The container or namespace that has the address of an endpoint, where only one has it."""
    address = end[1:].split("]")[0] if end.startswith("[") else end.rsplit(":", 1)[0] if end.count(":") == 1 else end
    return owner_of(result.topology, address)


def owner_of(topology: Topology, address: str) -> str | None:
    """The container, namespace or node that has an address, where only one has it."""
    owners = topology.owners.get(address, [])
    if len(owners) != 1:
        return None
    node, name = owners[0]
    return node if name == "root" else name


def views_of(result: Columns, wanted: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(connection, frame) for each address pair that the wanted connections (per connection: bool) wore at a point, by
    the client's packets, in order: the frame that showed it first, by its row."""
    connection = result.connections.connection[of_kind(result.sightings, FRAME)]
    usable = np.flatnonzero(wanted[connection] & ((frames(result.sightings)["notes"] & NOTE_ERROR) == 0))
    usable = usable[np.argsort(result.times_ns[usable], kind="stable")]
    flow, flow_reverse, place = (result.sightings[name][usable] for name in ("flow", "flow_reverse", "place"))
    of, flow = connection[usable], np.where(result.connections.forward[usable], flow, flow_reverse)
    _, first = group_ids(hashed(of, place, flow))
    in_order = first[np.lexsort((flow[first], place[first], result.times_ns[usable[first]], of[first]))]
    return of[in_order], usable[in_order]


def _views(result: Columns, wanted: npt.NDArray[np.bool_]) -> dict[int, list[View]]:
    """The same as values, by connection."""
    views: dict[int, list[View]] = {}
    for connection, row in zip(*(column.tolist() for column in views_of(result, wanted)), strict=True):
        seen, point = result.sightings[row], result.topology.points[result.sightings["place"][row]]
        source, destination = endpoint(seen, "source"), endpoint(seen, "destination")
        if not result.connections.forward[row]:
            source, destination = destination, source
        view = View(
            node=point.node,
            netns=result.topology.namespaces[point.namespace].label,
            interface=point.interface,
            source=source,
            destination=destination,
        )
        views.setdefault(connection, []).append(view)
    return views
