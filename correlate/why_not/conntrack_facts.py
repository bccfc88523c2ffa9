"""What conntrack knew of packets in a chain: from the trace of that chain, or of another one that they passed in the
same passage of the namespace, and from the entries of the table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..netfilter.numbers import CT_ORIGINAL, CT_REPLY
from ..protocols import WITH_PORTS
from ..sightings import EVALUATION, of_kind
from .conditions import CT_STATES, Fact
from .looks import Column, Looks, Mask, Rows
from .surroundings import nearest_hop


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """Per packet what conntrack calls it."""

    state: Rows
    """Bits, -1 where it is not known."""
    status: Rows
    direction: Rows
    """CT_ORIGINAL, CT_REPLY, -1."""
    entry: Rows
    """Row of the entries, -1 where there is none."""


def _known(looks: Looks) -> _Known:
    heads, events = looks.heads, looks.part.evaluations.events
    legacy = heads["legacy"] > 0
    tells = ~legacy & looks.scene.tells_of_conntrack
    state = np.where(heads["conntrack_state"] > 0, heads["conntrack_state"].astype(np.int64), -1)
    # The kernel says nothing of a packet that has no entry: conntrack calls it invalid.
    state[(state < 0) & tells] = CT_STATES["invalid"]
    ct_id, direction = heads["conntrack_id"].astype(np.int64), heads["conntrack_direction"].astype(np.int64)
    status = np.where(tells, heads["conntrack_status"].astype(np.int64), -1)
    first = looks.part.evaluations.rows["first_event"]
    start = of_kind(looks.part.sightings, EVALUATION).start
    kind, sighting = looks.part.sightings["kind"], looks.part.hops["sighting"]

    def event_at(hops: Rows) -> Rows:
        seen = sighting[hops]
        return np.where(kind[seen] == EVALUATION, first[np.where(kind[seen] == EVALUATION, seen - start, 0)], -1)

    def names_entry(hops: Rows) -> Mask:
        at = event_at(hops)
        found: Mask = (at >= 0) & (events["conntrack_id"][at] > 0)
        return found

    for step in (-1, 1):
        lacks = np.flatnonzero((ct_id == 0) & ((state < 0) | legacy | (state == CT_STATES["invalid"])))
        if lacks.size == 0:
            break
        hop = nearest_hop(looks.of(lacks), names_entry, step)
        lacks, at = lacks[hop >= 0], event_at(hop[hop >= 0])
        ct_id[lacks], direction[lacks] = events["conntrack_id"][at], events["conntrack_direction"][at]
        borrows = state[lacks] < 0
        state[lacks[borrows]] = events["conntrack_state"][at[borrows]]
        if step < 0:
            status[lacks] = events["conntrack_status"][at]
    state[state == 0] = -1
    direction[direction > CT_REPLY] = -1
    return _Known(state, status, direction, _entry_of(looks, ct_id))


def _entry_of(looks: Looks, ct_id: Rows) -> Rows:
    ids = looks.scene.entries["id"].astype(np.int64)
    at = np.searchsorted(ids, ct_id)
    hit = (at < ids.size) & (ct_id > 0)
    hit[hit] = ids[at[hit]] == ct_id[hit]
    return np.where(hit, at, -1)


def _state(looks: Looks) -> Column:
    state = _known(looks).state
    return Column.of_numbers(state, state < 0)


def _status(looks: Looks) -> Column:
    status = _known(looks).status
    return Column.of_numbers(status, status < 0)


def _direction(looks: Looks) -> Column:
    direction = _known(looks).direction
    return Column.of_numbers(direction, direction < 0)


def _mark(looks: Looks) -> Column:
    """Of the last message before the packet; of a later one only if that has none: who sets a mark seldom takes it
    away."""
    known = _known(looks)
    entries = looks.scene.entries
    mark = np.full(looks.rows.size, -1, np.int64)
    times = looks.heads["time_ns"]
    at, open_ = known.entry.copy(), known.entry >= 0
    while open_.any():
        rows = np.flatnonzero(open_)
        entry = entries.take(at[rows])
        earlier = entry["time_ns"] < times[rows]
        takes = earlier | ((mark[rows] < 0) & (entry["mark"] == 0))
        mark[rows[takes]] = entry["mark"][takes]
        following = np.minimum(at[rows] + 1, entries.size - 1)
        goes_on = earlier & (at[rows] + 1 < entries.size) & (entries["id"][following] == entry["id"])
        open_[rows], at[rows] = goes_on, following
    return Column.of_numbers(mark, mark < 0)


def _tuple(way: str, end: str) -> Callable[[Looks], tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], Rows, Mask]]:
    """(high, low, port, known) of one end of a tuple."""

    def of(looks: Looks) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], Rows, Mask]:
        known = _known(looks)
        entries = looks.scene.entries
        high, low = np.zeros(looks.rows.size, np.uint64), np.zeros(looks.rows.size, np.uint64)
        port = np.zeros(looks.rows.size, np.int64)
        rows = np.flatnonzero(known.entry >= 0)
        found = entries.take(known.entry[rows])
        high[rows], low[rows] = found[f"{way}_{end}_high"], found[f"{way}_{end}_low"]
        port[rows] = found[f"{way}_{end}_port"]
        told = known.entry >= 0
        if way == "original":
            # Before its entry is confirmed: what it was when it came into the namespace.
            rest = np.flatnonzero(~told & (known.direction == CT_ORIGINAL))
            seen = looks.part.sightings.take(_first_of_visit(looks.of(rest)))
            high[rest], low[rest], port[rest] = seen[f"{end}_high"], seen[f"{end}_low"], seen[f"{end}_port"]
            told[rest] = True
        return high, low, port, told

    return of


def _first_of_visit(looks: Looks) -> Rows:
    """The sighting with which the passage of the namespace began."""
    hops, at = looks.part.hops, looks.hop
    while True:
        before = np.maximum(at - 1, 0)
        same = (at > 0) & (hops["packet"][before] == hops["packet"][at]) & (hops["visit"][before] == hops["visit"][at])
        if not same.any():
            found: Rows = hops["sighting"][at]
            return found
        at = np.where(same, before, at)


def _address(way: str, end: str) -> Callable[[Looks], Column]:
    def of(looks: Looks) -> Column:
        high, low, _, known = _tuple(way, end)(looks)
        return Column.of_addresses(high, low, ~known)

    return of


def _port(way: str, end: str) -> Callable[[Looks], Column]:
    def of(looks: Looks) -> Column:
        _, _, port, known = _tuple(way, end)(looks)
        return Column.of_numbers(port, ~known, ~np.isin(looks.sightings["protocol"], WITH_PORTS))

    return of


CONNTRACK_COLUMNS: Final[dict[Fact, Callable[[Looks], Column]]] = {
    Fact.CT_STATE: _state, Fact.CT_STATUS: _status, Fact.CT_DIRECTION: _direction, Fact.CT_MARK: _mark,
    Fact.CT_SOURCE: _address("original", "source"), Fact.CT_DESTINATION: _address("original", "destination"),
    Fact.CT_SOURCE_PORT: _port("original", "source"), Fact.CT_DESTINATION_PORT: _port("original", "destination"),
    Fact.CT_REPLY_SOURCE: _address("reply", "source"), Fact.CT_REPLY_DESTINATION: _address("reply", "destination"),
    Fact.CT_REPLY_SOURCE_PORT: _port("reply", "source"),
    Fact.CT_REPLY_DESTINATION_PORT: _port("reply", "destination"),
}  # fmt: skip
