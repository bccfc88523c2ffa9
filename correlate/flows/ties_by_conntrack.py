"""What joins sessions across a translation that conntrack told of: the tuples of its entries.

Returned are pairs of session ends, (n, 2) int64: session * 2 + orientation, so that a pair also says which direction of
the one is which direction of the other. Equal pairs are named once.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..schema import CONNTRACK_DESTROYED, CONNTRACK_NEW
from .session_index import SessionIndex, index_places, pair_key, sessions_during
from .sessions import orientation_of

_LIFETIME_SLACK_NS: Final = 2_000_000_000
"""Conntrack messages are stamped when they are received."""
_MOST_APART_NS: Final = 50_000_000
"""Between what is seen on the two sides of a translation."""
_MOST_SESSIONS: Final = 64
"""Of one address pair, in the time of one entry."""


def conntrack_ties(
    index: SessionIndex, conntrack: npt.NDArray[np.void], nodes: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The original direction before a translation and after it (`conntrack`: CONNTRACK rows).

    Either side is looked for in the entry's namespace, then on its node (a container beside it), then on the wires.
    """
    entries = conntrack[conntrack["original"] != conntrack["translated"]]
    if entries.size == 0:
        return np.empty((0, 2), np.int64)
    order = np.lexsort(
        (entries["time_ns"], entries["translated"], entries["original"], entries["id"], entries["namespace"])
    )
    entries = entries[order]
    places = index_places(entries["namespace"], nodes)
    before = _Side.of(places, entries["original"], entries["restored"])
    after = _Side.of(places, entries["translated"], entries["reply"])
    return _ties_of_entries(entries, before, after, index)


class _Side(NamedTuple):
    """One side of the translations of conntrack entries."""

    key: npt.NDArray[np.uint64]
    """(3, entries): under which SessionIndex knows its address pair, by namespace, node and wires."""
    orientation: npt.NDArray[np.int64]
    """Per entry: that of its original direction."""

    @classmethod
    def of(
        cls,
        places: Sequence[npt.NDArray[np.int64]],
        flow: npt.NDArray[np.uint64],
        reverse: npt.NDArray[np.uint64],
    ) -> "_Side":
        """`places`: of the entries (index_places); `flow`, `reverse`: their original direction there and the other."""
        key = np.stack([pair_key(place, flow, reverse) for place in places])
        return cls(key=key, orientation=orientation_of(flow, reverse))


@njit(cache=True)
def _ties_of_entries(entries, before, after, index):
    ties = np.empty((entries.size * 2, 2), np.int64)
    count = 0
    some = np.empty(_MOST_SESSIONS, np.int64)
    others = np.empty(_MOST_SESSIONS, np.int64)
    i = 0
    while i < entries.size:
        following, start_ns, end_ns = _lifetime(entries, i)
        found = sessions_during(index, before.key[:, i], start_ns, end_ns, some)
        facing = sessions_during(index, after.key[:, i], start_ns, end_ns, others)
        for x in range(found):
            best = _most_together(index, some[x], others[:facing])
            if best >= 0 and count < ties.shape[0]:
                ties[count, 0] = 2 * index.session[some[x]] + before.orientation[i]
                ties[count, 1] = 2 * index.session[best] + after.orientation[i]
                count += 1
        i = following
    return ties[:count]


@njit(cache=True)
def _lifetime(entries, i):
    """(Row behind the messages of the entry that row i begins; when the entry began and ended, as far as is known).

    All messages of one entry: dumped or new, updates, destroy. Its successor may have the same id.
    """
    start_ns = np.int64(-(2**62))
    end_ns = np.int64(2**62)
    j = i
    while (
        j < entries.size
        and entries[j].id == entries[i].id
        and entries[j].namespace == entries[i].namespace
        and entries[j].original == entries[i].original
        and entries[j].translated == entries[i].translated
        and not (j > i and entries[j].event == CONNTRACK_NEW and entries[j - 1].event == CONNTRACK_DESTROYED)
    ):
        if entries[j].event == CONNTRACK_NEW:
            start_ns = entries[j].time_ns - _LIFETIME_SLACK_NS
        elif entries[j].event == CONNTRACK_DESTROYED:
            end_ns = entries[j].time_ns + _LIFETIME_SLACK_NS
        j += 1
    return j, start_ns, end_ns


@njit(cache=True)
def _most_together(index, one, others):
    """Of other rows of the index the one whose session overlaps that of `one` most, for a reused port gives several; -1
    for none that comes near."""
    best = np.int64(-1)
    # Each packet is seen on both sides within microseconds; a message of the trace comes a little later.
    most = np.int64(-_MOST_APART_NS)
    for other in others:
        overlap = min(index.end_ns[one], index.end_ns[other]) - max(index.start_ns[one], index.start_ns[other])
        if overlap > most:
            most = overlap
            best = other
    return best
