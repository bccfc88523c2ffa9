"""Connections that came to their end and took long: one place holds most of their time."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..result.words import address_text
from ..summaries.retransmissions import find_retransmissions
from ..summaries.steps import find_steps
from ..summaries.timeline import LONG_NS, find_timelines
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen
from .words import frames_of, last_place, node_of, subject_of

_MOST: Final = 0.5
"""Of the time in which the client did not pause."""
_PLACES: Final = {
    "handshake": "the handshake of {flow} took",
    "server": "who answers {flow}{behind} takes its time: it holds",
    "way": "the way of {flow} between the captured points holds",
    "again": "{flow} waits for what has to be sent again:",
}
"""`sending` is none: who has no more to send for a while keeps nobody waiting."""


def slow(facts: Facts) -> Iterator[Seen]:
    """`slow`: a connection that one place kept for a second or more, and for most of its time."""
    wanted = _paused(facts)
    if not wanted.any():
        return
    steps = find_steps(facts.result, wanted)
    lines = find_timelines(facts.result, steps, find_retransmissions(facts.result, steps).again)
    held = np.stack([lines[name] for name in _PLACES])
    most, time = held.argmax(axis=0), held.max(axis=0)
    asked_for = lines["total"] - lines["client"] - lines["sending"]
    is_slow = (lines["total"] >= 0) & (time >= LONG_NS) & (time >= _MOST * asked_for)
    connection = facts.result.connection_of_path
    paths = np.flatnonzero(is_slow[connection] & facts.own)
    for one in groups(facts, paths, facts.asked[connection[paths]], most[connection[paths]]):
        of = np.unique(connection[one])
        yield _slow(facts, one, list(_PLACES)[int(most[of[0]])], (int(time[of].sum()), int(asked_for[of].sum())))


def _paused(facts: Facts) -> Mask:
    """Per connection: somewhere in it was no packet for a long time, and it may be slow."""
    runs = facts.by_connection
    begin, of = facts.begin_ns[runs.rows], facts.result.connection_of_path[runs.rows]
    long = (np.abs(np.diff(begin)) >= LONG_NS) & (of[1:] == of[:-1])
    found = np.zeros(facts.explained.size, np.bool_)
    found[of[1:][long]] = True
    return found


def _slow(facts: Facts, paths: Rows, place: str, amounts: tuple[int, int]) -> Seen:
    first = int(paths[0])
    behind = _behind(facts, first)

    def say(extent: Extent) -> str:
        held, total = extent.amounts
        several = f" of {extent.connections:,} connections" if extent.connections > 1 else ""
        share = f"{100 * held / max(total, 1):.0f} % of the time{several} without the client's pauses"
        return f"{_PLACES[place].format(flow=extent.flow, behind=behind)} {held / 1e9:.1f} s, {share}"

    return Seen(
        kind=Kind.SLOW, key=(int(facts.asked[facts.result.connection_of_path[first]]), place), say=say, paths=paths,
        subject=subject_of(facts, paths), time_ns=int(facts.begin_ns[first]), node=node_of(facts, first),
        amounts=amounts, evidence=frames_of(facts, first),
    )  # fmt: skip


def _behind(facts: Facts, path: int) -> str:
    """What is beside the server where its requests were last seen: the way from there, unless that is where it is."""
    others = facts.paths_of(facts.result.connection_of_path[path : path + 1])
    asks = others[facts.own[others] & facts.forward[others]]
    if not asks.size:
        return ""
    last = facts.result.sightings[int(facts.last[asks[0]])]
    here = facts.result.topology.namespaces[int(last["namespace"])].addresses
    is_there = address_text(int(last["destination_high"]), int(last["destination_low"])) in here
    return "" if is_there else f", or the way behind {last_place(facts, int(asks[0]))},"
