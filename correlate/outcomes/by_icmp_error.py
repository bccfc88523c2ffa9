"""ICMP errors about packets that went missing: the network's own word for why."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..protocols import ICMP_TIME_EXCEEDED, ICMPV6_TIME_EXCEEDED
from ..schema import NOTE_ERROR
from .kinds import Outcome, Outcomes, Reason, Verdicts
from .tables import Tables

_SOON_NS: Final = 1_000_000_000
"""An error is sent when the packet is given up: at once, or when nobody answered ARP."""
_CLOCKS_NS: Final = 1_000_000
"""And not before that, but for what clocks are off."""

_MISSING: Final = (
    Reason.HOOK,
    Reason.INSIDE,
    Reason.NOT_CAPTURED,
    Reason.ARRIVED,
    Reason.TTL,
    Reason.WIRE,
    Reason.CAPTURE_ENDED,
)
"""What an error explains better, where the packet was not delivered."""


def given_up_with_an_icmp_error(tables: Tables, so_far: Outcomes) -> Verdicts:
    """A packet that went missing where an ICMP error about its flow began was dropped, and why is known."""
    sightings, last = tables.sightings, tables.last
    is_error = (sightings["notes"][tables.first] & NOTE_ERROR) != 0
    missing = ~is_error & (so_far.outcome != Outcome.DELIVERED) & np.isin(so_far.reason, _MISSING)
    # What came to its last captured point with no hop left did not arrive, if the answer is that its time ran out.
    exhausted = ~is_error & ~missing & (sightings["ttl"][last] <= 1) & (sightings["ip_version"][last] > 0)
    errors, lost = np.flatnonzero(is_error), np.flatnonzero(missing | exhausted)
    if errors.size == 0 or lost.size == 0:
        return Verdicts.none()
    error = _first_error_about(tables, errors, lost)
    lost, error = lost[error >= 0], error[error >= 0]
    kind = sightings["icmp_type"][tables.first[error]]
    exceeded = kind == np.where(sightings["ip_version"][last[lost]] == 4, ICMP_TIME_EXCEEDED, ICMPV6_TIME_EXCEEDED)
    told = exceeded | ~exhausted[lost]
    lost, error = lost[told], error[told]
    return Verdicts(
        paths=lost, outcome=Outcome.DROPPED, reason=Reason.ICMP, related=error, rule=so_far.rule[lost],
        location=so_far.location[lost],
    )  # fmt: skip


def _first_error_about(
    tables: Tables, errors: npt.NDArray[np.int64], lost: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Per lost path: the path of the first error that gives it up, -1 for none. It travels against the packet it is
    about, and begins in the namespace that gave the packet up."""
    first, last, times_ns = tables.first, tables.last, tables.times_ns
    namespace = tables.sightings["namespace"]
    way = tables.connections.connection[first] * 2 + tables.connections.forward[first]
    origin = way[errors] << 16 | namespace[first[errors]]
    order = errors[np.lexsort((times_ns[first[errors]], origin))]
    origin = np.sort(origin)
    wanted = (way[lost] ^ 1) << 16 | namespace[last[lost]]
    begin = np.searchsorted(origin, wanted)
    finish = np.searchsorted(origin, wanted, side="right")
    found = np.full(lost.size, -1, np.int64)
    _first_answers(begin, finish, times_ns[first[order]], times_ns[last[lost]], found)
    return np.where(found >= 0, order[found], -1)


@njit(cache=True)
def _first_answers(begin, finish, error_ns, gone_ns, found):
    """The first error of rows [begin, finish), which are in order of time, that follows soon on each packet."""
    for i in range(begin.size):
        for k in range(begin[i], finish[i]):
            delay = error_ns[k] - gone_ns[i]
            if delay > _SOON_NS:
                break
            if delay >= -_CLOCKS_NS:
                found[i] = k
                break
