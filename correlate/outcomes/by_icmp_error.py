"""ICMP errors about packets that went missing: the network's own word for why."""

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..flows.connections import Connections
from ..hops.order import path_bounds
from ..schema import NOTE_ERROR
from .kinds import OUTCOMES, Outcome, Outcomes, Reason

_SOON_NS = 1_000_000_000
"""An error is sent when the packet is given up: at once, or when nobody answered ARP."""

_TIME_EXCEEDED, _TIME_EXCEEDED_6 = 11, 3
"""Types of ICMP (RFC 792) and ICMPv6 (RFC 4443)."""


def explain_by_icmp(
    outcomes: Outcomes,
    hops: npt.NDArray[np.void],
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    connections: Connections,
) -> None:
    """A packet that went missing where an ICMP error about its flow began was dropped, and why is known (in place)."""
    if hops.size == 0:
        return
    first, last = (hops["sighting"][rows] for rows in path_bounds(hops))
    is_error = (sightings["notes"][first] & NOTE_ERROR) != 0
    missing = (
        ~is_error
        & (outcomes.outcome != OUTCOMES.index(Outcome.DELIVERED))
        & np.isin(
            outcomes.reason,
            [
                Reason.HOOK,
                Reason.INSIDE,
                Reason.NOT_CAPTURED,
                Reason.ARRIVED,
                Reason.TTL,
                Reason.WIRE,
                Reason.CAPTURE_ENDED,
            ],
        )
    )
    # What came to its last captured point with no hop left did not arrive, if the answer is that its time ran out.
    exhausted = ~is_error & ~missing & (sightings["ttl"][last] <= 1) & (sightings["ip_version"][last] > 0)
    missing |= exhausted
    errors = np.flatnonzero(is_error)
    lost = np.flatnonzero(missing)
    if errors.size == 0 or lost.size == 0:
        return
    # An error travels against the packet it is about, and begins in the namespace that gave the packet up.
    way = connections.connection[first] * 2 + connections.forward[first]
    origin = way[errors] << 16 | sightings["namespace"][first[errors]]
    order = errors[np.lexsort((times_ns[first[errors]], origin))]
    origin = np.sort(origin)
    wanted = (way[lost] ^ 1) << 16 | sightings["namespace"][last[lost]]
    begin = np.searchsorted(origin, wanted)
    finish = np.searchsorted(origin, wanted, side="right")
    found = np.full(lost.size, -1, np.int64)
    _first_answers(begin, finish, times_ns[first[order]], times_ns[last[lost]], found)
    answered = found >= 0
    kind = sightings["icmp_type"][first[order[np.maximum(found, 0)]]]
    exceeded = kind == np.where(sightings["ip_version"][last[lost]] == 4, _TIME_EXCEEDED, _TIME_EXCEEDED_6)
    answered &= exceeded | ~exhausted[lost]
    outcomes.outcome[lost[answered]] = OUTCOMES.index(Outcome.DROPPED)
    outcomes.reason[lost[answered]] = Reason.ICMP
    outcomes.related[lost[answered]] = order[found[answered]]


@njit(cache=True)
def _first_answers(begin, finish, error_ns, gone_ns, found):
    """The first error of rows [begin, finish), which are in order of time, that follows soon on each packet."""
    for i in range(begin.size):
        for k in range(begin[i], finish[i]):
            delay = error_ns[k] - gone_ns[i]
            if delay > _SOON_NS:
                break
            if delay >= -1_000_000:
                found[i] = k
                break
