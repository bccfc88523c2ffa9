"""Packets as a chain saw them, and what is known of each at that place: one column for each fact that is asked for.

A column holds every value once, so that packets of which all that counts is equal are evaluated together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ...pcapng.rows import filtered, joined
from ..nodes.topology import Namespace
from ..protocols import FRAGMENT_OFFSET, ICMP, ICMPV6, TCP, WITH_PORTS
from ..result.correlation import Correlation
from ..schema import CONNTRACK, NOTE_CUT, NOTE_NO_FLAGS, NOTE_NO_FLOW
from ..sightings import EVALUATION, of_kind
from .conditions import Fact

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Absent:
    """The packet has no such thing: UDP has no flags of TCP."""

    def __repr__(self) -> str:
        return "none"


ABSENT: Final = Absent()
Value = int | str | Absent | None
"""Of a fact; None where it is not known."""


class Scene:
    """One namespace in a part of a correlation."""

    def __init__(self, part: Correlation, namespace: int) -> None:
        self.part, self.namespace = part, namespace

    @property
    def space(self) -> Namespace:
        """The namespace."""
        return self.part.topology.namespaces[self.namespace]

    @cached_property
    def hop_of_evaluation(self) -> Rows:
        """Per evaluation its row of the hops, -1 where it is in no path."""
        here = of_kind(self.part.sightings, EVALUATION)
        found = np.full(self.part.sightings.size, -1, np.int64)
        found[self.part.hops["sighting"]] = np.arange(self.part.hops.size)
        return found[here]

    @cached_property
    def tells_of_conntrack(self) -> bool:
        """Whether this kernel says in its trace what conntrack calls a packet."""
        events = self.part.evaluations.events
        return bool(((events["namespace"] == self.namespace) & (events["conntrack_state"] > 0)).any())

    @cached_property
    def entries(self) -> npt.NDArray[np.void]:
        """CONNTRACK rows of the namespace, by their ids, and those of one in order."""
        rows = joined(CONNTRACK, (one.conntrack for one in self.part.messages))
        rows = filtered(rows, rows["namespace"] == self.namespace)
        return rows.take(np.argsort(rows["id"], kind="stable"))


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Evaluations of chains of one namespace by packets, each with its place in the way of its packet."""

    scene: Scene
    rows: Rows
    """Of the evaluations."""
    before: Rows
    """The event of the evaluation that came last before the rule in question, -1 where none did."""
    after: Rows
    """The first one behind it, or of the rule itself; -1 where none came."""

    @property
    def part(self) -> Correlation:
        """What they are of."""
        return self.scene.part

    @property
    def hop(self) -> Rows:
        """Row of the hops of each."""
        return self.scene.hop_of_evaluation[self.rows]

    @property
    def sightings(self) -> npt.NDArray[np.void]:
        """The headers that the chains saw."""
        return self.part.evaluations.sightings.take(self.rows)

    @property
    def heads(self) -> npt.NDArray[np.void]:
        """The events that tell of interfaces and of conntrack."""
        events = self.part.evaluations.events
        return events.take(self.part.evaluations.rows["first_event"][self.rows])

    @property
    def packets(self) -> Rows:
        """The path index of each."""
        found: Rows = self.part.hops["packet"][self.hop]
        return found

    def of(self, which: npt.NDArray[Any]) -> "Looks":
        """Some of them."""
        return Looks(self.scene, self.rows[which], self.before[which], self.after[which])


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A fact of every packet: `values[codes[i]]` is that of packet i."""

    codes: Rows
    values: list[Value]

    @classmethod
    def of_numbers(cls, numbers: npt.NDArray[Any], unknown: Mask | None = None, absent: Mask | None = None) -> "Column":
        """Of numbers of less than 63 bits."""
        coded = numbers.astype(np.int64)
        if absent is not None:
            coded[absent] = -2
        if unknown is not None:
            coded[unknown] = -1
        found, codes = np.unique(coded, return_inverse=True)
        special: dict[int, Value] = {-1: None, -2: ABSENT}
        return cls(codes.reshape(-1), [special.get(one, one) for one in found.tolist()])

    @classmethod
    def of_addresses(
        cls, high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64], unknown: Mask | None = None
    ) -> "Column":
        """Of the two halves of addresses."""
        table = np.zeros(high.size, [("unknown", "?"), ("high", "u8"), ("low", "u8")])
        table["high"], table["low"] = high, low
        if unknown is not None:
            table[unknown] = (True, 0, 0)
        found, codes = np.unique(table, return_inverse=True)
        values: list[Value] = [None if u else (int(h) << 64) | int(lo) for u, h, lo in found.tolist()]
        return cls(codes.reshape(-1), values)

    def mapped(self, change: Callable[[Value], Value]) -> "Column":
        """Another fact, which follows from each value."""
        return Column(self.codes, [change(one) for one in self.values])


def _address(end: str) -> Callable[[Looks], Column]:
    return lambda looks: Column.of_addresses(looks.sightings[f"{end}_high"], looks.sightings[f"{end}_low"])


def _port(end: str) -> Callable[[Looks], Column]:
    def column(looks: Looks) -> Column:
        seen = looks.sightings
        hidden = (seen["notes"] & (NOTE_NO_FLOW | NOTE_CUT)) != 0
        return Column.of_numbers(seen[f"{end}_port"], hidden, ~np.isin(seen["protocol"], WITH_PORTS))

    return column


def _icmp(name: str) -> Callable[[Looks], Column]:
    def column(looks: Looks) -> Column:
        seen = looks.sightings
        return Column.of_numbers(seen[name], None, ~np.isin(seen["protocol"], (ICMP, ICMPV6)))

    return column


def _flags(looks: Looks) -> Column:
    seen = looks.sightings
    unknown = (seen["notes"] & (NOTE_NO_FLAGS | NOTE_CUT | NOTE_NO_FLOW)) != 0
    return Column.of_numbers(seen["tcp_flags"] & 0xFF, unknown, seen["protocol"] != TCP)


def _plain(name: str) -> Callable[[Looks], Column]:
    return lambda looks: Column.of_numbers(looks.sightings[name])


HEADER_COLUMNS: Final[dict[Fact, Callable[[Looks], Column]]] = {
    Fact.FAMILY: _plain("ip_version"), Fact.PROTOCOL: _plain("protocol"), Fact.TTL: _plain("ttl"),
    Fact.LENGTH: _plain("length"), Fact.SOURCE: _address("source"), Fact.DESTINATION: _address("destination"),
    Fact.SOURCE_PORT: _port("source"), Fact.DESTINATION_PORT: _port("destination"),
    Fact.ICMP_TYPE: _icmp("icmp_type"), Fact.ICMP_CODE: _icmp("icmp_code"), Fact.TCP_FLAGS: _flags,
    Fact.FRAGMENT: lambda looks: Column.of_numbers(looks.sightings["fragment"] & FRAGMENT_OFFSET),
}  # fmt: skip
"""What the header says."""
