"""Which conntrack entry translated a packet between two hops: the kernel names it, or its tuples are looked up."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import first_with
from ..arrays.hashing import mix
from ..netfilter.numbers import CT_REPLY
from ..schema import CONNTRACK_DESTROYED, CONNTRACK_DUMPED, STATUS_DESTINATION_NAT, STATUS_SOURCE_NAT
from ..sightings import told


@dataclass(slots=True)
class Entries:
    """NAT entries by (namespace, flow): sorted keys, and for each the entry's id, direction and start."""

    key: npt.NDArray[np.uint64]
    start_ns: npt.NDArray[np.int64]
    id: npt.NDArray[np.int64]
    reply: npt.NDArray[np.bool_]

    @classmethod
    def build(cls, conntrack: npt.NDArray[np.void]) -> "Entries":
        """From CONNTRACK rows, by every flow that a packet of the entry can have."""
        nat = conntrack[
            (conntrack["original"] != conntrack["translated"]) & (conntrack["event"] != CONNTRACK_DESTROYED)
        ]
        starts = np.where(nat["event"] == CONNTRACK_DUMPED, np.int64(-(2**62)), nat["time_ns"])
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
def _alive(keys, starts, times, rows):
    """`rows`: the first entry of each key (-1 none) becomes the one that was alive: the last that had begun (its
    message may come a little late), else the first."""
    for i in range(rows.size):
        first = rows[i]
        at = first + 1
        while first >= 0 and at < keys.size and keys[at] == keys[first]:
            if starts[at] <= times[i] + 100_000_000:
                rows[i] = at
            at += 1


def entries_of_rewrites(
    hops: npt.NDArray[np.void],
    rewrites: npt.NDArray[np.void],
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    said: npt.NDArray[np.void],
    entries: Entries,
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
        for shows in (at, other):
            open_ = np.flatnonzero(ct_id < 0)
            if open_.size == 0 or entries.key.size == 0:
                break
            where = sightings["namespace"][at[open_]]
            found = first_with(entries.key, _flow_key(where, sightings["flow"][shows[open_]]))
            _alive(entries.key, entries.start_ns, times_ns[at[open_]], found)
            hit, found = open_[found >= 0], found[found >= 0]
            ct_id[hit] = entries.id[found]
            reply[hit] = entries.reply[found]
            namespace[hit] = sightings["namespace"][at[hit]]
    # The trace names the entry itself, which beats a look-up by tuple and time.
    if said.size:
        names_entry = np.zeros(sightings.size, np.bool_)
        names_entry[told(sightings)] = _names_translated_entry(said)
        for at in (rewrites["after"], rewrites["before"]):
            by = _last_of_visit(hops, at, names_entry)
            hit = np.flatnonzero(by >= 0)
            row_said = by[hit] - told(sightings).start
            ct_id[hit] = said["conntrack_id"][row_said]
            reply[hit] = said["conntrack_direction"][row_said] == CT_REPLY
            namespace[hit] = sightings["namespace"][row[at[hit]]]
    return ct_id, reply, namespace


def _names_translated_entry(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Per TOLD row: it names a conntrack entry, with NAT in its status."""
    status = rows["conntrack_status"] & (STATUS_SOURCE_NAT | STATUS_DESTINATION_NAT)
    return (rows["conntrack_id"] > 0) & (rows["conntrack_direction"] <= CT_REPLY) & (status != 0)


@njit(cache=True, nogil=True)
def _last_of_visit(hops, at, wanted):
    """Per hop of `at`: the last sighting of its visit that is wanted, -1 when none is."""
    found = np.full(at.size, np.int64(-1))
    for i in range(at.size):
        hop = hops[at[i]]
        k = at[i]
        while k + 1 < hops.size and hops[k + 1].packet == hop.packet and hops[k + 1].visit == hop.visit:
            k += 1
        while k >= 0 and hops[k].packet == hop.packet and hops[k].visit == hop.visit:
            if wanted[hops[k].sighting]:
                found[i] = hops[k].sighting
                break
            k -= 1
    return found
