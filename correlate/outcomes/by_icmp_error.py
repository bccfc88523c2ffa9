"""ICMP errors: the network's own word for what became of the packet that an error quotes.

An error carries the first bytes of the packet it is about (RFC 792; RFC 4443, 2.4): its length, its IP id and the first
eight bytes behind its IP header, with TCP's sequence number. That names the packet, at any distance in time: an error
may come at once, or seconds later when nobody answered for the next hop.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..protocols import (
    ICMP_PARAMETER_PROBLEM,
    ICMP_PORT_UNREACHABLE,
    ICMP_PROTOCOL_UNREACHABLE,
    ICMP_TIME_EXCEEDED,
    ICMP_UNREACHABLE,
    ICMPV6_PARAMETER_PROBLEM,
    ICMPV6_PORT_UNREACHABLE,
    ICMPV6_TIME_EXCEEDED,
    ICMPV6_TOO_BIG,
    ICMPV6_UNREACHABLE,
    REASSEMBLY_EXCEEDED,
)
from ..schema import NOTE_ERROR
from .kinds import Outcome, Outcomes, Reason, Verdicts
from .tables import Tables

_GIVES_UP: Final = {
    4: (ICMP_UNREACHABLE, ICMP_TIME_EXCEEDED, ICMP_PARAMETER_PROBLEM),
    6: (ICMPV6_UNREACHABLE, ICMPV6_TOO_BIG, ICMPV6_TIME_EXCEEDED, ICMPV6_PARAMETER_PROBLEM),
}
"""Types of errors about a packet that went no further, by IP version; a redirect goes with one that did."""
_CLOCKS_NS: Final = 1_000_000
"""An error is not sent before the packet was seen, but for what clocks are off."""


def given_up_with_an_icmp_error(tables: Tables, so_far: Outcomes) -> Verdicts:
    """A packet that an ICMP error quotes was dropped, and why is known; or the end itself refused it."""
    is_error = (tables.sightings["notes"][tables.first] & NOTE_ERROR) != 0
    errors = np.flatnonzero(is_error)
    errors = errors[_gives_up(tables.sightings.take(tables.first[errors]))]
    if errors.size == 0:
        return Verdicts.none()
    paths, error = _quoted_by(tables, errors, np.flatnonzero(~is_error))
    said = tables.sightings.take(tables.first[error])
    named = (so_far.outcome[paths] == Outcome.DROPPED) & np.isin(
        so_far.reason[paths], (Reason.RULE, Reason.KERNEL_DROP)
    )
    late = _is(said, 4, ICMP_TIME_EXCEEDED, REASSEMBLY_EXCEEDED) | _is(
        said, 6, ICMPV6_TIME_EXCEEDED, REASSEMBLY_EXCEEDED
    )
    refused = ~named & _nobody_listens(said) & _sent_by_the_end(tables, so_far, paths, error)
    incomplete = ~named & late
    return Verdicts(
        paths=paths,
        outcome=np.select([refused, incomplete], [Outcome.DELIVERED, Outcome.UNKNOWN], Outcome.DROPPED),
        reason=np.select(
            [named, refused, incomplete],
            [so_far.reason[paths], np.uint8(Reason.REFUSED), np.uint8(Reason.INCOMPLETE)],
            np.uint8(Reason.ICMP),
        ),
        related=error,
        rule=np.where(named, so_far.rule[paths], -1),
        location=np.where(refused, so_far.location[paths], -1),
    )


def _is(rows: npt.NDArray[np.void], version: int, kind: int, code: int) -> npt.NDArray[np.bool_]:
    return (rows["ip_version"] == version) & (rows["icmp_type"] == kind) & (rows["icmp_code"] == code)


def _gives_up(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    found = np.zeros(rows.size, np.bool_)
    for version, kinds in _GIVES_UP.items():
        found |= (rows["ip_version"] == version) & np.isin(rows["icmp_type"], kinds)
    return found


def _nobody_listens(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    found = _is(rows, 6, ICMPV6_UNREACHABLE, ICMPV6_PORT_UNREACHABLE)
    for code in (ICMP_PROTOCOL_UNREACHABLE, ICMP_PORT_UNREACHABLE):
        found |= _is(rows, 4, ICMP_UNREACHABLE, code)
    return found


def _sent_by_the_end(
    tables: Tables, so_far: Outcomes, paths: npt.NDArray[np.int64], error: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """The error comes from the address that the packet was sent to, as its last place shows it, or from the container
    it was delivered to."""
    sender, target = tables.sightings.take(tables.first[error]), tables.sightings.take(tables.last[paths])
    same = (sender["source_high"] == target["destination_high"]) & (sender["source_low"] == target["destination_low"])
    return same | ((so_far.outcome[paths] == Outcome.DELIVERED) & (so_far.location[paths] >= 0))


def _quoted_by(
    tables: Tables, errors: npt.NDArray[np.int64], others: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(paths that are quoted, the first error that quotes each of them)."""
    sightings, first, last, times_ns = tables.sightings, tables.first, tables.last, tables.times_ns
    about, sequence = _quotations(tables, errors)
    way = tables.connections.connection[first] * 2 + tables.connections.forward[first]
    others = others[np.isin(way[others], np.unique(way[errors] ^ 1))]
    rows = sightings.take(last[others])
    shown = ((rows["length"].astype(np.int64) & 0xFFFF) << 16) | rows["ip_id"]
    key = (way[others] << 32) | shown
    order = np.lexsort((times_ns[first[others]], key))
    others, rows, key = others[order], rows.take(order), key[order]
    wanted = ((way[errors] ^ 1) << 32) | about
    begin, finish = np.searchsorted(key, wanted), np.searchsorted(key, wanted, side="right")
    found = np.full(errors.size, -1, np.int64)
    _latest_equal(
        begin, finish, sequence, times_ns[first[errors]] + _CLOCKS_NS, rows["sequence"], times_ns[first[others]], found
    )
    found[about == 0] = -1
    tied = np.flatnonzero(found >= 0)
    tied = tied[np.lexsort((times_ns[first[errors[tied]]], found[tied]))]
    paths, at = np.unique(found[tied], return_index=True)
    return others[paths], errors[tied[at]]


def _quotations(tables: Tables, errors: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Per error: (length << 16 | IP id, sequence number) of the packet it quotes; 0 where none of its sightings shows
    that much, for a trace message has the first twelve bytes of it only."""
    begin, last = tables.bounds
    size = last[errors] - begin[errors] + 1
    path = np.repeat(np.arange(errors.size), size)
    hop = np.arange(path.size) - np.repeat(np.cumsum(size) - size, size) + np.repeat(begin[errors], size)
    rows = tables.sightings.take(tables.hops["sighting"][hop])
    about, sequence = np.zeros(errors.size, np.int64), np.zeros(errors.size, np.int64)
    np.maximum.at(about, path, rows["acknowledgment"].astype(np.int64))
    np.maximum.at(sequence, path, rows["sequence"].astype(np.int64))
    return about, sequence


@njit(cache=True)
def _latest_equal(begin, finish, sequence, until_ns, shown, shown_ns, found):
    """Of rows [begin, finish), which are in order of time, the last that had begun and has this sequence number."""
    for i in range(begin.size):
        for k in range(finish[i] - 1, begin[i] - 1, -1):
            if shown_ns[k] <= until_ns[i] and (sequence[i] == 0 or shown[k] == 0 or shown[k] == sequence[i]):
                found[i] = k
                break
