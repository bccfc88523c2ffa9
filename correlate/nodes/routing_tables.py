"""One routing table: which of its routes the kernel takes for a packet.

Sources: fib_table_lookup and fib_lookup_good_nhc of net/ipv4/fib_trie.c, fib_select_default of
net/ipv4/fib_semantics.c; fib6_table_lookup, find_rr_leaf and rt6_score_route of net/ipv6/route.c.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from .namespace_facts import NamespaceFacts, Route, RouteHop

BITS: Final = {4: 32, 6: 128}
REJECTING: Final = ("blackhole", "unreachable", "prohibit")
"""Types that end the search and the packet; `throw` only ends the search in its table."""
_WAYS: Final = ("unicast", "local", "broadcast", "anycast", "multicast")
_PREFERENCE: Final = {"high": 3, None: 2, "low": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What a routing decision looks at; None: not known."""

    version: int
    destination: int
    source: int | None
    """None: it has none yet (`source_known`), or it is not known."""
    source_known: bool
    mark: int | None
    iif: str
    """`lo` for what the node itself sends."""
    oif: str | None
    """The interface that a socket is bound to."""
    protocol: int | None
    source_port: int | None
    destination_port: int | None
    tos: int | None

    @property
    def is_strict(self) -> bool:
        """IPv6: its destination means something on one link only (rt6_need_strict)."""
        top = self.destination >> 112
        return self.version == 6 and (top >> 8 == 0xFF or top & 0xFFC0 == 0xFE80)

    @property
    def is_for_many(self) -> bool:
        """To a multicast address, or to all."""
        top = self.destination >> (BITS[self.version] - 8)
        return top == 0xFF or (self.version == 4 and 0xE0 <= top < 0xF0)


@dataclass(slots=True, kw_only=True)
class Doubts:
    """Why a decision may be another."""

    found: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """One more, once."""
        if text not in self.found:
            self.found.append(text)


Table = list[tuple[int, dict[int, list[Route]]]]
"""(prefix length, network to its routes in the order in which they are tried), the longest first."""


@lru_cache(maxsize=64)
def tables_of(facts: NamespaceFacts) -> dict[tuple[int, int], Table]:
    """(IP version, table) to the table."""
    found: dict[tuple[int, int], dict[int, dict[int, list[Route]]]] = {}
    for route in facts.routes or ():
        bits = BITS[route.family]
        if not 0 <= route.prefix <= bits:
            continue
        network = network_of(route.destination, route.prefix, route.family)
        if network is not None:
            table = found.setdefault((route.family, route.table), {})
            table.setdefault(route.prefix, {}).setdefault(network, []).append(route)
    for table in found.values():
        for networks in table.values():
            for routes in networks.values():
                routes.sort(key=_order)
    return {key: sorted(table.items(), reverse=True) for key, table in found.items()}


def network_of(address: str | None, prefix: int, version: int) -> int | None:
    """The bits of a network; None where the address is of the other version."""
    if address is None:
        return 0 if prefix == 0 else None
    parsed = ip_address(address)
    return int(parsed) >> (BITS[version] - prefix) if parsed.version == version else None


def _order(route: Route) -> tuple[int, int]:
    """fib_insert_alias: the greater TOS, then the lower metric. Of IPv6 those of a source before those of all."""
    return (-route.tos if route.family == 4 else -route.source_prefix, route.metric)


def find_in(facts: NamespaceFacts, table: int, packet: Packet, doubts: Doubts) -> Route | None:
    """The route of a table that the packet takes; one of type `throw` where the search here ends with it."""
    return _first_good(facts, _candidates(facts, (table,), packet), packet, doubts)


def find_in_merged(facts: NamespaceFacts, first: int, second: int, packet: Packet, doubts: Doubts) -> Route | None:
    """Of two tables that are searched as one, the route with the longest prefix; of equal ones that of the first."""
    merged = sorted(_candidates(facts, (first, second), packet), key=lambda route: -route.prefix)
    return _first_good(facts, iter(merged), packet, doubts)


def _candidates(facts: NamespaceFacts, tables: tuple[int, ...], packet: Packet) -> Iterator[Route]:
    for table in tables:
        for prefix, networks in tables_of(facts).get((packet.version, table), ()):
            yield from networks.get(packet.destination >> (BITS[packet.version] - prefix), ())


def _first_good(facts: NamespaceFacts, candidates: Iterator[Route], packet: Packet, doubts: Doubts) -> Route | None:
    for route in candidates:
        if not _is_for(route, packet, doubts):
            continue
        if _is_usable(facts, route, packet):
            if packet.version == 4:
                return _default_gateway(route, candidates, doubts)
            return _best(facts, route, candidates, packet, doubts)
    return None


def _is_usable(facts: NamespaceFacts, route: Route, packet: Packet) -> bool:
    if route.type not in _WAYS:
        return not packet.is_strict
    return not route.hops or bool(good_hops(facts, route, packet))


def _is_for(route: Route, packet: Packet, doubts: Doubts) -> bool:
    """Whether its TOS and source are those of the packet."""
    if route.tos and packet.version == 4:
        if packet.tos is None:
            doubts.add(f"a route is for packets with TOS 0x{route.tos:02x}")
        if packet.tos != route.tos:
            return False
    if route.source_prefix:
        if packet.source is None:
            if not packet.source_known:
                doubts.add("a route is for packets of some sources")
            return False
        wanted = network_of(route.source, route.source_prefix, route.family)
        return wanted == packet.source >> (BITS[packet.version] - route.source_prefix)
    return True


def good_hops(facts: NamespaceFacts, route: Route, packet: Packet) -> list[RouteHop]:
    """The hops that are up, and lead out of the interface that is asked for."""
    wanted = None
    if packet.oif is not None:
        wanted = facts.index_of(packet.oif)
    elif packet.is_strict and packet.iif != "lo":
        wanted = facts.index_of(packet.iif)
    return [
        hop
        for hop in route.hops
        if "dead" not in hop.flags
        and not ("linkdown" in hop.flags and _ignores_linkdown(facts, hop, packet.version))
        and (wanted is None or hop.index == wanted)
    ]


def _ignores_linkdown(facts: NamespaceFacts, hop: RouteHop, version: int) -> bool:
    name = facts.interface(hop.index)
    return name is not None and facts.of_interface("ignore_routes_with_linkdown", name, version) == 1


def _default_gateway(route: Route, rest: Iterator[Route], doubts: Doubts) -> Route:
    """Of several default routes of one metric the kernel takes one whose gateway answers (fib_select_default)."""
    if route.prefix == 0 and route.type == "unicast":
        following = next(rest, None)
        if following and (following.tos, following.metric, following.prefix) == (route.tos, route.metric, 0):
            doubts.add("there are several default routes of the same metric")
    return route


def _best(facts: NamespaceFacts, first: Route, rest: Iterator[Route], packet: Packet, doubts: Doubts) -> Route:
    """IPv6: of routes of one metric that by which it came in, or the first; routers that do not answer come last
    (rt6_score_route, rt6_check_neigh)."""
    wanted = facts.index_of(packet.oif or packet.iif) if packet.oif or packet.iif != "lo" else None
    equal, other = [first], None
    for route in rest:
        if not _is_usable(facts, route, packet):
            continue
        if (route.prefix, route.source_prefix, route.metric) != (first.prefix, first.source_prefix, first.metric):
            other = route
            break
        equal.append(route)

    def score(route: Route) -> tuple[int, bool]:
        return _PREFERENCE.get(route.preference, 2), any(hop.index == wanted for hop in route.hops)

    best = max(equal, key=score)
    if sum(score(route) == score(best) for route in equal) > 1:
        doubts.add("there are several routes of the same metric")
    is_router = facts.sysctl("net.ipv6.conf.all.forwarding") == 1
    is_silent = bool(best.hops) and all(_state(facts, hop) in ("failed", "incomplete") for hop in best.hops)
    if is_silent and not is_router and (other or len(equal) > 1):
        doubts.add("the next hop does not answer, and another route is there")
    return best


def _state(facts: NamespaceFacts, hop: RouteHop) -> str | None:
    neighbour = facts.neighbour(hop.index, hop.gateway) if hop.gateway else None
    return neighbour.state if neighbour else None
