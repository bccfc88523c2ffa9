"""Connections whose answers take another interface of a node than their requests came by."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from ...pcapng.blocks import Direction
from ..arrays.grouping import group_ids
from ..nodes.topology import CapturePoint, Role
from ..sightings import FRAME
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen
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
    asks, answers = facts.seen_at
    both, shows_both = asks & answers, facts.common.shows_both
    one_way = np.any(asks & ~answers & usable, axis=1) & np.any(answers & ~asks & usable, axis=1)
    if not one_way.any():
        return
    told = np.zeros(facts.result.connections.count, np.bool_)
    for client_side in (True, False):
        turn = _turns(facts, one_way, client_side=client_side)
        other = turn.asks_at != turn.answers_at
        other &= usable[turn.asks_at] & usable[turn.answers_at] & ~told[turn.connection]
        other &= ~both[turn.connection, turn.asks_at] & ~both[turn.connection, turn.answers_at]
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


def both_ways(facts: Facts) -> Mask:
    """Per place: both ways of one connection were seen there."""
    asks, answers = facts.seen_at
    return np.any(asks & answers, axis=0)


def _turns(facts: Facts, wanted: Mask, *, client_side: bool) -> _Turn:
    """Of the wanted connections. On the client's side requests come in and answers go out; on the server's it is the
    other way round."""
    result = facts.result
    rows = result.hops["sighting"].astype(np.int64)
    chosen = facts.own & wanted[result.connection_of_path] & ~facts.on_link
    hop = np.flatnonzero(chosen[result.hops["packet"]] & (result.sightings["kind"][rows] == FRAME))
    path = result.hops["packet"][hop].astype(np.int64)
    space = path * len(result.topology.namespaces) + result.sightings["namespace"][rows[hop]]
    which, first = group_ids(space.astype(np.uint64))
    last = np.zeros(first.size, np.int64)
    last[which] = np.arange(space.size)
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
    behind = f"; none is seen at {asked_at.interface}, where the client went on waiting" if fatal else ""
    end = f", last seen at {last_place(facts, int(answers[0]))}" if fatal else ""

    def say(extent: Extent) -> str:
        one = "s" if extent.packets == 1 else ""
        return (
            f"answers take another interface of {node} than requests: {extent.flow} {came} by {asked_at.interface}, "
            f"but {extent.counted} of {extent.destination} {left}{one} {way} {answered_at.interface}{end}{behind}"
        )

    return Seen(
        kind=Kind.ASYMMETRIC_RETURN, key=(node, asked_at.interface, answered_at.interface, client_side), say=say,
        paths=answers, subject=replace(subject_of(facts, asks), nouns=subject_of(facts, answers).nouns),
        time_ns=int(facts.begin_ns[answers[0]]), node=asked_at.node, fatal=fatal,
        evidence=frames_of(facts, int(asks[0]), most=1) + frames_of(facts, int(answers[0])),
    )  # fmt: skip
