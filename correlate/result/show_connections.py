"""Connections as values, for those who show or export them."""

import numpy as np
import numpy.typing as npt

from ..nodes.topology import Topology
from ..outcomes.kinds import Outcome
from ..protocols import TCP
from ..schema import NOTE_ERROR, NOTE_OUTER
from ..sightings import FRAME, frames, of_kind
from .columns import Columns
from .connection_ending import connection_ending
from .connection_state import connection_state
from .processes import process_at
from .reasons import connection_outcome
from .show import reason_of
from .values import Connection, View
from .words import endpoint, protocol_name


def connections_at(result: Columns, indexes: list[int]) -> list[Connection]:
    """Connections as values, by their indexes, from 0, in that order."""
    order = np.argsort(result.connection_of_path, kind="stable")
    bounds = np.searchsorted(result.connection_of_path[order], np.arange(result.connections.count + 1))
    chosen = np.zeros(result.connections.count, np.bool_)
    chosen[indexes] = True
    views = _views(result, chosen)
    found = []
    for index in indexes:
        paths = order[bounds[index] : bounds[index + 1]]
        head = result.sightings[result.head[paths[0]]]
        # An ICMP error about a connection is one of its paths, but what became of it is not what became of them.
        own = paths[(result.sightings["notes"][result.head[paths]] & NOTE_ERROR) == 0]
        failed = own[np.isin(result.outcomes.outcome[own], (Outcome.DROPPED, Outcome.LOST))]
        (client_row, client_end), (server_row, server_end) = _ends(result, paths)
        client, server = endpoint(client_row, client_end), endpoint(server_row, server_end)
        is_tcp = client_row["protocol"] == TCP
        state = connection_state(result, own if own.size else paths)
        found.append(
            Connection(
                id=int(result.ids.connections[index]),
                protocol=protocol_name(int(head["protocol"]), int(head["ethertype"])),
                client=client,
                client_name=_name_of(result, client),
                client_process=process_at(result, client_row, client_end, may_listen=not is_tcp),
                server=server,
                server_name=_name_of(result, server),
                server_process=process_at(result, server_row, server_end, may_listen=True),
                reason=reason_of(result, int(failed[0])) if failed.size else None,
                outcome=connection_outcome(result.outcomes.outcome[own if own.size else paths]),
                state=state,
                ending=connection_ending(result, own if own.size else paths, state),
                packets=int(paths.size),
                views=tuple(views.get(index, [])),
                paths=tuple(result.ids.paths[paths].tolist()),
                rivals=tuple(result.ids.connections[sorted(result.rival_connections.get(index, ()))].tolist()),
            )
        )
    return found


def _ends(result: Columns, paths: npt.NDArray[np.int64]) -> tuple[tuple[np.void, str], tuple[np.void, str]]:
    """Client and server by their own addresses, those of the longest path before and after all translations: each a
    sighting, and which end of that it is."""
    forward = result.forward_of_path[paths]
    use = paths[forward] if forward.any() else paths
    longest = use[np.argmax(result.first_hop[use + 1] - result.first_hop[use])]
    first = result.sightings[result.head[longest]]
    last = _last_itself(result, longest)
    if forward.any():
        return (first, "source"), (last, "destination")
    return (last, "destination"), (first, "source")


def _last_itself(result: Columns, index: int) -> np.void:
    """The last sighting of a path that shows the packet itself."""
    rows = result.sightings.take(result.hops["sighting"][result.first_hop[index] : result.first_hop[index + 1]])
    itself = np.flatnonzero((rows["notes"] & NOTE_OUTER) == 0)
    return rows[itself[-1] if itself.size else -1]


def _name_of(result: Columns, end: str) -> str | None:
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


def _views(result: Columns, wanted: npt.NDArray[np.bool_]) -> dict[int, list[View]]:
    """The address pairs that the wanted connections (per connection: bool) wore, by the client's packets, in
    order."""
    connection = result.connections.connection[of_kind(result.sightings, FRAME)]
    usable = np.flatnonzero(wanted[connection] & ((frames(result.sightings)["notes"] & NOTE_ERROR) == 0))
    forward = result.connections.forward[usable]
    seen = result.sightings.take(usable)
    flow = np.where(forward, seen["flow"], seen["flow_reverse"])
    order = np.lexsort((result.times_ns[usable], flow, seen["place"], connection[usable]))
    a, b = order[:-1], order[1:]
    first = np.ones(order.size, np.bool_)
    first[1:] = (
        (connection[usable[a]] != connection[usable[b]]) | (seen["place"][a] != seen["place"][b]) | (flow[a] != flow[b])
    )
    rows = order[first]
    rows = rows[np.lexsort((result.times_ns[usable[rows]], connection[usable[rows]]))]
    views: dict[int, list[View]] = {}
    for row in rows.tolist():
        point = result.topology.points[seen["place"][row]]
        source, destination = endpoint(seen[row], "source"), endpoint(seen[row], "destination")
        if not forward[row]:
            source, destination = destination, source
        view = View(
            node=point.node,
            netns=result.topology.namespaces[point.namespace].label,
            interface=point.interface,
            source=source,
            destination=destination,
        )
        views.setdefault(int(connection[usable[row]]), []).append(view)
    return views
