"""The text form: what was captured, the connections, then one full path per route, those that did not arrive first."""

from collections.abc import Iterator
from typing import Final

from ...correlate.in_common.shared_packets import NothingInCommon, Scope
from ...correlate.outcomes.kinds import OUTCOMES, Outcome
from ...correlate.result.connection_state import CUT, UNANSWERED
from ...correlate.result.values import Process
from ...correlate.summaries.captures import CaptureFacts
from ...escaping import safe
from ..telling import CapturesTold, CaptureTold, ConnectionsTold, ConnectionTold, Outline, RoutesTold, Telling
from .findings import findings_text
from .layout import first_of
from .legs import losses_in_words, segments_table, timeline_in_words
from .path import headline, path_text
from .units import duration, plural
from .why_not import why_not_text
from .words import rivals_words

_MOST_KINDS: Final = 6


def text_pieces(telling: Telling) -> Iterator[str]:
    """The report in pieces of whole lines."""
    outline = safe(telling.outline)
    yield from why_not_text(outline.why_not)
    lost = outline.connections.outcomes[Outcome.LOST]
    yield from findings_text(outline.findings, _well(outline), lost, telling.only)
    yield from _captures(outline.captures)
    yield from _connections(outline.connections)
    if outline.routes is None:
        yield from telling.each_path(lambda path: "\n" + path_text(safe(path)))
    else:
        yield from _routes(outline.routes)
    if outline.untold:
        yield (
            f"\nNot shown: {plural(outline.untold, 'path')} of ARP, multicast and neighbour discovery. "
            "`--paths all` shows them.\n"
        )


def _well(outline: Outline) -> str:
    """What there is, where nothing is wrong with it."""
    connections = outline.connections
    of = zip(connections.outcomes, OUTCOMES, strict=True)
    came = ", ".join(f"{count:,} {outcome}" for count, outcome in of if count)
    counted = f"{plural(connections.count, 'connection')} with {plural(connections.paths, 'path')}"
    return f"{counted} ({came})" if came else counted


def _captures(captures: CapturesTold) -> Iterator[str]:
    yield "Captures\n"
    width = max(len(file.facts.node) for file in captures.files)
    for file in captures.files:
        fact = file.facts
        lost = f"LOST {fact.lost:,}" if fact.lost else "nothing lost" if fact.lost_known else "losses unknown"
        cut = ", file cut short" if fact.truncated else ""
        broken = f", {plural(fact.malformed, 'record')} unreadable" if fact.malformed else ""
        yield (
            f"  {fact.node:<{width}}  {plural(fact.packets, 'packet')} at {plural(len(fact.interfaces), 'point')}, "
            f"{plural(fact.trace_events, 'trace event')}, {plural(fact.conntrack_events, 'conntrack event')}, "
            f"{lost}{cut}{broken}; clock: {_clock(fact)}; {fact.file}\n"
        )
        yield from (f"  {'':<{width}}  {note}\n" for note in _notes(file))
    if captures.headless:
        yield f"  {plural(captures.headless, 'trace event')} without a header: their chain is not known\n"


def _notes(file: CaptureTold) -> Iterator[str]:
    fact = file.facts
    if fact.undecoded:
        kinds = [f"{packets:,} {name}" for name, packets in fact.undecoded]
        yield f"neither IP nor ARP: {first_of(kinds, _MOST_KINDS, 'more kinds')}"
    if fact.kernel_drops:
        counted = [f"{one.packets:,} for {one.words}" for one in fact.kernel_drops]
        yield f"the kernel dropped packets, on the whole machine: {first_of(counted, _MOST_KINDS, 'more reasons')}"
    if file.nothing_in_common is not None:
        yield _nothing_in_common(fact.node, file.nothing_in_common)
    for point in fact.interfaces:
        if point.lost:
            yield f"{point.netns} {point.name}: {plural(point.lost, 'packet')} lost"


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


def _connections(connections: ConnectionsTold) -> Iterator[str]:
    yield f"\nConnections: {connections.count:,} with {plural(connections.paths, 'path')}\n"
    yield from (_connection_lines(told) for told in connections.first)
    if connections.more:
        yield f"  … and {connections.more:,} more: `--filter` narrows them down\n"
    yield from (segments_table(told) for told in connections.first if told.in_full)


def _connection_lines(told: ConnectionTold) -> str:
    connection = told.connection
    worn = list(dict.fromkeys(f"{v.source} -> {v.destination}" for v in connection.views))
    client = _end(connection.client, connection.client_name, connection.client_process)
    server = _end(connection.server, connection.server_name, connection.server_process)
    outcome = connection.outcome.upper() if connection.outcome in ("dropped", "lost") else connection.outcome
    # What goes to a group is delivered, and nobody is to answer it.
    to_tell = connection.ending != CUT and (connection.state, outcome) != (UNANSWERED, "delivered")
    ending = f", {connection.ending}" if to_tell else ""
    line = f"  [{connection.id}] {connection.protocol} {client} -> {server}   {outcome}{ending}"
    line += f"   {plural(connection.packets, 'path')}{losses_in_words(told)}\n"
    if connection.reason is not None:
        line += f"        {connection.reason.text}\n"
    plain = f"{connection.client} -> {connection.server}"
    if worn and worn != [plain]:
        line += "".join(f"        as {pair}\n" for pair in worn)
    if took := timeline_in_words(told):
        line += f"        {took}\n"
    if connection.rivals:
        line += f"        {rivals_words(connection.rivals)}\n"
    return line


def _end(address: str, name: str | None, process: Process | None) -> str:
    """`172.17.0.2:80 (web1: nginx)`."""
    names = [one for one in (name, process.name if process else None) if one]
    return f"{address} ({': '.join(names)})" if names else address


def _routes(routes: RoutesTold) -> Iterator[str]:
    yield f"\nRoutes: {routes.count:,} for {plural(routes.paths, 'path')}; the first path of each\n"
    for route in routes.first:
        several = route.paths > 1
        note = f"{plural(route.paths, 'path')} took this route" if several else "the only path that took this route"
        if route.like is not None:
            yield f"\n{headline(route.example, f'the points and rewrites of #{route.like}; {note}')}\n"
        else:
            yield "\n" + path_text(route.example, note)
    alike = [route for route in routes.first if route.like is not None]
    if alike:
        other = f"`--path {alike[0].example.id}` shows another"
        yield f"\nOf healthy routes that differ in their chains alone one is shown: {other}\n"
    if routes.more:
        more = f"{plural(routes.more, 'more route')} with {plural(routes.more_paths, 'path')}"
        yield f"\n{more}: `--filter` or `--connection N` shows them\n"
