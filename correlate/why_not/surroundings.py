"""What is known of packets in a chain beside their header: interfaces, bridge ports, marks, kinds of addresses."""

from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

import numpy as np

from ..nodes.topology import Namespace, Role
from ..result.words import address_text
from ..sightings import FRAME
from .conditions import ADDRESS_TYPES, Fact
from .looks import HEADER_COLUMNS, Column, Looks, Rows, Value

_UNICAST, _LOCAL, _BROADCAST, _MULTICAST = (
    ADDRESS_TYPES.index(name) for name in ("unicast", "local", "broadcast", "multicast")
)
_MARK_IS_SET: Final = ("-j MARK", "-j CONNMARK", "mark set")
_MOST_STEPS: Final = 64
"""Hops of one packet in one namespace that are looked through."""


def _interface(column: str) -> Callable[[Looks], Column]:
    def of(looks: Looks) -> Column:
        links = looks.scene.space.links
        found = Column.of_numbers(looks.heads[column])

        def name(index: Value) -> Value:
            return "" if not index else links.get(int(str(index)), {}).get("name")

        return found.mapped(name)

    return of


def _bridge_port(*, leaving: bool) -> Callable[[Looks], Column]:
    """The port that a frame of the packet was captured at, before the chain or behind it. What did not come in by a
    bridge has none; and one to leave by has only what is bridged."""

    def of(looks: Looks) -> Column:
        part = looks.part
        port = np.array([point.role == Role.PORT for point in part.topology.points] or [False], np.bool_)
        kind, place = part.sightings["kind"], part.sightings["place"]
        sighting = part.hops["sighting"]

        def at_port(hops: Rows) -> np.ndarray:
            seen = sighting[hops]
            return (kind[seen] == FRAME) & port[np.where(kind[seen] == FRAME, place[seen], 0)]

        found = nearest_hop(looks, at_port, 1 if leaving else -1)
        codes = np.where(found >= 0, place[sighting[found]].astype(np.int64), -1)
        heads = looks.heads
        bridges = [index for index, link in looks.scene.space.links.items() if link.get("kind") == "bridge"]
        if leaving:
            codes[heads["input_index"] != heads["output_index"]] = -2
        elif looks.scene.space.known:
            codes[~np.isin(heads["input_index"], bridges)] = -2
        names: dict[int, Value] = {-1: None, -2: ""}
        values, inverse = np.unique(codes, return_inverse=True)
        points = part.topology.points
        return Column(
            inverse.reshape(-1), [names[one] if one < 0 else points[one].interface for one in values.tolist()]
        )  # fmt: skip

    return of


def nearest_hop(looks: Looks, wanted: Callable[[Rows], np.ndarray], step: int) -> Rows:
    """Per packet: the nearest hop before (`step` -1) or behind (1) in the same passage of the namespace that is
    `wanted`; -1 where none is."""
    hops = looks.part.hops
    hop = looks.hop
    found = np.full(hop.size, -1, np.int64)
    open_ = np.flatnonzero(hop >= 0)
    for distance in range(1, _MOST_STEPS):
        at = hop[open_] + step * distance
        inside = (at >= 0) & (at < hops.size)
        open_, at = open_[inside], at[inside]
        own = hop[open_]
        same = (hops["packet"][at] == hops["packet"][own]) & (hops["visit"][at] == hops["visit"][own])
        open_, at = open_[same], at[same]
        if open_.size == 0:
            break
        hit = wanted(at)
        found[open_[hit]] = at[hit]
        open_ = open_[~hit]
    return found


def _mark(looks: Looks) -> Column:
    """nft tells of the mark behind each rule that matched, iptables-legacy in front of its target."""
    events, book = looks.part.evaluations.events, looks.part.book
    sets = np.array([any(word in rule.text for word in _MARK_IS_SET) or not rule.text for rule in book.rules] or [True])

    def sets_it(event: Rows) -> np.ndarray:
        of = book.of_event[event]
        return (of >= 0) & sets[of]

    legacy = looks.heads["legacy"] > 0
    before, after = looks.before, looks.after
    by_before = (before >= 0) & ~(legacy & sets_it(before))
    by_after = (after >= 0) & (legacy | ~sets_it(after))
    mark = np.where(by_before, events["mark"][before], events["mark"][after])
    return Column.of_numbers(mark, ~(by_before | by_after))


def _type_of(space: Namespace, here: set[str] | None) -> Callable[[Value], Value]:
    """RTN_* of an address, as far as the addresses of the namespace tell. `here`: those of one interface, which alone
    count then."""

    def kind(value: Value) -> Value:
        if not isinstance(value, int) or not space.known:
            return None
        text = address_text(value >> 64, value & (2**64 - 1))
        address = ip_address(text)
        if text in (space.addresses if here is None else here) or (address.is_loopback and here is None):
            return _LOCAL
        if address.is_multicast:
            return _MULTICAST
        if text in ("255.255.255.255", "0.0.0.0") or text in space.broadcasts:
            return _BROADCAST
        return _UNICAST

    return kind


def _address_type(end: Fact) -> Callable[[Looks], Column]:
    def of(looks: Looks) -> Column:
        space = looks.scene.space
        return HEADER_COLUMNS[end](looks).mapped(_type_of(space, None))

    return of


def _type_at_input(end: Fact) -> Callable[[Looks], Column]:
    def of(looks: Looks) -> Column:
        space = looks.scene.space
        addresses, inputs = HEADER_COLUMNS[end](looks), Column.of_numbers(looks.heads["input_index"])
        pairs = np.stack([addresses.codes, inputs.codes], axis=1)
        unique, codes = np.unique(pairs, axis=0, return_inverse=True)
        values = []
        for address, index in unique.tolist():
            here = {held for at, held in space.interface_addresses if at == inputs.values[index]}
            values.append(_type_of(space, here)(addresses.values[address]))
        return Column(codes.reshape(-1), values)

    return of


SURROUNDING_COLUMNS: Final[dict[Fact, Callable[[Looks], Column]]] = {
    Fact.INPUT: _interface("input_index"), Fact.OUTPUT: _interface("output_index"),
    Fact.PORT_IN: _bridge_port(leaving=False), Fact.PORT_OUT: _bridge_port(leaving=True), Fact.MARK: _mark,
    Fact.SOURCE_TYPE: _address_type(Fact.SOURCE), Fact.DESTINATION_TYPE: _address_type(Fact.DESTINATION),
    Fact.SOURCE_TYPE_AT_INPUT: _type_at_input(Fact.SOURCE),
    Fact.DESTINATION_TYPE_AT_INPUT: _type_at_input(Fact.DESTINATION),
}  # fmt: skip
