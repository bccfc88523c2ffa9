"""Connections whose answers take another interface of a node than their requests came by."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import Direction
from ..nodes.topology import CapturePoint, Role
from ..sightings import FRAME
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen
from .subject import Ends
from .words import frames_of, last_place, subject_of, where


class _Turn(NamedTuple):
    """By which places a connection enters and leaves a namespace on one side of it, per (connection, namespace)."""

    connection: Rows
    asks_at: Rows
    """Place at which its requests were seen there, of the first of them."""
    answers_at: Rows
    answer: Rows
    """The first path of the answers."""


def asymmetric_return(facts: Facts) -> Iterator[Seen]:
    """`asymmetric_return`: fatal where the handshake never finished."""
    usable = _usable(facts)
    if usable.sum() < 2:
        return
    visited, shows_both = _visited(facts), facts.common.shows_both
    told = np.zeros(facts.result.connections.count, np.bool_)
    for client_side in (True, False):
        turn = _turns(facts, client_side=client_side)
        other = turn.asks_at != turn.answers_at
        other &= usable[turn.asks_at] & usable[turn.answers_at] & ~told[turn.connection]
        other &= ~visited.both(turn.connection, turn.asks_at) & ~visited.both(turn.connection, turn.answers_at)
        # Two taps show one direction each; a point that shows both of other connections is none.
        other &= shows_both[turn.asks_at] | shows_both[turn.answers_at] | _known(facts, turn)
        chosen = np.flatnonzero(other)
        told[turn.connection[chosen]] = True
        yield from _told(facts, turn, chosen, client_side=client_side)


def _usable(facts: Facts) -> Mask:
    """Per place: a device that a route can choose; no port, no bridge, no part of a bond, and nothing on top of one."""
    points = facts.result.topology.points
    return np.array([_is_device(facts, point) for point in points] or [False], np.bool_)


def _is_device(facts: Facts, point: CapturePoint) -> bool:
    links = facts.result.topology.namespaces[point.namespace].links
    link = links.get(point.interface_index, {})
    return point.role == Role.DEVICE and not link.get("master") and link.get("kind") not in _MADE_OF_OTHERS


_MADE_OF_OTHERS: Final = ("bond", "team", "vlan", "macvlan", "ipvlan", "vrf", "ifb")


class _Visited(NamedTuple):
    """Which places a connection was seen at, in which direction: bit 0 requests, bit 1 answers."""

    keys: Rows
    ways: npt.NDArray[np.int64]

    def both(self, connection: Rows, place: Rows) -> Mask:
        """Both ways of this connection were seen at this place."""
        at = np.minimum(np.searchsorted(self.keys, connection << 32 | place), max(self.keys.size - 1, 0))
        return self.ways[at] == _BOTH


def _visited(facts: Facts) -> _Visited:
    result = facts.result
    rows = result.hops["sighting"].astype(np.int64)
    frame = (result.sightings["kind"][rows] == FRAME) & facts.own[result.hops["packet"]]
    path = result.hops["packet"][frame].astype(np.int64)
    place = result.sightings["place"][rows[frame]].astype(np.int64)
    keys, which = np.unique(result.connection_of_path[path] << 32 | place, return_inverse=True)
    ways = np.zeros(keys.size, np.int64)
    np.bitwise_or.at(ways, which, np.where(facts.forward[path], 1, 2))
    return _Visited(keys, ways)


def both_ways(facts: Facts) -> Mask:
    """Per place: both ways of one connection were seen there."""
    found = np.zeros(len(facts.result.topology.points), np.bool_)
    if found.size > 1:
        visited = _visited(facts)
        found[(visited.keys & 0xFFFFFFFF)[visited.ways == _BOTH]] = True
    return found


_BOTH: Final = 3


def _turns(facts: Facts, *, client_side: bool) -> _Turn:
    """On the client's side requests come in and answers go out; on the server's it is the other way round."""
    result = facts.result
    rows = result.hops["sighting"].astype(np.int64)
    hop = np.flatnonzero((result.sightings["kind"][rows] == FRAME) & facts.own[result.hops["packet"]])
    path = result.hops["packet"][hop].astype(np.int64)
    hop, path = hop[~facts.on_link[path]], path[~facts.on_link[path]]
    space = path * len(result.topology.namespaces) + result.sightings["namespace"][rows[hop]]
    _, first = np.unique(space, return_index=True)
    _, behind = np.unique(space[::-1], return_index=True)
    last = space.size - 1 - behind
    asks, answers = (first, last) if client_side else (last, first)
    asks = asks[facts.forward[path[asks]]]
    answers = answers[~facts.forward[path[answers]]]
    into, out_of = (asks, answers) if client_side else (answers, asks)
    direction = result.sightings["direction"][rows[hop]]
    into, out_of = into[direction[into] != Direction.OUT], out_of[direction[out_of] != Direction.IN]
    asks, answers = (into, out_of) if client_side else (out_of, into)
    connection = result.connection_of_path[path]
    count = len(result.topology.namespaces)
    key = connection * count + result.sightings["namespace"][rows[hop]]
    asked, at = np.unique(key[asks], return_index=True)
    asks = asks[at]
    answered, at = np.unique(key[answers], return_index=True)
    answers = answers[at]
    _, one, other = np.intersect1d(asked, answered, return_indices=True)
    place = result.sightings["place"][rows[hop]].astype(np.int64)
    return _Turn(connection[asks[one]], place[asks[one]], place[answers[other]], path[answers[other]])


def _known(facts: Facts, turn: _Turn) -> Mask:
    """The captures say in which direction packets went at both places."""
    row = facts.result.sightings["direction"][facts.last[turn.answer]]
    return np.isin(row, (Direction.IN, Direction.OUT))


def _told(facts: Facts, turn: _Turn, chosen: Rows, *, client_side: bool) -> Iterator[Seen]:
    result = facts.result
    connection = result.connection_of_path
    # Who asks again has no answer; who scans wants none.
    fatal = (facts.count(facts.syn) > 1) & (facts.count(facts.syn_ack) > 0) & ~facts.opened
    fatal &= facts.count(facts.reset) == 0
    of_connection = np.full(result.connections.count, -1, np.int64)
    of_connection[turn.connection[chosen]] = chosen
    paths = np.flatnonzero((of_connection[connection] >= 0) & facts.own & ~facts.forward)
    which = of_connection[connection[paths]]
    asks = np.flatnonzero(facts.own & facts.forward)[::-1]
    first_ask = np.zeros(result.connections.count, np.int64)
    first_ask[connection[asks]] = asks
    for one in groups(facts, paths, turn.asks_at[which], turn.answers_at[which], fatal[connection[paths]]):
        at = int(of_connection[connection[one[0]]])
        yield _asymmetric(
            facts, first_ask[np.unique(connection[one])], one, (int(turn.asks_at[at]), int(turn.answers_at[at])),
            client_side=client_side, fatal=bool(fatal[connection[one[0]]]),
        )  # fmt: skip


def _asymmetric(
    facts: Facts, asks: Rows, answers: Rows, places: tuple[int, int], *, client_side: bool, fatal: bool
) -> Seen:
    result = facts.result
    asked_at, answered_at = (result.topology.points[place] for place in places)
    node = where(asked_at.node, result.topology.namespaces[asked_at.namespace].label)
    came, left = ("came in", "leave") if client_side else ("left", "come")
    way = "by" if client_side else "in by"
    server = Ends.of(result.sightings.take(result.head[answers[:1]]), "source").text(result.topology)
    behind = f"; none is seen at {asked_at.interface}, where the client went on waiting" if fatal else ""
    end = f", last seen at {last_place(facts, int(answers[0]))}" if fatal else ""

    def say(extent: Extent) -> str:
        one = "s" if extent.packets == 1 else ""
        return (
            f"answers take another interface of {node} than requests: {extent.flow} {came} by {asked_at.interface}, "
            f"but {extent.counted} of {server} {left}{one} {way} {answered_at.interface}{end}{behind}"
        )

    return Seen(
        kind=Kind.ASYMMETRIC_RETURN, key=(node, server, asked_at.interface, answered_at.interface, fatal), say=say,
        paths=answers, subject=replace(subject_of(facts, asks), nouns=subject_of(facts, answers).nouns),
        time_ns=int(facts.begin_ns[answers[0]]), node=asked_at.node, fatal=fatal,
        evidence=frames_of(facts, int(asks[0]), most=1) + frames_of(facts, int(answers[0])),
    )  # fmt: skip
