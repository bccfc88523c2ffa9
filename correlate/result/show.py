"""Paths, hops and connections as values, for those who show or export them."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from ..hops.rewrites import Evidence, Field
from ..netfilter.numbers import NFT_GOTO, NFT_JUMP
from ..netfilter.rulebook import Kind
from ..netfilter.rules import Rule
from ..netfilter.sources import source_of_kind
from ..outcomes.kinds import OUTCOMES, Outcome, Reason
from ..schema import NOTE_ERROR, NOTE_OUTER
from ..sightings import EVALUATION, FRAME, frames, of_kind
from .columns import Columns
from .reasons import IcmpError, LastPlace, ReasonNote, connection_outcome
from .values import ChainHop, Connection, Hop, InterfaceHop, KernelHop, Path, RewriteStep, RuleMatch, View
from .words import DIRECTIONS, TRACE_VERDICTS, VERDICTS, encapsulation, endpoint, packet_info, protocol_name


def path_at(result: Columns, index: int) -> Path:
    """One path by its index, from 0."""
    ids = result.ids.paths
    rows = np.arange(result.first_hop[index], result.first_hop[index + 1])
    shown = rows[result.visible[rows]]
    head = result.sightings[result.head[index]]
    location = int(result.outcomes.location[index])
    return Path(
        id=int(ids[index]),
        connection=int(result.ids.connections[result.connection_of_path[index]]),
        protocol=protocol_name(int(head["protocol"]), int(head["ethertype"])),
        info=packet_info(head),
        outcome=OUTCOMES[result.outcomes.outcome[index]],
        reason=_reason(result, index),
        confidence=float(result.confidence[index]),
        ambiguous=bool(result.packets.ambiguous[index]),
        goes_on_as=tuple(int(ids[piece]) for piece in result.segments.goes_on_as.get(index, ())),
        comes_from=tuple(int(ids[packet]) for packet in result.segments.comes_from.get(index, ())),
        rivals=tuple(int(ids[rival]) for rival in result.equal_packets.rivals(index)),
        forward=bool(result.forward_of_path[index]),
        delivered_to=_location_name(result, location) if location >= 0 else None,
        hops=tuple(hop_of(result, int(result.hops["sighting"][row])) for row in shown),
        rewrites=tuple(
            _rewrite(result, result.rewrites[r], shown)
            for r in range(int(result.first_rewrite[index]), int(result.first_rewrite[index + 1]))
        ),
    )


def _location_name(result: Columns, location: int) -> str:
    node, name = result.outcomes.locations[location]
    return node if name == "root" else name


def hop_of(result: Columns, sighting: int) -> Hop:
    """The hop that a sighting is, by its row in `sightings`."""
    return _HOP_OF_KIND.get(int(result.sightings["kind"][sighting]), _kernel_hop)(result, sighting)


def _interface_hop(result: Columns, sighting: int) -> InterfaceHop:
    seen = result.sightings[sighting]
    point = result.topology.points[seen["place"]]
    namespace = result.topology.namespaces[point.namespace]
    return InterfaceHop(
        node=point.node,
        netns=namespace.label,
        interface=point.interface,
        container=point.container,
        direction=DIRECTIONS[seen["direction"]],
        time_ns=int(result.times_ns[sighting]),
        source=endpoint(seen, "source"),
        destination=endpoint(seen, "destination"),
        order_known=not result.order_doubtful[sighting],
        ttl=int(seen["ttl"]),
        length=int(seen["length"]),
        encapsulation=encapsulation(result.outers[int(seen["outer"]) - 1]) if seen["outer"] else None,
        file=result.files[seen["file"]].path,
        frame=int(seen["frame"]),
    )


def _chain_hop(result: Columns, sighting: int) -> ChainHop:
    seen = result.sightings[sighting]
    row = result.evaluations.rows[sighting - of_kind(result.sightings, EVALUATION).start]
    chain = result.evaluations.chains[row["chain"]]
    namespace = result.topology.namespaces[chain.namespace]
    return ChainHop(
        node=namespace.node,
        netns=namespace.label,
        hook=chain.base.hook,
        family=chain.family,
        table=chain.table,
        chain=chain.name,
        priority=chain.base.priority,
        time_ns=_reference_time(result, namespace.node, int(seen["time_ns"])),
        source=endpoint(seen, "source"),
        destination=endpoint(seen, "destination"),
        rules=tuple(_matches(result, row)),
        verdict=VERDICTS[row["verdict"]],
        by_policy=bool(row["policy"]),
    )


def _matches(result: Columns, row: np.void) -> list[RuleMatch]:
    """The rules that matched, in order; an implicit return at the end of a chain is none."""
    matches = []
    for index in range(int(row["first_event"]), int(row["last_event"])):
        event = result.evaluations.events[index]
        number = int(result.book.of_event[index])
        if number < 0:
            continue
        rule = result.book.rules[number]
        code = int(event["verdict"])
        target = result.evaluations.names.get(int(event["jump"]), "")
        jump = {NFT_JUMP: f"jump {target}", NFT_GOTO: f"goto {target}"}.get(code)
        verdict = jump or TRACE_VERDICTS.get(code, "unknown")
        matches.append(
            RuleMatch(
                chain=rule.chain, handle=rule.handle, number=rule.number, text=rule.text, verdict=verdict, rule=rule
            )
        )
    return matches


def _kernel_hop(result: Columns, sighting: int) -> KernelHop:
    seen = result.sightings[sighting]
    kind = int(seen["kind"])
    source = source_of_kind(kind)
    row = result.said_of_kind[kind].rows[sighting - of_kind(result.sightings, kind).start]
    namespace = result.topology.namespaces[seen["namespace"]]
    return KernelHop(
        kind=source.name,
        node=namespace.node,
        netns=namespace.label,
        time_ns=_reference_time(result, namespace.node, int(seen["time_ns"])),
        source=endpoint(seen, "source"),
        destination=endpoint(seen, "destination"),
        says=source.words(row, result.evaluations.names),
        verdict=VERDICTS[row["verdict"]],
    )


_HOP_OF_KIND: Final[dict[int, Callable[[Columns, int], Hop]]] = {FRAME: _interface_hop, EVALUATION: _chain_hop}
"""By the kind of the sighting (sightings.py); what else the kernel says is a KernelHop."""


def _reference_time(result: Columns, node: str, time_ns: int) -> int:
    """A time of the node's clock, on the reference clock."""
    clock = next(clock for clock in result.clocks if clock.node == node)
    return time_ns - int(clock.offsets(np.array([time_ns]))[0])


def _rewrite(result: Columns, row: np.void, shown: npt.NDArray[np.int64]) -> RewriteStep:
    before = result.sightings[result.hops["sighting"][row["before"]]]
    after = result.sightings[result.hops["sighting"][row["after"]]]
    field = Field(int(row["field"])).name.lower()
    # The translation happened in a namespace that saw it before and after; else behind the earlier hop.
    namespace = result.topology.namespaces[before["namespace"]]
    return RewriteStep(
        node=namespace.node,
        netns=namespace.label,
        after_hop=int(np.searchsorted(shown, row["before"], side="right")) - 1,
        before_hop=int(np.searchsorted(shown, row["after"], side="left")),
        field=field,
        old=endpoint(before, field),
        new=endpoint(after, field),
        kind=Kind(int(row["kind"])).name.lower(),
        undo=bool(row["undo"]),
        evidence=Evidence(int(row["evidence"])).name.lower(),
        rule=_rule(result, int(row["rule"])),
    )


def _rule(result: Columns, index: int) -> Rule | None:
    return result.book.rules[index] if index >= 0 else None


def _reason(result: Columns, index: int) -> ReasonNote | None:
    code = Reason(int(result.outcomes.reason[index]))
    if code == Reason.NONE:
        return None
    return ReasonNote(
        code=code,
        last=_last_place(hop_of(result, int(result.hops["sighting"][result.first_hop[index + 1] - 1]))),
        rule=_rule(result, int(result.outcomes.rule[index])),
        error=_icmp_error(result, int(result.outcomes.related[index])),
    )


def _last_place(hop: Hop) -> LastPlace:
    if isinstance(hop, ChainHop):
        return LastPlace(node=hop.node, netns=hop.netns, hook=hop.hook, table=hop.table, chain=hop.chain)
    if isinstance(hop, KernelHop):
        return LastPlace(node=hop.node, netns=hop.netns, says=hop.says)
    return LastPlace(node=hop.node, netns=hop.netns, interface=hop.interface, direction=hop.direction)


def _icmp_error(result: Columns, index: int) -> IcmpError | None:
    """`index`: of the path that it is; -1 for none."""
    if index < 0:
        return None
    said = result.sightings[result.hops["sighting"][result.first_hop[index]]]
    return IcmpError(path=int(result.ids.paths[index]), says=packet_info(said))


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
        client, server = _ends(result, paths)
        found.append(
            Connection(
                id=int(result.ids.connections[index]),
                protocol=protocol_name(int(head["protocol"]), int(head["ethertype"])),
                client=client,
                client_name=_name_of(result, client),
                server=server,
                server_name=_name_of(result, server),
                reason=_reason(result, int(failed[0])) if failed.size else None,
                outcome=connection_outcome(result.outcomes.outcome[own if own.size else paths]),
                packets=int(paths.size),
                views=tuple(views.get(index, [])),
                paths=tuple(result.ids.paths[paths].tolist()),
                rivals=tuple(result.ids.connections[sorted(result.rival_connections.get(index, ()))].tolist()),
            )
        )
    return found


def _ends(result: Columns, paths: npt.NDArray[np.int64]) -> tuple[str, str]:
    """Client and server by their own addresses: those of the longest path, before and after all translations."""
    forward = result.forward_of_path[paths]
    use = paths[forward] if forward.any() else paths
    longest = use[np.argmax(result.first_hop[use + 1] - result.first_hop[use])]
    first = result.sightings[result.head[longest]]
    last = _last_itself(result, longest)
    if forward.any():
        return endpoint(first, "source"), endpoint(last, "destination")
    return endpoint(last, "destination"), endpoint(first, "source")


def _last_itself(result: Columns, index: int) -> np.void:
    """The last sighting of a path that shows the packet itself."""
    rows = result.sightings[result.hops["sighting"][result.first_hop[index] : result.first_hop[index + 1]]]
    itself = np.flatnonzero((rows["notes"] & NOTE_OUTER) == 0)
    return rows[itself[-1] if itself.size else -1]


def _name_of(result: Columns, end: str) -> str | None:
    """The container or namespace that has the address of an endpoint, where only one has it."""
    address = end[1:].split("]")[0] if end.startswith("[") else end.rsplit(":", 1)[0] if end.count(":") == 1 else end
    owners = result.topology.owners.get(address, [])
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
    seen = result.sightings[usable]
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
