"""Packets that the kernel says it dropped: its reasons as findings, with what the recorded settings add."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..netfilter.drops import drop_words, function_of, reason_name
from ..nodes.routing import lookup
from ..outcomes.kinds import Reason
from ..result.words import address_text
from ..sightings import DROP, of_kind
from .by_queues import evidence_of_queue
from .by_routing import Cause, cause_of
from .facts import Facts, Mask, Rows
from .grouping import groups
from .harm import harmless
from .kernel_reasons import OUT_OF_TIME, UNSAID, Told, is_made_good_by_tcp, told_by
from .kinds import Kind
from .seen import Extent, Seen
from .subject import Ends
from .values import Evidence
from .words import frames_of, subject_of, where

_ROUTING: Final = (Kind.MARTIAN, Kind.REVERSE_PATH, Kind.NO_ROUTE, Kind.FORWARDING_OFF)
"""Kinds of which the recorded routes and settings tell more."""


class _Drop(NamedTuple):
    """One drop, as its group shows it."""

    sighting: int
    row: np.void
    at: str
    device: str
    """Where it was, or came in by; empty where neither is known."""
    source: str
    destination: str


def dropped_by_the_kernel(facts: Facts) -> Iterator[Seen]:
    """The kernel's own word for what became of a packet, where no rule that was traced is the better one."""
    # Of a time to live that ran out, and of what is too big, the error of the router says more.
    reason = facts.result.outcomes.reason
    unsaid = (reason == Reason.TTL) & (facts.result.outcomes.related < 0)
    yield from _findings(facts, (reason == Reason.KERNEL_DROP) | unsaid, late=False)


def given_up_by_its_end(facts: Facts) -> Iterator[Seen]:
    """`refused`, where nobody says so, and `fragment_missing`: of what others know more about, who look before. It may
    be an answer from where it was not awaited, and which piece is missing the fragments tell."""
    yield from _findings(facts, facts.result.outcomes.reason == Reason.KERNEL_DROP, late=True)


def _findings(facts: Facts, chosen: Mask, *, late: bool) -> Iterator[Seen]:
    chosen = chosen & facts.own & ~facts.on_link & (facts.dropped >= 0)
    paths = np.flatnonzero(chosen & ~facts.explained[facts.result.connection_of_path])
    paths = paths[np.isin(_rows(facts, paths)["reason"], _LATE) == late] if paths.size else paths
    if paths.size == 0:
        return
    no_harm = harmless(facts, paths)
    told = _are_told(facts, paths, no_harm)
    paths, no_harm = paths[told], no_harm[told]
    rows, seen = _rows(facts, paths), facts.result.sightings.take(facts.dropped[paths])
    near = _near(rows)
    ends = [np.where(near, seen[name], 0) for name in _ENDS] + [
        np.where(rows["reason"] == _NO_SOCKET, seen["destination_port"], 0)
    ]
    columns = [rows[name] for name in ("reason", "number", "symbol", "device", "input_index")]
    columns[0], columns[2] = (np.unique(one, return_inverse=True)[1] for one in (columns[0], columns[2]))
    for one in groups(facts, paths, seen["namespace"], *columns, no_harm, *ends):
        yield from _told(facts, one, harmless=bool(no_harm[np.searchsorted(paths, one[0])]))


_NO_SOCKET: Final = b"NO_SOCKET"
_LATE: Final = (_NO_SOCKET, b"FRAG_REASM_TIMEOUT", b"FRAG_TOO_FAR")
_ENDS: Final = ("source_high", "source_low", "destination_high", "destination_low")


def _rows(facts: Facts, paths: Rows) -> npt.NDArray[np.void]:
    """What the kernel said of the drop of each path."""
    said = facts.result.said_of_kind[DROP].rows
    return said.take(facts.dropped[paths] - of_kind(facts.result.sightings, DROP).start)


def _near(rows: npt.NDArray[np.void]) -> Mask:
    """Whose words name the addresses of the packet, so that packets of other ends are another finding."""
    names, which = np.unique(rows["reason"], return_inverse=True)
    return np.array([_names_ends(name.decode(errors="replace")) for name in names.tolist()], np.bool_)[which]


def _names_ends(reason: str) -> bool:
    told = told_by(reason)
    return told is None or reason == "IP_INADDRERRORS" or told.kind in _OF_ENDS or "{hop}" in told.words


_OF_ENDS: Final = (*_ROUTING, Kind.NEIGHBOUR_UNRESOLVED, Kind.REFUSED)


def _are_told(facts: Facts, paths: Rows, no_harm: Mask) -> Mask:
    """Which are worth a finding: not what TCP throws away and makes good by itself, nor what carries nothing."""
    names, which = np.unique(_rows(facts, paths)["reason"], return_inverse=True)
    by_tcp = [is_made_good_by_tcp(name.decode(errors="replace")) for name in names.tolist()]
    bare = _bare(facts)[paths]
    idle = facts.reset[paths] | (bare & facts.opened[facts.result.connection_of_path[paths]])
    return ~(np.array(by_tcp, np.bool_)[which] & (no_harm | idle)) & ~(no_harm & (bare | facts.reset[paths]))


def _bare(facts: Facts) -> Mask:
    """Per path: TCP that carries nothing and asks for nothing, as an ACK does."""
    return facts.tcp & ~facts.syn & ~facts.syn_ack & (facts.head("payload_length") == 0)


def _told(facts: Facts, paths: Rows, *, harmless: bool) -> Iterator[Seen]:
    drop = _drop(facts, paths[:1])
    reason, ran_out = reason_name(drop.row), facts.result.outcomes.reason[paths[0]] == Reason.TTL
    told = OUT_OF_TIME if ran_out else told_by(reason, function_of(drop.row["symbol"]))
    cause = cause_of(facts, drop.sighting, int(drop.row["device"])) if drop.row["device"] else None
    by_routes = reason in (*UNSAID, "IP_INADDRERRORS") and drop.row["symbol"].startswith(_BY_ROUTES)
    if cause is not None and cause.sure and (by_routes or (told is not None and cause.kind == told.kind)):
        yield _by_setting(facts, paths, drop, cause, harmless=harmless)
    elif told is not None:
        if reason == "PKT_TOO_BIG" and (facts.result.outcomes.related[paths] >= 0).any():
            return
        yield _by_word(facts, paths, drop, told, harmless=harmless)


_BY_ROUTES: Final = (b"ip_error", b"ip_rcv_finish_core", b"ip6_pkt_drop", b"ip6_forward", b"ip_forward")
"""Functions that drop a packet, some without a reason, for what routing said of it."""


def _drop(facts: Facts, path: Rows) -> _Drop:
    sighting = int(facts.dropped[path[0]])
    row, seen = _rows(facts, path)[0], facts.result.sightings[sighting]
    namespace = facts.result.topology.namespaces[int(seen["namespace"])]
    link = namespace.links.get(int(row["device"])) or namespace.links.get(int(row["input_index"])) or {}
    source, destination = (
        address_text(int(seen[f"{end}_high"]), int(seen[f"{end}_low"])) for end in ("source", "destination")
    )
    return _Drop(sighting, row, where(namespace.node, namespace.label), link.get("name", ""), source, destination)


def _by_setting(facts: Facts, paths: Rows, drop: _Drop, cause: Cause, *, harmless: bool) -> Seen:
    """The route or setting that the kernel went by is known."""

    def say(extent: Extent) -> str:
        return f"{cause.why}: {extent.counted} of {extent.flow}"

    return _seen(facts, paths, drop, cause.kind, (cause.why,), say, cause.evidence, harmless=harmless)


def _by_word(facts: Facts, paths: Rows, drop: _Drop, told: Told, *, harmless: bool) -> Seen:
    """The kernel's reason is all there is."""
    place = drop.at + (f" {drop.device}" if drop.device else "")
    words = told.words.format(
        dev=drop.device or "the device", source=drop.source, destination=drop.destination,
        hop=_next_hop(facts, drop) if "{hop}" in told.words else "",
        server=Ends.of(facts.result.sightings.take([drop.sighting]), "destination").text(facts.result.topology),
    )  # fmt: skip
    why = f"{words} ({drop_words(drop.row)})" if words else drop_words(drop.row)

    def say(extent: Extent) -> str:
        return f"{place} drops {extent.counted} of {extent.flow}: {why}"

    counters = told.kind == Kind.QUEUE_DROP and drop.device
    namespace = int(facts.result.sightings["namespace"][drop.sighting])
    evidence = evidence_of_queue(facts, namespace, drop.device) if counters else ()
    return _seen(facts, paths, drop, told.kind, (place, why), say, evidence, harmless=harmless)


def _next_hop(facts: Facts, drop: _Drop) -> str:
    """Whom it was to go to: the gateway of its route, or its destination."""
    namespace = facts.result.topology.namespaces[int(facts.result.sightings["namespace"][drop.sighting])]
    known = facts.result.surroundings.of(namespace.node, namespace.label)
    found = lookup(known, drop.destination, source=drop.source, oif=None, mark=None)
    if found is None or not found.sure or found.device not in (None, drop.device):
        return drop.destination
    return found.via[0] if len(found.via) == 1 else drop.destination


def _seen(
    facts: Facts,
    paths: Rows,
    drop: _Drop,
    kind: Kind,
    key: tuple[object, ...],
    say: Callable[[Extent], str],
    evidence: tuple[Evidence, ...],
    *,
    harmless: bool,
) -> Seen:
    result, first = facts.result, int(paths[0])
    seen = result.sightings[drop.sighting]
    kernel = Evidence(
        what="kernel", text=f"{drop.at}: {drop_words(drop.row)}", file=result.files[int(seen["file"])].path,
        frame=int(seen["frame"]),
    )  # fmt: skip
    return Seen(
        kind=kind, key=key, say=say, paths=paths, subject=subject_of(facts, paths),
        time_ns=int(facts.begin_ns[first]), node=result.topology.namespaces[int(seen["namespace"])].node,
        harmless=harmless, evidence=(kernel, *evidence, *frames_of(facts, first)),
    )  # fmt: skip
