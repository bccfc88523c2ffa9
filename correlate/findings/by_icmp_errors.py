"""What routers say of packets that they gave up, in ICMP errors (RFC 792, RFC 1191, RFC 4443): no route, TTL, MTU."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from ..outcomes.kinds import Outcome
from ..protocols import (
    ICMP,
    ICMP_FRAGMENTATION_NEEDED,
    ICMP_TIME_EXCEEDED,
    ICMP_UNREACHABLE,
    ICMPV6,
    ICMPV6_TIME_EXCEEDED,
    ICMPV6_TOO_BIG,
    ICMPV6_UNREACHABLE,
)
from ..result.show import reason_of
from ..result.words import address_text, packet_info
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen, many
from .words import frames_of, last_place, node_of, subject_of

_Codes = Mapping[int, tuple[int, tuple[int, ...]]]
"""Of ICMP and ICMPv6: a type, and codes of it."""
_NO_ROUTE: Final[_Codes] = {
    ICMP: (ICMP_UNREACHABLE, (0, 1, 6, 7, 8, 11, 12)),
    ICMPV6: (ICMPV6_UNREACHABLE, (0, 2, 3, 6)),
}
"""Codes by which a router says that it does not know the way, or that nobody answers at its end."""
_PROHIBITED: Final[_Codes] = {ICMP: (ICMP_UNREACHABLE, (9, 10, 13)), ICMPV6: (ICMPV6_UNREACHABLE, (1, 5))}
"""Codes by which a firewall says that it does not want to."""
_TIMED_OUT: Final[_Codes] = {ICMP: (ICMP_TIME_EXCEEDED, (0,)), ICMPV6: (ICMPV6_TIME_EXCEEDED, (0,))}
_TOO_BIG: Final[_Codes] = {
    ICMP: (ICMP_UNREACHABLE, (ICMP_FRAGMENTATION_NEEDED,)),
    ICMPV6: (ICMPV6_TOO_BIG, tuple(range(256))),
}


def told_by_icmp_errors(facts: Facts) -> Iterator[Seen]:
    """`no_route`, `refused` (prohibited), `ttl_expired`, `mtu_exceeded`, `mtu_black_hole`."""
    yield from _errors(facts, _NO_ROUTE, Kind.NO_ROUTE)
    yield from _errors(facts, _PROHIBITED, Kind.REFUSED)
    yield from _errors(facts, _TIMED_OUT, Kind.TTL_EXPIRED)
    yield from _too_big(facts)


def _are(facts: Facts, codes: _Codes) -> Mask:
    found = np.zeros(facts.own.size, np.bool_)
    for protocol, (kind, wanted) in codes.items():
        is_kind = (facts.head("protocol") == protocol) & (facts.head("icmp_type") == kind)
        found |= ~facts.own & is_kind & np.isin(facts.head("icmp_code"), wanted)
    return found


def _errors(facts: Facts, codes: _Codes, kind: Kind) -> Iterator[Seen]:
    connection = facts.result.connection_of_path
    errors = np.flatnonzero(_are(facts, codes) & ~facts.explained[connection] & _is_about_something(facts))
    rows = facts.result.sightings.take(facts.result.head[errors])
    of_connection = connection[errors]
    harmless = _harmless(facts, kind)
    server = facts.asked[of_connection]
    for one in groups(
        facts, errors, rows["source_high"], rows["source_low"], rows["icmp_code"], server, harmless[of_connection]
    ):
        yield _given_up(facts, one, kind, harmless=bool(harmless[connection[one[0]]]))


def _is_about_something(facts: Facts) -> Mask:
    """Per path: its connection has packets of its own. Of what an error quotes and nobody saw, not even the ends are
    known here: the flow of such a row is that of the error."""
    return (facts.count(facts.own) > 0)[facts.result.connection_of_path]


def _harmless(facts: Facts, kind: Kind) -> Mask:
    """Per connection: it went on all the same; or its packets were sent with a small TTL, to see who gives them up, as
    traceroute does (from 1 on)."""
    if kind != Kind.TTL_EXPIRED:
        return facts.opened
    large = facts.own & facts.forward & (facts.head("ttl") > PROBE_TTL)
    return facts.opened | (facts.count(large) == 0)


PROBE_TTL: Final = 30
"""No system begins with less than 32."""


def _about(facts: Facts, errors: Rows) -> Rows:
    """The packets that errors quote, or those of the same connections; none where none was seen."""
    quoted = facts.quoted[np.isin(facts.result.outcomes.related[facts.quoted], errors)]
    if quoted.size:
        return quoted[np.argsort(facts.begin_ns[quoted], kind="stable")]
    same = facts.paths_of(np.unique(facts.result.connection_of_path[errors]))
    return same[facts.own[same]]


def _given_up(facts: Facts, errors: Rows, kind: Kind, *, harmless: bool) -> Seen:
    first = int(errors[0])
    row = facts.result.sightings[int(facts.result.head[first])]
    router = address_text(int(row["source_high"]), int(row["source_low"]))
    about = _about(facts, errors)
    info, back = packet_info(row), last_place(facts, first)
    verb = {Kind.NO_ROUTE: "has no way for", Kind.REFUSED: "does not let through", Kind.TTL_EXPIRED: "gives up"}[kind]

    def say(extent: Extent) -> str:
        return f"{router} {verb} {extent.flow}: ICMP {info}, {many(extent.packets, 'time')}, last seen at {back}"

    return Seen(
        kind=kind, key=(router, info, int(facts.asked[facts.result.connection_of_path[first]])), say=say,
        paths=errors, subject=subject_of(facts, about), time_ns=int(facts.begin_ns[first]),
        node=node_of(facts, first), harmless=harmless,
        evidence=frames_of(facts, first, most=1) + frames_of(facts, int(about[0]), most=1),
    )  # fmt: skip


def _too_big(facts: Facts) -> Iterator[Seen]:
    errors = np.flatnonzero(_are(facts, _TOO_BIG) & _is_about_something(facts))
    rows = facts.result.sightings.take(facts.result.head[errors])
    server = facts.asked[facts.result.connection_of_path[errors]]
    arrived = facts.result.outcomes.outcome[errors] == Outcome.DELIVERED
    died = _died(facts, errors) | (_still_too_big(facts, errors) & ~arrived)
    for is_dead in (True, False):
        some = died == is_dead
        of = [column[some] for column in (rows["source_high"], rows["source_low"], rows["window"], server)]
        for one in groups(facts, errors[some], *of):
            yield _mtu(facts, one, died=is_dead)


def _died(facts: Facts, errors: Rows) -> Mask:
    """The error itself was seen to die."""
    return np.isin(facts.result.outcomes.outcome[errors], (Outcome.DROPPED, Outcome.LOST))


def _still_too_big(facts: Facts, errors: Rows) -> Mask:
    """The sender of the packet went on with as large ones behind the error: it has not heard of it."""
    result = facts.result
    connection = result.connection_of_path
    length, mtu = facts.head("length").astype(np.int64), facts.head("window").astype(np.int64)
    first_error = np.full(result.connections.count, np.iinfo(np.int64).max)
    limit = np.full(result.connections.count, np.iinfo(np.int64).max)
    np.minimum.at(first_error, connection[errors], facts.begin_ns[errors])
    np.minimum.at(limit, connection[errors], np.where(mtu[errors] > 0, mtu[errors], np.iinfo(np.int64).max))
    # A sender that heard it may have had some more on the way already.
    late = facts.own & (facts.begin_ns > first_error[connection] + _ON_THE_WAY_NS) & (first_error[connection] < 2**62)
    again = facts.count(late & (length > limit[connection]))
    delivered = result.outcomes.outcome == Outcome.DELIVERED
    smaller = facts.count(late & (length <= limit[connection]) & (facts.head("payload_length") > 0) & delivered)
    return (again > 0)[connection[errors]] & (smaller == 0)[connection[errors]]


_ON_THE_WAY_NS: Final = 150_000_000
"""An error is at its sender by then, where no link is longer than half the earth."""


_PROBABLY: Final = 0.7
"""That an error did not arrive, where only what the sender did then tells it."""


def _mtu(facts: Facts, errors: Rows, *, died: bool) -> Seen:
    first = int(errors[0])
    row = facts.result.sightings[int(facts.result.head[first])]
    router = address_text(int(row["source_high"]), int(row["source_low"]))
    mtu, at = int(row["window"]), last_place(facts, first)
    reason = reason_of(facts.result, first) if _died(facts, errors)[0] else None
    why = f": {reason.text}" if reason is not None else ""
    about = _about(facts, errors)

    def say(extent: Extent) -> str:
        size = f"packets larger than {mtu} bytes" if mtu else "packets as large as those"
        takes = f"{router} takes no {size} of {extent.flow}"
        if not died:
            return f"{takes}, and says so: {many(extent.packets, 'ICMP error')}"
        return (
            f"{takes}, and its {many(extent.packets, 'ICMP error')} (fragmentation needed, MTU {mtu}) did not reach "
            f"the sender: last seen at {at}{why}"
        )

    return Seen(
        kind=Kind.MTU_BLACK_HOLE if died else Kind.MTU_EXCEEDED,
        key=(router, mtu, int(facts.asked[facts.result.connection_of_path[first]])), say=say, paths=errors,
        subject=subject_of(facts, about), time_ns=int(facts.begin_ns[first]), node=node_of(facts, first),
        harmless=not died, confidence=1.0 if not died or _died(facts, errors).any() else _PROBABLY,
        evidence=frames_of(facts, first) + frames_of(facts, int(about[0]), most=1),
    )  # fmt: skip
