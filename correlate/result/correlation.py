"""The result of a correlation: columns inside, pandas tables and single paths outside."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from ...errors import TtraceError
from ...pcapng.read import CaptureFile, read_capture
from ..clocks.align import Clock
from ..decode.link_scope import is_link_chatter
from ..flows.connections import Connections, rival_pairs
from ..hops.rewrites import Evidence, Field
from ..netfilter.evaluations import Evaluations
from ..netfilter.messages import KernelMessages
from ..netfilter.rulebook import Kind, RuleBook
from ..netfilter.rules import Rule
from ..nodes.file_facts import FileFacts
from ..nodes.topology import Topology
from ..outcomes.coverage import Coverage
from ..outcomes.kinds import OUTCOMES, REASON_KIND, Outcome, Outcomes, Reason, Segments
from ..packets.match import Packets
from ..schema import NOTE_ERROR, NOTE_OUTER
from .confidence import EqualPackets, path_confidence
from .reasons import connection_outcome, reason_text
from .values import ChainHop, Connection, Hop, InterfaceHop, Path, ReasonNote, RewriteStep, RuleMatch, View
from .words import encapsulation, endpoint, packet_info, protocol_name

DIRECTIONS: Final = ("unknown", "in", "out", "unknown")
_VERDICTS: Final = {0: "drop", 1: "accept", 3: "queue", -1: "continue", -2: "break", -5: "return"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Ids that the paths and connections of a part have among those of all parts."""

    paths: npt.NDArray[np.int64]
    """By index, ascending; they begin at 1."""
    connections: npt.NDArray[np.int64]

    @classmethod
    def of_all(cls, paths: int, connections: int) -> "Numbers":
        """Where there are no other parts: index + 1."""
        return cls(paths=np.arange(1, paths + 1), connections=np.arange(1, connections + 1))


@dataclass(kw_only=True)
class Correlation:
    """Everything found in a set of captures. The arrays are documented in schema.py, order.py and rewrites.py."""

    files: list[FileFacts]
    messages: list[KernelMessages]
    topology: Topology
    clocks: list[Clock]
    sightings: npt.NDArray[np.void]
    """SIGHTING rows: `observed` captured frames, then one row per chain evaluation."""
    times_ns: npt.NDArray[np.int64]
    observed: int
    outers: npt.NDArray[np.void]
    """OUTER rows: the headers around encapsulated packets."""
    evaluations: Evaluations
    connections: Connections
    packets: Packets
    hops: npt.NDArray[np.void]
    rewrites: npt.NDArray[np.void]
    book: RuleBook
    outcomes: Outcomes
    order_doubtful: npt.NDArray[np.bool_]
    """Per observation: nothing says that it comes behind the hop before it, and not before that (PointOrder)."""
    reach: npt.NDArray[np.int64]
    """Bytes of the transport headers that contents were made of, per IP version (4, 6): see reach.py."""
    coverage: Coverage
    among_all: Numbers | None = None
    """Where these are a part of all connections: the ids they have among all."""
    opened: dict[int, CaptureFile] = field(default_factory=dict)
    """Files with their bytes, by their number: those that are at hand; capture() adds others."""

    def capture(self, file: int) -> CaptureFile:
        """A file with its frames, read again where it is not at hand. Raises TtraceError when that cannot be."""
        if file not in self.opened:
            facts = self.files[file]
            capture = read_capture(facts.path)
            if capture.records.size != facts.records:
                raise TtraceError(f"`{facts.path}` is not what it was", "correlate again; was it written to meanwhile?")
            self.opened[file] = capture
        return self.opened[file]

    @cached_property
    def ids(self) -> Numbers:
        """The ids of the paths and connections, by index."""
        return self.among_all or Numbers.of_all(self.packets.count, self.connections.count)

    @property
    def segments(self) -> Segments:
        """Which paths go on as which others."""
        return self.outcomes.segments

    @cached_property
    def first_hop(self) -> npt.NDArray[np.int64]:
        """Row of the first hop of each path, and one more at the end."""
        return np.searchsorted(self.hops["packet"], np.arange(self.packets.count + 1))

    @cached_property
    def first_rewrite(self) -> npt.NDArray[np.int64]:
        """Row of the first rewrite of each path, and one more at the end."""
        return np.searchsorted(self.rewrites["packet"], np.arange(self.packets.count + 1))

    @cached_property
    def visible(self) -> npt.NDArray[np.bool_]:
        """Per hop row: shown. The chains of ttrace's own table are evidence, shown only where nothing else shows a
        rewrite."""
        own = np.array([chain.own for chain in self.evaluations.chains] or [False], np.bool_)
        evaluation = self.hops["sighting"] - self.observed
        shown = evaluation < 0
        if self.evaluations.rows.size:
            chain = self.evaluations.rows["chain"][np.maximum(evaluation, 0)]
            shown = shown | ~own[chain]
        packet = self.hops["packet"]
        rows = np.arange(shown.size)
        first = np.full(self.packets.count, shown.size, np.int64)
        last = np.full(self.packets.count, -1, np.int64)
        np.minimum.at(first, packet[shown], rows[shown])
        np.maximum.at(last, packet[shown], rows[shown])
        before, after, of = self.rewrites["before"], self.rewrites["after"], self.rewrites["packet"]
        shown[before[first[of] > before]] = True
        shown[after[last[of] < after]] = True
        # A packet known by our own chains alone keeps them: better than a path without hops.
        shown |= (last < 0)[packet]
        return shown

    @cached_property
    def confidence(self) -> npt.NDArray[np.float64]:
        """Per path, 0 to 1, see confidence.py."""
        return path_confidence(self.packets, self.connections, self.connection_of_path, self.rewrites)

    @cached_property
    def _equal_packets(self) -> EqualPackets:
        first = self.hops["sighting"][self.first_hop[:-1]]
        return EqualPackets.build(
            self.packets, self.connections.direction_group[first], self.sightings["content"][first]
        )

    @cached_property
    def _rival_connections(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for a, b in rival_pairs(self.connections).tolist():
            found.setdefault(a, []).append(b)
            found.setdefault(b, []).append(a)
        return found

    @cached_property
    def head(self) -> npt.NDArray[np.int64]:
        """Per path: its first sighting that shows the packet itself, not only a header around it."""
        sighting = self.hops["sighting"]
        first = self.first_hop[:-1]
        itself = np.flatnonzero((self.sightings["notes"][sighting] & NOTE_OUTER) == 0)
        found = np.append(itself, sighting.size)[np.searchsorted(itself, first)]
        return sighting[np.where(found < self.first_hop[1:], found, first)]

    @cached_property
    def chatter(self) -> npt.NDArray[np.bool_]:
        """Per path: ARP, multicast, IPv6 neighbour discovery: what links say among themselves."""
        return is_link_chatter(self.sightings[self.head])

    @cached_property
    def connection_of_path(self) -> npt.NDArray[np.int64]:
        """Connection index of each path."""
        return self.connections.connection[self.hops["sighting"][self.first_hop[:-1]]]

    @cached_property
    def forward_of_path(self) -> npt.NDArray[np.bool_]:
        """Per path: from the client to the server."""
        return self.connections.forward[self.hops["sighting"][self.first_hop[:-1]]]

    def path(self, number: int) -> Path:
        """One path by its id. Raises IndexError when there is none."""
        return self.path_at(_index_of(self.ids.paths, number, "path"))

    def path_at(self, index: int) -> Path:
        """One path by its index, from 0."""
        ids = self.ids.paths
        rows = np.arange(self.first_hop[index], self.first_hop[index + 1])
        shown = rows[self.visible[rows]]
        head = self.sightings[self.head[index]]
        location = int(self.outcomes.location[index])
        return Path(
            id=int(ids[index]),
            connection=int(self.ids.connections[self.connection_of_path[index]]),
            protocol=protocol_name(int(head["protocol"]), int(head["ethertype"])),
            info=packet_info(head),
            outcome=OUTCOMES[self.outcomes.outcome[index]],
            reason=self._reason(index),
            confidence=float(self.confidence[index]),
            ambiguous=bool(self.packets.ambiguous[index]),
            goes_on_as=tuple(int(ids[piece]) for piece in self.segments.goes_on_as.get(index, ())),
            comes_from=tuple(int(ids[packet]) for packet in self.segments.comes_from.get(index, ())),
            rivals=tuple(int(ids[rival]) for rival in self._equal_packets.rivals(index)),
            forward=bool(self.forward_of_path[index]),
            delivered_to=self._location_name(location) if location >= 0 else None,
            hops=tuple(self.hop(int(row)) for row in shown),
            rewrites=tuple(
                self._rewrite(self.rewrites[r], shown)
                for r in range(int(self.first_rewrite[index]), int(self.first_rewrite[index + 1]))
            ),
        )

    def _location_name(self, location: int) -> str:
        node, name = self.outcomes.locations[location]
        return node if name == "root" else name

    def hop(self, row: int) -> Hop:
        """One hop, by its row in `hops`."""
        return self.hop_of(int(self.hops["sighting"][row]))

    def hop_of(self, sighting: int) -> Hop:
        """The hop that a sighting is, by its row in `sightings`."""
        seen = self.sightings[sighting]
        if sighting >= self.observed:
            return self._chain_hop(sighting, seen)
        point = self.topology.points[seen["place"]]
        namespace = self.topology.namespaces[point.namespace]
        return InterfaceHop(
            node=point.node,
            netns=namespace.label,
            interface=point.interface,
            container=point.container,
            direction=DIRECTIONS[seen["direction"]],
            time_ns=int(self.times_ns[sighting]),
            source=endpoint(seen, "source"),
            destination=endpoint(seen, "destination"),
            order_known=not self.order_doubtful[sighting],
            ttl=int(seen["ttl"]),
            length=int(seen["length"]),
            encapsulation=encapsulation(self.outers[int(seen["outer"]) - 1]) if seen["outer"] else None,
            file=self.files[seen["file"]].path,
            frame=int(seen["frame"]),
        )

    def _chain_hop(self, sighting: int, seen: np.void) -> ChainHop:
        row = self.evaluations.rows[sighting - self.observed]
        chain = self.evaluations.chains[row["chain"]]
        namespace = self.topology.namespaces[chain.namespace]
        return ChainHop(
            node=namespace.node,
            netns=namespace.label,
            hook=chain.base.hook,
            family=chain.family,
            table=chain.table,
            chain=chain.name,
            priority=chain.base.priority,
            time_ns=self.reference_time(namespace.node, int(seen["time_ns"])),
            source=endpoint(seen, "source"),
            destination=endpoint(seen, "destination"),
            rules=tuple(self._matches(row)),
            verdict=("drop", "accept", "unknown")[row["verdict"]],
            by_policy=bool(row["policy"]),
        )

    def _matches(self, row: np.void) -> list[RuleMatch]:
        """The rules that matched, in order; an implicit return at the end of a chain is none."""
        matches = []
        for index in range(int(row["first_event"]), int(row["last_event"])):
            event = self.evaluations.events[index]
            number = int(self.book.of_event[index])
            if number < 0:
                continue
            rule = self.book.rules[number]
            code = int(event["verdict"])
            target = self.evaluations.names.get(int(event["jump"]), "")
            verdict = {-3: f"jump {target}", -4: f"goto {target}"}.get(code) or _VERDICTS.get(code, "unknown")
            matches.append(
                RuleMatch(
                    chain=rule.chain, handle=rule.handle, number=rule.number, text=rule.text, verdict=verdict, rule=rule
                )
            )
        return matches

    def reference_time(self, node: str, time_ns: int) -> int:
        """A time of the node's clock, on the reference clock."""
        clock = next(clock for clock in self.clocks if clock.node == node)
        return time_ns - int(clock.offsets(np.array([time_ns]))[0])

    def _rewrite(self, row: np.void, shown: npt.NDArray[np.int64]) -> RewriteStep:
        before = self.sightings[self.hops["sighting"][row["before"]]]
        after = self.sightings[self.hops["sighting"][row["after"]]]
        field = Field(int(row["field"])).name.lower()
        # The translation happened in a namespace that saw it before and after; else behind the earlier hop.
        namespace = self.topology.namespaces[before["namespace"]]
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
            rule=self._rule(int(row["rule"])),
        )

    def _rule(self, index: int) -> Rule | None:
        return self.book.rules[index] if index >= 0 else None

    def _reason(self, index: int) -> ReasonNote | None:
        reason = Reason(int(self.outcomes.reason[index]))
        if reason == Reason.NONE:
            return None
        rule = self._rule(int(self.outcomes.rule[index]))
        hop = self.hop(int(self.first_hop[index + 1]) - 1)
        text = reason_text(reason, hop, rule)
        related = int(self.outcomes.related[index])
        if related >= 0:
            said = self.sightings[self.hops["sighting"][self.first_hop[related]]]
            text += f"; it was answered with ICMP {packet_info(said)} (path {self.ids.paths[related]})"
        return ReasonNote(kind=REASON_KIND[reason], text=text, rule=rule)

    def connection(self, number: int) -> Connection:
        """One connection by its id. Raises IndexError when there is none."""
        return self.connections_at([_index_of(self.ids.connections, number, "connection")])[0]

    def connection_list(self) -> list[Connection]:
        """All connections as values."""
        return self.connections_at(list(range(self.connections.count)))

    def connections_at(self, indexes: list[int]) -> list[Connection]:
        """Connections as values, by their indexes, from 0, in that order."""
        order = np.argsort(self.connection_of_path, kind="stable")
        bounds = np.searchsorted(self.connection_of_path[order], np.arange(self.connections.count + 1))
        chosen = np.zeros(self.connections.count, np.bool_)
        chosen[indexes] = True
        views = self._views(chosen)
        found = []
        for index in indexes:
            paths = order[bounds[index] : bounds[index + 1]]
            head = self.sightings[self.head[paths[0]]]
            # An ICMP error about a connection is one of its paths, but what became of it is not what became of them.
            own = paths[(self.sightings["notes"][self.head[paths]] & NOTE_ERROR) == 0]
            failed = own[np.isin(self.outcomes.outcome[own], (Outcome.DROPPED, Outcome.LOST))]
            client, server = self._ends(paths)
            found.append(
                Connection(
                    id=int(self.ids.connections[index]),
                    protocol=protocol_name(int(head["protocol"]), int(head["ethertype"])),
                    client=client,
                    client_name=self._name_of(client),
                    server=server,
                    server_name=self._name_of(server),
                    reason=self._reason(int(failed[0])) if failed.size else None,
                    outcome=connection_outcome(self.outcomes.outcome[own if own.size else paths]),
                    packets=int(paths.size),
                    views=tuple(views.get(index, [])),
                    paths=tuple(self.ids.paths[paths].tolist()),
                    rivals=tuple(self.ids.connections[sorted(self._rival_connections.get(index, ()))].tolist()),
                )
            )
        return found

    def _ends(self, paths: npt.NDArray[np.int64]) -> tuple[str, str]:
        """Client and server by their own addresses: those of the longest path, before and after all translations."""
        forward = self.forward_of_path[paths]
        use = paths[forward] if forward.any() else paths
        longest = use[np.argmax(self.first_hop[use + 1] - self.first_hop[use])]
        first = self.sightings[self.head[longest]]
        last = self._last_itself(longest)
        if forward.any():
            return endpoint(first, "source"), endpoint(last, "destination")
        return endpoint(last, "destination"), endpoint(first, "source")

    def _last_itself(self, index: int) -> np.void:
        """The last sighting of a path that shows the packet itself."""
        rows = self.sightings[self.hops["sighting"][self.first_hop[index] : self.first_hop[index + 1]]]
        itself = np.flatnonzero((rows["notes"] & NOTE_OUTER) == 0)
        return rows[itself[-1] if itself.size else -1]

    def _name_of(self, end: str) -> str | None:
        """The container or namespace that has the address of an endpoint, where only one has it."""
        address = (
            end[1:].split("]")[0] if end.startswith("[") else end.rsplit(":", 1)[0] if end.count(":") == 1 else end
        )
        owners = self.topology.owners.get(address, [])
        if len(owners) != 1:
            return None
        node, name = owners[0]
        return node if name == "root" else name

    def _views(self, wanted: npt.NDArray[np.bool_]) -> dict[int, list[View]]:
        """The address pairs that the wanted connections (per connection: bool) wore, by the client's packets, in
        order."""
        connection = self.connections.connection[: self.observed]
        usable = np.flatnonzero(wanted[connection] & ((self.sightings["notes"][: self.observed] & NOTE_ERROR) == 0))
        forward = self.connections.forward[usable]
        seen = self.sightings[usable]
        flow = np.where(forward, seen["flow"], seen["flow_reverse"])
        order = np.lexsort((self.times_ns[usable], flow, seen["place"], connection[usable]))
        a, b = order[:-1], order[1:]
        first = np.ones(order.size, np.bool_)
        first[1:] = (
            (connection[usable[a]] != connection[usable[b]])
            | (seen["place"][a] != seen["place"][b])
            | (flow[a] != flow[b])
        )
        rows = order[first]
        rows = rows[np.lexsort((self.times_ns[usable[rows]], connection[usable[rows]]))]
        views: dict[int, list[View]] = {}
        for row in rows.tolist():
            point = self.topology.points[seen["place"][row]]
            source, destination = endpoint(seen[row], "source"), endpoint(seen[row], "destination")
            if not forward[row]:
                source, destination = destination, source
            view = View(
                node=point.node,
                netns=self.topology.namespaces[point.namespace].label,
                interface=point.interface,
                source=source,
                destination=destination,
            )
            views.setdefault(int(connection[usable[row]]), []).append(view)
        return views


def _index_of(ids: npt.NDArray[np.int64], number: int, what: str) -> int:
    index = int(np.searchsorted(ids, number))
    if index == ids.size or ids[index] != number:
        raise IndexError(f"there is no {what} {number}")
    return index
