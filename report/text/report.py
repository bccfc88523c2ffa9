"""The text form: what was captured, the connections, then one full path per route, those that did not arrive first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np
import numpy.typing as npt

from ...correlate.in_common.shared_packets import NothingInCommon, Scope
from ...correlate.outcomes.kinds import Outcome
from ...correlate.result.correlation import Correlation
from ...correlate.result.select import Selection
from ...correlate.result.values import Connection, Path
from ...correlate.summaries.captures import CaptureFacts, capture_facts, merged_facts
from ...correlate.summaries.connections import summarise_connections
from ...correlate.summaries.routes import Route, find_routes
from ..telling.parts import Views, in_order_of_ids
from .legs import losses_in_words, segments_tables
from .path import path_text
from .units import duration, plural

_MOST_CONNECTIONS: Final = 20
_MOST_ROUTES: Final = 12
_MOST_KINDS: Final = 6
_MOST_RIVALS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What is told of one part of a correlation; of a small one there is only one part."""

    facts: list[CaptureFacts]
    orphans: int
    connections: int
    paths: int
    """Of these connections."""
    listed: list["_Listed"]
    """The connections that may be among those shown."""
    routes: list[tuple[Route, Path | None]]
    """With the first path of those that may be shown."""
    untold: int
    """Paths of what links say among themselves."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class _Listed:
    """A connection in the list; failed ones come first, then those with the least id."""

    arrived: bool
    id: int
    text: str
    segments: str
    """Its table of segments, where it is wanted."""


def text_pieces(views: Views) -> Iterator[str]:
    """The report in pieces of whole lines."""
    chatter_only = all((part.chatter | ~selection.paths).all() for part, selection in views.each())
    parts, in_full = [], False
    for part, selection in views.each():
        parts.append(_tell(part, selection, chatter_only))
        in_full = selection.in_full
    yield from _captures(merged_facts([part.facts for part in parts]), sum(part.orphans for part in parts))
    yield from _connections(parts)
    if in_full:
        yield from in_order_of_ids(views, _paths_in_full)
        return
    yield from _routes(parts)
    untold = sum(part.untold for part in parts)
    if untold:
        yield (
            f"\nNot shown: {plural(untold, 'path')} of ARP, multicast and neighbour discovery. "
            "`--paths all` shows them.\n"
        )


def _tell(result: Correlation, selection: Selection, chatter_only: bool) -> _Told:
    chatter = result.chatter & selection.paths
    told = selection.paths if selection.in_full or chatter_only else selection.paths & ~chatter
    wanted = np.unique(result.connection_of_path[told])
    wanted = wanted[selection.connections[wanted]]
    per_connection = np.bincount(result.connection_of_path, minlength=result.connections.count)
    routes = [] if selection.in_full else find_routes(result, told)
    return _Told(
        facts=capture_facts(result),
        orphans=result.evaluations.orphans,
        connections=int(wanted.size),
        paths=int(per_connection[wanted].sum()),
        listed=_listed(result, selection, wanted),
        routes=[
            (route, result.path_at(route.example) if rank < _MOST_ROUTES else None) for rank, route in enumerate(routes)
        ],
        untold=int((selection.paths & ~told).sum()),
    )


def _paths_in_full(result: Correlation, selection: Selection) -> Iterator[tuple[int, str]]:
    for index in np.flatnonzero(selection.paths).tolist():
        yield int(result.ids.paths[index]), "\n" + path_text(result.path_at(index))


def _captures(facts: list[CaptureFacts], orphans: int) -> Iterator[str]:
    yield "Captures\n"
    width = max(len(f.node) for f in facts)
    said: set[str] = set()
    for fact in facts:
        lost = f"LOST {fact.lost:,}" if fact.lost else "nothing lost" if fact.lost_known else "losses unknown"
        cut = ", file cut short" if fact.truncated else ""
        broken = f", {plural(fact.malformed, 'record')} unreadable" if fact.malformed else ""
        yield (
            f"  {fact.node:<{width}}  {plural(fact.packets, 'packet')} at {plural(len(fact.interfaces), 'point')}, "
            f"{plural(fact.trace_events, 'trace event')}, {plural(fact.conntrack_events, 'conntrack event')}, "
            f"{lost}{cut}{broken}; clock: {_clock(fact)}; {fact.file}\n"
        )
        if fact.undecoded:
            what = ", ".join(f"{packets:,} {name}" for name, packets in fact.undecoded[:_MOST_KINDS])
            more = len(fact.undecoded) - _MOST_KINDS
            yield f"  {'':<{width}}  neither IP nor ARP: {what}{f' and {more:,} more kinds' if more > 0 else ''}\n"
        nothing = fact.nothing_in_common
        if nothing is not None and (nothing.scope == Scope.FILE or fact.node not in said):
            yield f"  {'':<{width}}  {_nothing_in_common(fact.node, nothing)}\n"
            said |= {fact.node} if nothing.scope == Scope.NODE else set()
        for point in fact.interfaces:
            if point.lost:
                yield f"  {'':<{width}}  {point.netns} {point.name}: {plural(point.lost, 'packet')} lost\n"
    if orphans:
        yield f"  {plural(orphans, 'trace event')} without a header: their chain is not known\n"


def _nothing_in_common(node: str, nothing: NothingInCommon) -> str:
    who = "nothing in common with the other files"
    if nothing.scope == Scope.NODE:
        who = f"{node} has nothing in common with the other nodes"
    but = f" but {plural(nothing.chatter_packets, 'packet')} of ARP, multicast and the like"
    return f"{who}{but if nothing.chatter_packets else ''}: {nothing.text}"


def _clock(fact: CaptureFacts) -> str:
    clock = fact.clock
    if clock.basis in ("reference", "same machine"):
        return clock.basis
    if clock.basis == "unknown":
        return "not comparable (no packet between the nodes), taken as equal"
    error = f" ± {duration(clock.error_ns)}" if clock.error_ns is not None else ", error unknown"
    sign = "+" if clock.offset_ns >= 0 else "-"
    drift = f", drifting {clock.drift_ppm:+.1f} ppm" if abs(clock.drift_ppm) >= 0.1 else ""
    steps = f", set {plural(clock.steps, 'time')}" if clock.steps else ""
    return f"{sign}{duration(abs(clock.offset_ns))}{error}{drift}{steps} ({clock.basis})"


def _listed(result: Correlation, selection: Selection, wanted: npt.NDArray[np.int64]) -> list[_Listed]:
    """Those of the wanted connections (by index) that come first."""
    failed = np.zeros(result.connections.count, np.bool_)
    bad = np.isin(result.outcomes.outcome, (Outcome.DROPPED, Outcome.LOST))
    failed[result.connection_of_path[bad]] = True
    ranked = wanted[np.lexsort((wanted, ~failed[wanted]))][:_MOST_CONNECTIONS]
    summaries = summarise_connections(result, np.isin(np.arange(result.connections.count), ranked))
    tables = segments_tables(result, selection, summaries, ranked) if selection.in_full else {}
    return [
        _Listed(
            arrived=not failed[index],
            id=connection.id,
            text=_connection_line(connection, losses_in_words(summaries, index, connection.packets)),
            segments=tables.get(index, ""),
        )
        for index, connection in zip(ranked.tolist(), result.connections_at(ranked.tolist()), strict=True)
    ]


def _connections(parts: Sequence[_Told]) -> Iterator[str]:
    count, paths = sum(part.connections for part in parts), sum(part.paths for part in parts)
    yield f"\nConnections: {count:,} with {plural(paths, 'path')}\n"
    shown = sorted(listed for part in parts for listed in part.listed)[:_MOST_CONNECTIONS]
    yield from (listed.text for listed in shown)
    if count > len(shown):
        yield f"  … and {count - len(shown):,} more: `--filter` narrows them down\n"
    yield from (listed.segments for listed in shown)


def _connection_line(connection: Connection, losses: str) -> str:
    worn = list(dict.fromkeys(f"{v.source} -> {v.destination}" for v in connection.views))
    client, server = _end(connection.client, connection.client_name), _end(connection.server, connection.server_name)
    outcome = connection.outcome.upper() if connection.outcome in ("dropped", "lost") else connection.outcome
    line = f"  [{connection.id}] {connection.protocol} {client} -> {server}   {outcome}"
    line += f"   {plural(connection.packets, 'path')}{losses}\n"
    if connection.reason is not None:
        line += f"        {connection.reason.text}\n"
    plain = f"{connection.client} -> {connection.server}"
    if worn and worn != [plain]:
        line += "".join(f"        as {pair}\n" for pair in worn)
    if connection.rivals:
        others = " or ".join(f"[{rival}]" for rival in connection.rivals[:_MOST_RIVALS])
        more = " or another" if len(connection.rivals) > _MOST_RIVALS else ""
        line += f"        may be {others}{more} behind a translation: their packets fit equally well\n"
    return line


def _end(address: str, name: str | None) -> str:
    return f"{address} ({name})" if name else address


def _routes(parts: Sequence[_Told]) -> Iterator[str]:
    routes: dict[int, list[tuple[Route, Path | None]]] = {}
    for part in parts:
        for route, path in part.routes:
            routes.setdefault(route.key, []).append((route, path))
    total = sum(route.paths for same in routes.values() for route, _ in same)
    yield f"\nRoutes: {len(routes):,} for {plural(total, 'path')}; the first path of each\n"
    # Of equal routes of several parts, one with a path: where that is missing, the route is none of the first anyway.
    ranked = sorted(routes.values(), key=lambda same: min(_rank(*one) for one in same))
    for same in ranked[:_MOST_ROUTES]:
        _, path = min(same, key=lambda one: _rank(*one))
        if path is not None:
            count = sum(route.paths for route, _ in same)
            note = f"{plural(count, 'path')} took this route" if count > 1 else "the only path that took this route"
            yield "\n" + path_text(path, note)
    rest = sum(route.paths for same in ranked[_MOST_ROUTES:] for route, _ in same)
    if rest:
        more = f"{plural(len(ranked) - _MOST_ROUTES, 'more route')} with {plural(rest, 'path')}"
        yield f"\n{more}: `--filter` or `--connection N` shows them\n"


def _rank(route: Route, path: Path | None) -> tuple[int, bool, float]:
    return route.urgency, route.untranslated, path.id if path is not None else inf
