"""The text form: what was captured, the connections, then one full path per route, those that did not arrive first."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..correlate.common import NothingInCommon, Scope
from ..correlate.connection_summary import summarise_connections
from ..correlate.names import is_link_chatter
from ..correlate.outcomes import OUTCOMES
from ..correlate.paths import Connection
from ..correlate.result import Correlation
from ..correlate.routes import Route, find_routes
from ..correlate.select import Selection
from ..correlate.summary import CaptureFacts, capture_facts
from .legs_text import losses_in_words, segments_tables
from .path_text import path_text
from .units import duration, plural

_MOST_CONNECTIONS: Final = 20
_MOST_ROUTES: Final = 12
_MOST_KINDS: Final = 6
_MOST_RIVALS: Final = 4


def text_pieces(result: Correlation, selection: Selection) -> Iterator[str]:
    """The report in pieces of whole lines."""
    yield from _captures(result)
    chatter = link_chatter(result) & selection.paths
    told = selection.paths if selection.in_full or (chatter == selection.paths).all() else selection.paths & ~chatter
    yield from _connections(result, selection, told)
    if selection.in_full:
        for index in np.flatnonzero(selection.paths).tolist():
            yield "\n" + path_text(result.path(index + 1))
        return
    routes = find_routes(result, told)
    yield from _routes(result, routes)
    if (selection.paths & ~told).any():
        rest = int((selection.paths & ~told).sum())
        paths = plural(rest, "path")
        yield f"\nNot shown: {paths} of ARP, multicast and neighbour discovery. `--paths all` shows them.\n"


def link_chatter(result: Correlation) -> np.ndarray:
    """Per path: ARP, multicast, IPv6 neighbour discovery: what links say among themselves."""
    return is_link_chatter(result.sightings[result.head])


def _captures(result: Correlation) -> Iterator[str]:
    yield "Captures\n"
    facts = capture_facts(result)
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
    if result.evaluations.orphans:
        yield f"  {plural(result.evaluations.orphans, 'trace event')} without a header: their chain is not known\n"


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


def _connections(result: Correlation, selection: Selection, told: np.ndarray) -> Iterator[str]:
    wanted = np.unique(result.connection_of_path[told])
    wanted = wanted[selection.connections[wanted]]
    per_connection = np.bincount(result.connection_of_path, minlength=result.connections.count)
    failed = np.zeros(result.connections.count, np.bool_)
    bad = np.isin(result.outcomes.outcome, [OUTCOMES.index(o) for o in OUTCOMES if o in ("dropped", "lost")])
    failed[result.connection_of_path[bad]] = True
    ranked = wanted[np.lexsort((wanted, ~failed[wanted]))]
    yield f"\nConnections: {len(wanted):,} with {plural(int(per_connection[wanted].sum()), 'path')}\n"
    shown = result.connection_list((ranked[:_MOST_CONNECTIONS] + 1).tolist())
    summaries = summarise_connections(result, np.isin(np.arange(result.connections.count), ranked[:_MOST_CONNECTIONS]))
    for connection in shown:
        yield _connection_line(connection, losses_in_words(summaries, connection.id, connection.packets))
    if len(wanted) > len(shown):
        yield f"  … and {len(wanted) - len(shown):,} more: `--filter` narrows them down\n"
    if selection.in_full:
        yield from segments_tables(result, selection, summaries, [connection.id for connection in shown])


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


def _routes(result: Correlation, routes: list[Route]) -> Iterator[str]:
    total = sum(route.paths for route in routes)
    yield f"\nRoutes: {len(routes):,} for {plural(total, 'path')}; the first path of each\n"
    for route in routes[:_MOST_ROUTES]:
        note = (
            f"{plural(route.paths, 'path')} took this route"
            if route.paths > 1
            else "the only path that took this route"
        )
        yield "\n" + path_text(result.path(route.example), note)
    if len(routes) > _MOST_ROUTES:
        rest = routes[_MOST_ROUTES:]
        more = f"{plural(len(rest), 'more route')} with {plural(sum(r.paths for r in rest), 'path')}"
        yield f"\n{more}: `--filter` or `--connection N` shows them\n"
