"""Sightings -> sessions: one life of one address pair in one namespace. A reused port begins a new one."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from .dissect import mix

_IDLE_NS: Final = 120_000_000_000
"""A flow without TCP's signs that is silent for so long is a new session (nf_conntrack_udp_timeout_stream: 120 s)."""


def orientation_of(flow: npt.NDArray[np.uint64], reverse: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """0 or 1: which of the two directions of its address pair a flow hash is."""
    return (flow > reverse).astype(np.int64)


def split_sessions(
    sightings: npt.NDArray[np.void], times_ns: npt.NDArray[np.int64], conntrack: npt.NDArray[np.void]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(session, orientation) of each sighting. The end of a conntrack entry ends the session of a flow that is not
    TCP."""
    ended = conntrack[(conntrack["event"] == 3) & (conntrack["protocol"] != 6)]
    pair = np.concatenate(
        [
            np.minimum(sightings["flow"], sightings["flow_reverse"]),
            np.minimum(ended["original"], ended["restored"]),
            np.minimum(ended["translated"], ended["reply"]),
        ]
    )
    namespace = np.concatenate([sightings["namespace"], ended["namespace"], ended["namespace"]])
    times = np.concatenate([times_ns, ended["time_ns"], ended["time_ns"]])
    orientation = orientation_of(sightings["flow"], sightings["flow_reverse"])
    order = np.lexsort((times, pair, namespace))
    session = np.full(order.size, -1, np.int64)
    _split(order, namespace, pair, times, sightings, orientation, session)
    return session[: sightings.size], orientation


@njit(cache=True)
def _split(order, namespace, pair, times, sightings, orientation, session):
    count = -1
    last_time = np.int64(0)
    seen = 0
    ended = False
    has_syn = np.zeros(2, np.bool_)
    syn = np.zeros(2, np.uint32)
    for k in range(order.size):
        i = order[k]
        fresh = k == 0 or namespace[i] != namespace[order[k - 1]] or pair[i] != pair[order[k - 1]]
        if fresh:
            seen = 0
            ended = False
            has_syn[:] = False
            count += 1
        if i >= sightings.size:  # the end of a conntrack entry
            ended = True
            continue
        row = sightings[i]
        tcp = row.protocol == 6
        is_syn = tcp and (row.tcp_flags & np.uint16(0x12)) == 2
        new = False
        if seen > 0:
            if is_syn:
                o = orientation[i]
                new = (has_syn[o] and syn[o] != row.sequence) or not (has_syn[0] or has_syn[1])
            elif not tcp:
                new = ended or times[i] - last_time > _IDLE_NS
        if new:
            count += 1
            has_syn[:] = False
        ended = False
        if is_syn:
            has_syn[orientation[i]] = True
            syn[orientation[i]] = row.sequence
        session[i] = count
        last_time = times[i]
        seen += 1


@njit(cache=True)
def _pair_key(where, flow, reverse, out):
    for i in range(flow.size):
        out[i] = mix(min(flow[i], reverse[i]), np.uint64(where[i]))


def pair_key(
    where: npt.NDArray[np.int64], flow: npt.NDArray[np.uint64], reverse: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """One number for (place, address pair), the same for both directions."""
    out = np.empty(flow.size, np.uint64)
    _pair_key(np.ascontiguousarray(where), np.ascontiguousarray(flow), np.ascontiguousarray(reverse), out)
    return out


@dataclass(slots=True)
class SessionIndex:
    """Sessions by where they were seen and their address pair, with the time they lasted.

    Each is in it up to three times: by namespace, by node, and, where it was seen on a wire, by the pair alone.
    """

    key: npt.NDArray[np.uint64]
    session: npt.NDArray[np.int64]
    start_ns: npt.NDArray[np.int64]
    end_ns: npt.NDArray[np.int64]

    @classmethod
    def build(
        cls,
        sightings: npt.NDArray[np.void],
        session: npt.NDArray[np.int64],
        times_ns: npt.NDArray[np.int64],
        on_wire: npt.NDArray[np.bool_],
        nodes: npt.NDArray[np.int64],
    ) -> "SessionIndex":
        """`on_wire`: per sighting, it is at an uplink; `nodes`: node number of each namespace."""
        order = np.lexsort((times_ns, session))
        ordered = session[order]
        first = np.ones(order.size, np.bool_)
        first[1:] = ordered[1:] != ordered[:-1]
        starts = np.flatnonzero(first)
        ends = np.append(starts[1:], order.size) - 1 if starts.size else starts
        rows = sightings[order[starts]]
        seen_on_wire = np.zeros(starts.size, np.bool_)
        seen_on_wire[np.searchsorted(ordered[starts], session[on_wire])] = True
        every = np.arange(starts.size)
        keys, which = [], []
        for places, members in zip(
            index_places(rows["namespace"], nodes), (every, every, np.flatnonzero(seen_on_wire)), strict=True
        ):
            keys.append(pair_key(places[members], rows["flow"][members], rows["flow_reverse"][members]))
            which.append(members)
        key, member = np.concatenate(keys), np.concatenate(which)
        by_key = np.argsort(key, kind="stable")
        member = member[by_key]
        return cls(key[by_key], ordered[starts][member], times_ns[order[starts]][member], times_ns[order[ends]][member])


def index_places(
    namespace: npt.NDArray[np.uint16], nodes: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The three places under which SessionIndex knows a session: its namespace, its node, any wire."""
    here = namespace.astype(np.int64)
    return here, (1 << 32) + nodes[here], np.full(here.size, 1 << 33)
