"""What a correlation found: columns, and what is derived from them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..clocks.clock import Clock
from ..decode.link_scope import is_link_chatter
from ..flows.connections import Connections, rival_pairs
from ..netfilter.evaluations import Evaluations
from ..netfilter.messages import KernelMessages, Said
from ..netfilter.rule_history import RuleHistory
from ..netfilter.rulebook import RuleBook
from ..netfilter.told import said_by_all
from ..nodes.file_facts import FileFacts
from ..nodes.surroundings import Surroundings
from ..nodes.topology import Topology
from ..outcomes.coverage import Coverage
from ..outcomes.kinds import Outcomes, Reason, Segments
from ..packets.match import Packets
from ..schema import NOTE_OUTER
from ..sequences.shifts import Shifts
from ..sightings import DROP, MARKS, of_kind, told
from .confidence import ExchangeablePackets, path_confidence


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
class Columns:
    """Everything found in a set of captures. The arrays: schema.py, hops/order.py, hops/rewrites.py."""

    files: list[FileFacts]
    messages: list[KernelMessages]
    topology: Topology
    clocks: list[Clock]
    sightings: npt.NDArray[np.void]
    """SIGHTING rows: captured frames, then what the kernel said."""
    times_ns: npt.NDArray[np.int64]
    said: npt.NDArray[np.void]
    """TOLD columns, one row per sighting that is no frame."""
    outers: npt.NDArray[np.void]
    """OUTER rows: the headers around encapsulated packets."""
    evaluations: Evaluations
    connections: Connections
    shifts: Shifts
    packets: Packets
    hops: npt.NDArray[np.void]
    rewrites: npt.NDArray[np.void]
    book: RuleBook
    outcomes: Outcomes
    order_doubtful: npt.NDArray[np.bool_]
    """Per observation: nothing says that it comes behind the hop before it, and not before that (PointOrder)."""
    reach: npt.NDArray[np.int64]
    """Bytes of the transport headers that contents were made of, per IP version (4, 6): decode/compared_bytes.py."""
    coverage: Coverage
    marks: int = MARKS
    """What may be among the sightings (sightings.py)."""
    surroundings: Surroundings = field(default_factory=Surroundings)
    """Routing, neighbours and settings of the namespaces, as their snapshots tell."""
    histories: dict[int, RuleHistory] = field(default_factory=dict)
    """Namespace index to how its rules changed."""
    among_all: Numbers | None = None
    """Where these are a part of all connections: the ids they have among all."""

    @cached_property
    def ids(self) -> Numbers:
        """The ids of the paths and connections, by index."""
        return self.among_all or Numbers.of_all(self.packets.count, self.connections.count)

    @cached_property
    def said_of_kind(self) -> dict[int, Said]:
        """What single messages of the kernel say, with all that only their source knows, by the kind of sighting."""
        return said_by_all(self.messages)

    @property
    def segments(self) -> Segments:
        """Which paths go on as which others."""
        return self.outcomes.segments

    @cached_property
    def first_hop(self) -> npt.NDArray[np.int64]:
        """Row of the first hop of each path, and one more at the end."""
        return _first_of_each(self.hops["packet"], self.packets.count)

    @cached_property
    def first_rewrite(self) -> npt.NDArray[np.int64]:
        """Row of the first rewrite of each path, and one more at the end."""
        return _first_of_each(self.rewrites["packet"], self.packets.count)

    @cached_property
    def visible(self) -> npt.NDArray[np.bool_]:
        """Per hop row: shown. The chains of ttrace's own table are evidence, shown only where nothing else shows a
        rewrite; that the kernel dropped it is what the rule or policy says that did it."""
        own = np.zeros(self.sightings.size, np.bool_)
        own[told(self.sightings)] = self.said["own"]
        if not own.any() and own.size == of_kind(self.sightings, DROP).start:
            return np.ones(self.hops.size, np.bool_)
        shown = ~own[self.hops["sighting"]]
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
        drops = of_kind(self.sightings, DROP)
        dropped = (self.hops["sighting"] >= drops.start) & (self.hops["sighting"] < drops.stop)
        return shown & ~(dropped & np.isin(self.outcomes.reason, (Reason.RULE, Reason.POLICY))[packet])

    @cached_property
    def confidence(self) -> npt.NDArray[np.float64]:
        """Per path, 0 to 1, see confidence.py."""
        return path_confidence(self.packets, self.connections, self.connection_of_path, self.rewrites)

    @cached_property
    def exchangeable(self) -> ExchangeablePackets:
        """Ambiguous packets with those they could be exchanged for."""
        first = self.hops["sighting"][self.first_hop[:-1]]
        way, content = self.connections.way[first], self.sightings["content"][first]
        return ExchangeablePackets.build(self.packets, way, content)

    @cached_property
    def rival_connections(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(connection, another that it may be, behind a translation), in the order of both."""
        pairs = rival_pairs(self.connections)
        both = np.concatenate([pairs, pairs[:, ::-1]])
        both = both[np.lexsort((both[:, 1], both[:, 0]))]
        return both[:, 0], both[:, 1]

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
        return is_link_chatter(self.sightings.take(self.head))

    @cached_property
    def connection_of_path(self) -> npt.NDArray[np.int64]:
        """Connection index of each path."""
        return self.connections.connection[self.hops["sighting"][self.first_hop[:-1]]]

    @cached_property
    def paths_by_connection(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(paths, connection by connection; where each connection begins among them, and the last ends)."""
        order = np.argsort(self.connection_of_path, kind="stable")
        return order, np.searchsorted(self.connection_of_path[order], np.arange(self.connections.count + 1))

    @cached_property
    def forward_of_path(self) -> npt.NDArray[np.bool_]:
        """Per path: from the client to the server."""
        return self.connections.forward[self.hops["sighting"][self.first_hop[:-1]]]


def _first_of_each(packet: npt.NDArray[np.int64], packets: int) -> npt.NDArray[np.int64]:
    """The first row of each of `packets`, and one more at the end; `packet`: of each row, ascending."""
    return np.append(0, np.cumsum(np.bincount(packet, minlength=packets)))
