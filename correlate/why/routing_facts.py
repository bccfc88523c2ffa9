"""What routing had to say of a packet where it passed: the route and its table, rp_filter, the neighbour, the MTU."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..nodes.namespace_facts import NamespaceFacts, Where
from ..nodes.route_words import table_name
from ..nodes.routing import RouteFound, lookup, reverse_path
from ..result.correlation import Correlation
from .passages import Passage
from .values import Fact


@dataclass(frozen=True, slots=True)
class _Recorded:
    """One namespace at one moment."""

    result: Correlation
    facts: NamespaceFacts
    place: str

    def fact(self, what: str, text: str, at: Where | None, line: int | None = None) -> Fact:
        """`at`: the snapshot that says so."""
        if at is None:
            return Fact(what=what, text=f"{self.place}: {text}")
        clock = next((one for one in self.result.clocks if one.node == self.facts.node), None)
        read_ns = clock.reference_ns(at.time_ns) if clock is not None and at.time_ns else None
        return Fact(
            what=what, text=f"{self.place}: {text}", file=self.result.files[at.file].path, frame=at.frame,
            line=line or None, read_ns=read_ns,
        )  # fmt: skip


def routing_facts(result: Correlation, passage: Passage) -> Iterator[Fact]:
    """Of one stay in a namespace whose routes were recorded; nothing where it is not known how it came in."""
    if passage.version == 0:
        return
    node, label = passage.namespace.node, passage.namespace.label
    start = _Recorded(result, result.surroundings.of(node, label), passage.place)
    stop = _Recorded(result, result.surroundings.of(node, label, at_stop=True), passage.place)
    interface = start.facts.interface(passage.input_index) or stop.facts.interface(passage.input_index)
    if interface is None and not passage.sent_here:
        return
    if interface is not None and passage.version == 4:
        yield from _way_back(start, stop, passage, interface)
    found = _asked(start, passage, interface)
    if found is None:
        return
    yield from _route(start, stop, passage, interface, found)
    if found.type == "unicast" and interface is not None:
        yield from _forwarding(start, interface, passage.version)
    if found.type == "unicast" and found.device is not None:
        yield from _next_hop(start, stop, passage, found)


def _asked(known: _Recorded, passage: Passage, interface: str | None) -> RouteFound | None:
    return lookup(known.facts, passage.destination, source=passage.source, iif=interface, mark=None)


def _route(
    start: _Recorded, stop: _Recorded, passage: Passage, interface: str | None, found: RouteFound
) -> Iterator[Fact]:
    came = f" that comes in by {interface}" if interface is not None else ""
    asked = f"for {passage.destination}{came}"
    yield start.fact("route", f"{_words(found)}, {asked}{_doubts(found)}", found.where, _line(found))
    later = _asked(stop, passage, interface)
    if later is not None and later.text != found.text:
        yield stop.fact(
            "route", f"when the capture ended: {_words(later)}, {asked}{_doubts(later)}", later.where, _line(later)
        )


def _words(found: RouteFound) -> str:
    table = f" (table {table_name(found.table)})" if found.table is not None and " table " not in found.text else ""
    return f"{found.text}{table}"


def _doubts(found: RouteFound) -> str:
    return f"; not sure: {', '.join(found.doubts)}" if found.doubts else ""


def _line(found: RouteFound) -> int | None:
    return found.route.line if found.route else found.rule.line if found.rule else None


def _way_back(start: _Recorded, stop: _Recorded, passage: Passage, interface: str) -> Iterator[Fact]:
    """rp_filter, where it is on, at either end of the capture."""
    said = None
    for known, when in ((start, ""), (stop, "when the capture ended: ")):
        back = reverse_path(known.facts, passage.source, interface, destination=passage.destination, mark=None)
        if back is None or not back.mode:
            continue
        verdict = {True: "which lets it in", False: "which does not let it in", None: "not sure what it does"}
        way = f"the way back to {passage.source} is {_words(back.back)}, {verdict[back.passes]}{_doubts(back.back)}"
        if (back.mode, way) != said:
            text = f"{when}{back.setting} = {back.mode} (rp_filter)"
            yield known.fact("sysctl", text, known.facts.where.get("sysctls"))
            yield known.fact("route", f"{when}{way}", back.back.where, _line(back.back))
        said = back.mode, way


def _forwarding(known: _Recorded, interface: str, version: int) -> Iterator[Fact]:
    """Where it is off: it had to be forwarded."""
    name = interface.replace(".", "/") if version == 4 else "all"
    setting = f"net.ipv{version}.conf.{name}.forwarding"
    if known.facts.sysctl(setting) == 0:
        yield known.fact("sysctl", f"{setting} = 0", known.facts.where.get("sysctls"))


def _next_hop(start: _Recorded, stop: _Recorded, passage: Passage, found: RouteFound) -> Iterator[Fact]:
    """The interface that the route leaves by, with its MTU, and who is next there."""
    device = found.device or ""
    index = start.facts.index_of(device)
    link = start.facts.links.get(index) if index is not None else None
    if link is not None and link.mtu:
        small = f", smaller than this packet ({passage.length:,} bytes)" if passage.length > link.mtu else ""
        down = ", and it is down" if link.up is False else ""
        yield start.fact("link", f"{device} has MTU {link.mtu}{small}{down}", start.facts.where.get("links"), link.line)
    target = found.via[0] if found.via else passage.destination
    # What the traffic itself made of it is known at the end.
    known = stop if stop.facts.neighbours is not None else start
    if known.facts.neighbours is None:
        return
    entry = known.facts.neighbour(known.facts.index_of(device), target)
    where = known.facts.where.get("neighbours")
    if entry is None:
        yield known.fact("neighbour", f"no entry for {target} at {device}", where)
    else:
        mac = f" is {entry.mac}" if entry.mac else " has no MAC address"
        yield known.fact("neighbour", f"{target} at {device}{mac} ({entry.state})", where, entry.line)
