"""One run, part by part: what became of the connections of each role."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import group_ids, hashed
from ..findings.all_findings import MOST_IDS, AllFindings
from ..findings.common import Common
from ..findings.values import Finding
from ..nodes.file_facts import FileFacts
from ..nodes.surroundings import Surroundings
from ..nodes.topology import Topology
from ..outcomes.kinds import OUTCOMES, Outcome
from ..result.connection_state import STATES
from ..result.correlation import Correlation
from ..result.words import packet_info
from ..summaries.routes import route_keys
from .classes import PacketClass, connection_outcomes, connection_states, packet_classes
from .common_names import CommonNames
from .delays import LegKey, Samples, find_delays
from .ends import Ends
from .grouping import Grouped, RoleKey, group_connections
from .points import Place
from .rule_words import common_words
from .way_keys import translated_to
from .ways import Way, WayReader

_MOST_WAYS: Final = 24
"""Ways of one class of packets of a role that are looked at in one part: those of most packets, and as many that
failed."""
_ALL_IDS: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOfParts:
    """A result of any size."""

    topology: Topology
    surroundings: Surroundings
    files: Sequence[FileFacts]
    common: Common | None
    """What findings have to know of all parts; None where there is one."""
    each: Callable[[], Iterable[Correlation]]
    """Goes through its parts, one in memory at a time."""


@dataclass(slots=True)
class WaySeen:
    """One way, and how many packets took it."""

    way: Way
    packets: int
    path: int
    """Id of the first of them."""
    info: str
    """What that is: `SYN`."""
    time_ns: int


@dataclass(slots=True)
class Side:
    """The connections of one role in one run."""

    connections: int = 0
    packets: int = 0
    first_connection: int = 0
    """Its id."""
    outcomes: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    clients: set[str] = field(default_factory=set)
    servers: set[str] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)
    ways: dict[tuple[PacketClass, bool], dict[tuple[object, ...], WaySeen]] = field(default_factory=dict)
    """(class, from the client) to (steps, end) to the way."""
    packets_of: Counter[tuple[PacketClass, bool]] = field(default_factory=Counter)
    delays: dict[LegKey, Samples] = field(default_factory=dict)

    def add(self, other: "Side") -> None:
        """More connections that have the same role."""
        self.first_connection = min(self.first_connection or other.first_connection, other.first_connection)
        self.connections += other.connections
        self.packets += other.packets
        for mine, its in ((self.outcomes, other.outcomes), (self.states, other.states)):
            mine.update(its)
        self.packets_of.update(other.packets_of)
        self.clients |= other.clients
        self.servers |= other.servers
        self.ports |= other.ports
        for kind, ways in other.ways.items():
            for key, seen in ways.items():
                self.add_way(kind, key, seen)
        for leg, samples in other.delays.items():
            mine_of_leg = self.delays.setdefault(leg, Samples(order=len(self.delays)))
            mine_of_leg.add(samples.values, samples.error_ns, samples.count)

    def add_way(self, kind: tuple[PacketClass, bool], key: tuple[object, ...], seen: WaySeen) -> None:
        """More packets."""
        known = self.ways.setdefault(kind, {}).setdefault(key, seen)
        if known is seen:
            return
        known.packets += seen.packets
        if seen.path < known.path:
            known.path, known.info, known.time_ns = seen.path, seen.info, seen.time_ns


class Run:
    """Everything that is known of one run."""

    def __init__(
        self,
        result: RunOfParts,
        names: CommonNames,
        known: AbstractSet[str],
        places: list[Place],
        hidden: AbstractSet[Place],
    ) -> None:
        """`known`: the names that both runs know; `places`: what both call its capture points; `hidden`: those of them
        that only this run captured."""
        self.names, self._places = names, places
        topology = result.topology
        self.files = tuple(dict.fromkeys(file.path for file in result.files))
        self.lost = sum(sum({one.interface: one.lost for one in file.statistics}.values()) for file in result.files)
        """Packets and messages, by the captures' own counts."""
        self._ends = Ends(topology, result.surroundings, names, known)
        self.words = common_words(topology, names, self._ends, places)
        self._reader = WayReader(topology, names, self._ends, places, self.words, hidden)
        self.sides: dict[RoleKey, Side] = {}
        self._findings = AllFindings(result.common, most_ids=_ALL_IDS)
        self._roles: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
        """Per part: (ids of its connections, the role of each)."""
        self._keys: dict[RoleKey, int] = {}
        self.connections = self.packets = 0

    def add_all(self, parts: Iterable[Correlation]) -> Self:
        """Look at all parts."""
        for part in parts:
            self.add(part)
        return self

    def add(self, part: Correlation) -> None:
        """Look at one part."""
        grouped = group_connections(part, self._ends, self.names)
        self._findings.add(part, np.ones(part.packets.count, np.bool_))
        numbers = np.array([self._keys.setdefault(key, len(self._keys)) for key in grouped.keys] or [0], np.int64)
        known = np.flatnonzero(grouped.of_connection >= 0)
        self._roles.append((part.ids.connections[known], numbers[grouped.of_connection[known]]))
        sides = [self.sides.setdefault(key, Side()) for key in grouped.keys]
        self._count(part, grouped, sides)
        self._add_ways(part, grouped, sides)
        for group, key, values, error in find_delays(part, grouped.of_connection, self._places):
            legs = sides[group].delays
            legs.setdefault(key, Samples(order=len(legs))).add(values, error)

    def _count(self, part: Correlation, grouped: Grouped, sides: list[Side]) -> None:
        of, count = grouped.of_connection, len(sides)
        known = np.flatnonzero(of >= 0)
        self.connections += known.size
        paths = of[part.connection_of_path]
        packets = np.bincount(paths[paths >= 0], minlength=count).tolist()
        self.packets += int(sum(packets))
        outcomes = np.zeros((count, len(Outcome)), np.int64)
        states = np.zeros((count, len(STATES)), np.int64)
        np.add.at(outcomes, (of[known], connection_outcomes(part)[known]), 1)
        np.add.at(states, (of[known], connection_states(part)[known]), 1)
        first = np.full(count, _ALL_IDS)
        np.minimum.at(first, of[known], part.ids.connections[known])
        for number, (side, key, shown) in enumerate(zip(sides, grouped.keys, grouped.shown, strict=True)):
            one = Side(
                connections=int(outcomes[number].sum()), packets=packets[number], first_connection=int(first[number]),
                outcomes=Counter({OUTCOMES[i]: n for i, n in enumerate(outcomes[number].tolist()) if n}),
                states=Counter({STATES[i]: n for i, n in enumerate(states[number].tolist()) if n}),
                clients={one for one, _ in shown}, servers={other for _, other in shown},
                ports={key.port} if key.port is not None else set(),
            )  # fmt: skip
            side.add(one)

    def _add_ways(self, part: Correlation, grouped: Grouped, sides: list[Side]) -> None:
        group = grouped.of_connection[part.connection_of_path]
        paths = np.flatnonzero((group >= 0) & ~part.chatter)
        kind = packet_classes(part)[paths] * 2 + part.forward_of_path[paths]
        key = route_keys(part)[paths] ^ translated_to(part)[paths]
        which, first = group_ids(hashed(group[paths], kind, key))
        counts = np.bincount(which, minlength=first.size)
        by_route: dict[int, list[Way]] = {}
        self._reader.nat_chains = _nat_chains(part)
        of = group[paths[first]] * (2 * len(PacketClass)) + kind[first]
        failed = part.outcomes.outcome[paths[first]] != Outcome.DELIVERED
        kept = _most_frequent(of, counts, failed)
        for number in np.sort(kept).tolist():
            self._add_way(part, sides[int(group[paths[first[number]]])], int(paths[first[number]]),
                          (PacketClass(int(kind[first[number]]) >> 1), bool(kind[first[number]] & 1)),
                          int(counts[number]), by_route.setdefault(int(key[first[number]]), []))  # fmt: skip
        for number, total in zip(*np.unique(of[which], return_counts=True), strict=True):
            side, code = divmod(int(number), 2 * len(PacketClass))
            sides[side].packets_of[PacketClass(code >> 1), bool(code & 1)] += int(total)

    def _add_way(
        self, part: Correlation, side: Side, path: int, kind: tuple[PacketClass, bool], packets: int, known: list[Way]
    ) -> None:
        """`known`: the way, where another role has taken it before."""
        if not known:
            known.append(self._reader.way_of(part.path_at(path)))
        head = int(part.head[path])
        seen = WaySeen(
            known[0], packets, int(part.ids.paths[path]), packet_info(part.sightings[head]), int(part.times_ns[head])
        )
        side.add_way(kind, (known[0].key, known[0].end, known[0].outcome), seen)

    @cached_property
    def findings(self) -> tuple[tuple[Finding, set[RoleKey]], ...]:
        """Those of all parts, with ids as the report has them, each with the roles of all connections it is about."""
        return tuple(
            (replace(finding, connections=finding.connections[:MOST_IDS]), self._roles_of(finding))
            for finding in self._findings.told()
        )

    def identity(self, finding: Finding) -> tuple[object, ...]:
        """Equal for findings of two runs that say the same: of one kind, at one node, by one rule."""
        rule = finding.rule
        words = (self.words(rule.chain), self.words(rule.text)) if rule is not None else None
        return finding.kind, self.names.node(finding.node) if finding.node else None, words

    def _roles_of(self, finding: Finding) -> set[RoleKey]:
        ids, numbers, keys = self._all_roles
        wanted = np.array(finding.connections, np.int64)
        at = np.minimum(np.searchsorted(ids, wanted), max(ids.size - 1, 0))
        found = at[ids[at] == wanted] if ids.size else at[:0]
        return {keys[number] for number in np.unique(numbers[found]).tolist()}

    @cached_property
    def _all_roles(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[RoleKey]]:
        """(ids of all connections, ascending; the role of each, as an index into the last)."""
        ids = np.concatenate([np.empty(0, np.int64), *(one for one, _ in self._roles)])
        numbers = np.concatenate([np.empty(0, np.int64), *(other for _, other in self._roles)])
        order = np.argsort(ids)
        return ids[order], numbers[order], list(self._keys)


def _most_frequent(
    of: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], failed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Of each group (`of`) the rows of the largest counts, and as many that failed."""
    found = []
    for some in (failed, ~failed):
        rows = np.flatnonzero(some)
        order = rows[np.lexsort((-counts[rows], of[rows]))]
        new = np.append(True, of[order][1:] != of[order][:-1])[: order.size]
        begin = np.maximum.accumulate(np.where(new, np.arange(order.size), 0))
        found.append(order[np.arange(order.size) - begin < _MOST_WAYS])
    return np.concatenate(found)


def _nat_chains(part: Correlation) -> set[tuple[str, ...]]:
    spaces = part.topology.namespaces
    return {
        (spaces[chain.namespace].node, spaces[chain.namespace].label, chain.family, chain.table, chain.name)
        for chain in part.evaluations.chains
        if chain.base.kind == "nat"
    }
