"""ICMP errors about packets that went missing: the network's own word for why."""

import numpy as np
import numpy.typing as npt

from .connections import Connections
from .outcomes import OUTCOMES, Outcome, Outcomes, Reason
from .schema import NOTE_ERROR

_SOON_NS = 1_000_000_000
"""An error is sent when the packet is given up: at once, or when nobody answered ARP."""


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
    start = np.flatnonzero(np.append(True, hops["packet"][1:] != hops["packet"][:-1]))
    first = hops["sighting"][start]
    last = hops["sighting"][np.append(start[1:], hops.size) - 1]
    is_error = (sightings["notes"][first] & NOTE_ERROR) != 0
    missing = (
        ~is_error
        & (outcomes.outcome != OUTCOMES.index(Outcome.DELIVERED))
        & np.isin(outcomes.reason, [Reason.HOOK, Reason.INSIDE, Reason.NOT_CAPTURED, Reason.ARRIVED, Reason.TTL])
    )
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
    for index in np.flatnonzero(finish > begin):
        candidates = order[begin[index] : finish[index]]
        delay = times_ns[first[candidates]] - times_ns[last[lost[index]]]
        near = np.flatnonzero((delay >= -1_000_000) & (delay <= _SOON_NS))
        if near.size:
            outcomes.outcome[lost[index]] = OUTCOMES.index(Outcome.DROPPED)
            outcomes.reason[lost[index]] = Reason.ICMP
            outcomes.related[lost[index]] = candidates[near[0]]
