"""Which sessions there are of an address pair, at a place and in a time: those that a conntrack entry can be about."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.hashing import mix
from .sessions import Sessions


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


class SessionIndex(NamedTuple):
    """Sessions by where they were seen and their address pair, with the time they lasted.

    Each is in it up to three times: by namespace, by node, and, where it was seen on a wire, by the pair alone.
    """

    key: npt.NDArray[np.uint64]
    """Place and address pair (pair_key), ascending."""
    session: npt.NDArray[np.int64]
    start_ns: npt.NDArray[np.int64]
    end_ns: npt.NDArray[np.int64]

    @classmethod
    def build(
        cls,
        sightings: npt.NDArray[np.void],
        sessions: Sessions,
        on_wire: npt.NDArray[np.bool_],
        nodes: npt.NDArray[np.int64],
    ) -> "SessionIndex":
        """`on_wire`: per sighting, it is at an uplink; `nodes`: node number of each namespace."""
        number = np.flatnonzero(sessions.first >= 0)
        seen_on_wire = np.zeros(sessions.first.size, np.bool_)
        seen_on_wire[sessions.session[on_wire]] = True
        first = sessions.first[number]
        flow, reverse = sightings["flow"][first], sightings["flow_reverse"][first]
        every = np.arange(number.size)
        keys, which = [], []
        for places, members in zip(
            index_places(sightings["namespace"][first], nodes),
            (every, every, np.flatnonzero(seen_on_wire[number])),
            strict=True,
        ):
            keys.append(pair_key(places[members], flow[members], reverse[members]))
            which.append(members)
        key, member = np.concatenate(keys), np.concatenate(which)
        by_key = np.argsort(key, kind="stable")
        found = number[member[by_key]]
        return cls(key[by_key], found, sessions.start_ns[found], sessions.end_ns[found])


def index_places(
    namespace: npt.NDArray[np.uint16], nodes: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The three places under which SessionIndex knows a session: its namespace, its node, any wire."""
    here = namespace.astype(np.int64)
    return here, (1 << 32) + nodes[here], np.full(here.size, 1 << 33)


@njit(cache=True)
def sessions_during(index, wanted, start_ns, end_ns, found):
    """Rows of the index with the first of the `wanted` keys that has any whose time meets start_ns to end_ns, as many
    as there is room for in `found`; returns how many."""
    for key in wanted:
        count = 0
        at = np.searchsorted(index.key, key)
        while at < index.key.size and index.key[at] == key and count < found.size:
            if index.start_ns[at] <= end_ns and index.end_ns[at] >= start_ns:
                found[count] = at
                count += 1
            at += 1
        if count > 0:
            return count
    return 0
