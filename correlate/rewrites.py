"""Hops -> rewrites: where addresses or ports changed between two hops, and what changed them.

The nat chains see only the first packet of a connection; later ones are translated by conntrack. So the rule is found
once per conntrack entry, at the packet that made the binding, and every later packet of the entry inherits it.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from .dissect import mix
from .evaluations import Evaluations
from .rulebook import Kind, RuleBook
from .schema import NOTE_OUTER, STATUS_DESTINATION_NAT, STATUS_SOURCE_NAT


class Field(IntEnum):
    """Which end of the packet changed."""

    SOURCE = 0
    DESTINATION = 1


class Evidence(IntEnum):
    """What the cause of a rewrite rests on, strongest first."""

    TRACE = 0
    CONNTRACK = 1
    INFERRED = 2


REWRITE: Final = np.dtype(
    [
        ("packet", "i8"),
        ("before", "i8"),  # row of the hops table with the old address
        ("after", "i8"),  # row with the new one, always before + 1
        ("field", "u1"),  # Field
        ("kind", "u1"),  # Kind
        ("undo", "?"),  # conntrack reverses a translation for the reply direction
        ("evidence", "u1"),  # Evidence
        ("rule", "i4"),  # index into RuleBook.rules, -1 when none is known
    ],
    align=True,
)


def find_rewrites(
    hops: npt.NDArray[np.void],
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    forward: npt.NDArray[np.bool_],
    conntrack: npt.NDArray[np.void],
    evaluations: Evaluations,
    book: RuleBook,
) -> npt.NDArray[np.void]:
    """REWRITE rows, in the order of the hops.

    `hops` as from `order_hops`; `sightings`, `times_ns` as for `match_packets`; `forward`: per sighting, it travels
    from client to server.
    """
    rewrites = _changes(hops, sightings)
    if rewrites.size == 0:
        return rewrites
    observed = sightings.size - evaluations.rows.size
    row = hops["sighting"]
    before, after = row[rewrites["before"]], row[rewrites["after"]]
    entries = _Entries.build(conntrack)
    traced = _traced_rules(hops, row - observed, evaluations, book)
    ct_id, reply, namespace = _conntrack_of(hops, rewrites, sightings, times_ns, observed, evaluations, entries)
    rule = traced[rewrites["before"], rewrites["field"]]
    by_rule = rule >= 0
    known = ct_id >= 0
    rewrites["evidence"] = np.where(by_rule, Evidence.TRACE, np.where(known, Evidence.CONNTRACK, Evidence.INFERRED))
    rewrites["undo"] = ~by_rule & np.where(known, reply, ~forward[before] & ~forward[after])
    # Undoing a source translation changes the destination of the reply, and the other way round.
    made = rewrites["field"] ^ rewrites["undo"]
    inherited = _bound_rules(namespace, ct_id, made, rule)
    rewrites["rule"] = np.where(by_rule, rule, inherited)
    named = rewrites["rule"] >= 0
    status = np.where(made == Field.SOURCE, Kind.SNAT, Kind.DNAT)
    rewrites["kind"] = np.where(named, book.kinds[np.maximum(rewrites["rule"], 0)], status)
    return rewrites


def _changes(hops: npt.NDArray[np.void], sightings: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Every change of an end between consecutive hops of a packet, its cause still open."""
    a, b = hops["sighting"][:-1], hops["sighting"][1:]
    same = (hops["packet"][:-1] == hops["packet"][1:]) & (sightings["ip_version"][a] > 0)
    # An outer header in a trace against the packet inside it: other addresses, and nothing was rewritten.
    same &= (sightings["notes"][a] & NOTE_OUTER) == (sightings["notes"][b] & NOTE_OUTER)
    # The identifier of an ICMP echo is shared by both ends: its change comes with the one that NAT changed.
    ports = np.isin(sightings["protocol"][a], (6, 17, 33, 132, 136))
    found = []
    for field, end in ((Field.SOURCE, "source"), (Field.DESTINATION, "destination")):
        changed = (
            (sightings[f"{end}_high"][a] != sightings[f"{end}_high"][b])
            | (sightings[f"{end}_low"][a] != sightings[f"{end}_low"][b])
            | (ports & (sightings[f"{end}_port"][a] != sightings[f"{end}_port"][b]))
        )
        where = np.flatnonzero(same & changed)
        rows = np.zeros(where.size, REWRITE)
        rows["packet"] = hops["packet"][where]
        rows["before"] = where
        rows["after"] = where + 1
        rows["field"] = field
        rows["rule"] = -1
        found.append(rows)
    every = np.concatenate(found)
    return every[np.lexsort((every["field"], every["before"]))]


def _traced_rules(
    hops: npt.NDArray[np.void], evaluation: npt.NDArray[np.int64], evaluations: Evaluations, book: RuleBook
) -> npt.NDArray[np.int64]:
    """(hops, 2): the rule of a nat chain, at this hop or earlier in the same hook, that translates the source or the
    destination."""
    rows = evaluations.rows
    rule = np.full((hops.size, 2), -1, np.int64)
    if rows.size == 0:
        return rule
    is_evaluation = evaluation >= 0
    safe = np.maximum(evaluation, 0)
    nat = np.array([chain.base.kind == "nat" for chain in evaluations.chains], np.bool_)
    last = book.of_event[rows["last_event"] - 1]
    kind = book.kinds[np.maximum(last, 0)]
    applies = nat[rows["chain"]] & (last >= 0) & (kind != Kind.UNKNOWN)
    own = np.where(is_evaluation & applies[safe], last[safe], -1)
    own_kind = np.where(own >= 0, kind[safe], 0)
    is_source = (own_kind == Kind.SNAT) | (own_kind == Kind.MASQUERADE)
    new = np.ones(hops.size, np.bool_)
    new[1:] = (
        (hops["packet"][1:] != hops["packet"][:-1])
        | (hops["visit"][1:] != hops["visit"][:-1])
        | (hops["stage"][1:] != hops["stage"][:-1])
    )
    group = np.maximum.accumulate(np.where(new, np.arange(hops.size), 0))
    for field, mine in ((Field.SOURCE, is_source), (Field.DESTINATION, ~is_source)):
        at = np.maximum.accumulate(np.where((own >= 0) & mine, np.arange(hops.size), -1))
        valid = at >= group
        rule[valid, field] = own[at[valid]]
    return rule


@dataclass(slots=True)
class _Entries:
    """NAT entries by (namespace, flow): sorted keys, and for each the entry's id, direction and start."""

    key: npt.NDArray[np.uint64]
    start_ns: npt.NDArray[np.int64]
    id: npt.NDArray[np.int64]
    reply: npt.NDArray[np.bool_]

    @classmethod
    def build(cls, conntrack: npt.NDArray[np.void]) -> "_Entries":
        nat = conntrack[(conntrack["original"] != conntrack["translated"]) & (conntrack["event"] != 3)]
        starts = np.where(nat["event"] == 0, np.int64(-(2**62)), nat["time_ns"])
        keys, replies = [], []
        for column, reply in (("original", False), ("translated", False), ("reply", True), ("restored", True)):
            keys.append(_flow_key(nat["namespace"], nat[column]))
            replies.append(np.full(nat.size, reply))
        key = np.concatenate(keys)
        start = np.tile(starts, 4)
        order = np.lexsort((start, key))
        return cls(
            key[order],
            start[order],
            np.tile(nat["id"].astype(np.int64), 4)[order],
            np.concatenate(replies)[order],
        )


@njit(cache=True)
def _keys(namespace, flow, out):
    for i in range(flow.size):
        out[i] = mix(flow[i], np.uint64(namespace[i]))


def _flow_key(namespace: npt.NDArray[np.uint16], flow: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    out = np.empty(flow.size, np.uint64)
    _keys(np.ascontiguousarray(namespace), np.ascontiguousarray(flow), out)
    return out


@njit(cache=True)
def _look_up(keys, starts, wanted, times, out):
    """Row of the entry that was alive: the last that had begun (its message may come a little late), else the first."""
    for i in range(wanted.size):
        at = np.searchsorted(keys, wanted[i])
        out[i] = -1
        while at < keys.size and keys[at] == wanted[i]:
            if out[i] < 0 or starts[at] <= times[i] + 100_000_000:
                out[i] = at
            at += 1


def _conntrack_of(
    hops: npt.NDArray[np.void],
    rewrites: npt.NDArray[np.void],
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    observed: int,
    evaluations: Evaluations,
    entries: _Entries,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """(conntrack id or -1, reply direction, namespace) of each rewrite: from the trace of its visit, else from the
    tuples."""
    row = hops["sighting"]
    before, after = row[rewrites["before"]], row[rewrites["after"]]
    size = rewrites.size
    ct_id = np.full(size, -1, np.int64)
    reply = np.zeros(size, np.bool_)
    namespace = sightings["namespace"][before].astype(np.int64)
    for at, other in ((before, after), (after, before)):
        wanted = ct_id < 0
        where = sightings["namespace"][at]
        for flow in (sightings["flow"][at], sightings["flow"][other]):
            wanted = ct_id < 0
            found = np.full(size, -1, np.int64)
            if entries.key.size:
                _look_up(entries.key, entries.start_ns, _flow_key(where, flow), times_ns[at], found)
            hit = wanted & (found >= 0)
            ct_id[hit] = entries.id[found[hit]]
            reply[hit] = entries.reply[found[hit]]
            namespace[hit] = where[hit]
    # The trace names the entry itself, which beats a look-up by tuple and time.
    if evaluations.rows.size:
        visit_id, visit_reply = _visit_conntrack(hops, row - observed, evaluations)
        for at in (rewrites["after"], rewrites["before"]):
            hit = visit_id[at] > 0
            ct_id[hit] = visit_id[at][hit]
            reply[hit] = visit_reply[at][hit]
            namespace[hit] = sightings["namespace"][row[at]][hit]
    return ct_id, reply, namespace


def _visit_conntrack(
    hops: npt.NDArray[np.void], evaluation: npt.NDArray[np.int64], evaluations: Evaluations
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Per hop: conntrack id (0 none) and direction that any evaluation of its visit names, with NAT in its status."""
    rows = evaluations.rows
    new = np.ones(hops.size, np.bool_)
    new[1:] = (hops["packet"][1:] != hops["packet"][:-1]) | (hops["visit"][1:] != hops["visit"][:-1])
    visit = np.cumsum(new) - 1
    ids = np.zeros(int(visit[-1]) + 1 if visit.size else 0, np.int64)
    replies = np.zeros(ids.size, np.bool_)
    safe = np.maximum(evaluation, 0)
    status = rows["conntrack_status"][safe] & (STATUS_SOURCE_NAT | STATUS_DESTINATION_NAT)
    told = (
        (evaluation >= 0) & (rows["conntrack_id"][safe] > 0) & (rows["conntrack_direction"][safe] <= 1) & (status != 0)
    )
    ids[visit[told]] = rows["conntrack_id"][safe][told]
    replies[visit[told]] = rows["conntrack_direction"][safe][told] == 1
    return ids[visit], replies[visit]


def _bound_rules(
    namespace: npt.NDArray[np.int64],
    ct_id: npt.NDArray[np.int64],
    made: npt.NDArray[np.uint8],
    rule: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """For each rewrite the rule that made the binding of its conntrack entry, wherever in the capture that was
    traced."""
    key = (namespace << 34) | (np.maximum(ct_id, 0) << 1) | made
    makers = (rule >= 0) & (ct_id >= 0)
    keys, first = np.unique(key[makers], return_index=True)
    if keys.size == 0:
        return np.full(key.size, -1, np.int64)
    rules = rule[makers][first]
    at = np.minimum(np.searchsorted(keys, key), keys.size - 1)
    return np.where((keys[at] == key) & (ct_id >= 0), rules[at], -1)
