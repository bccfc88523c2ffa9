"""Where a packet would have gone, by the routing policy that was recorded: the rules by their priority, in the table of
the first that matches the longest prefix, of equal ones the lowest metric. And where the way back goes (rp_filter).

What the recorded facts do not decide is said (`sure`, `doubts`), and never guessed.

Sources: man 8 ip-rule; fib_rules_lookup and fib_rule_match of net/core/fib_rules.c, fib4_rule_* of
net/ipv4/fib_rules.c, fib6_rule_* of net/ipv6/fib6_rules.c; fib_validate_source of net/ipv4/fib_frontend.c.
"""

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

from .namespace_facts import NamespaceFacts, Route, RoutingRule, Where
from .route_words import DEFAULT, LOCAL, MAIN, route_text, rule_text
from .routing_rules import matches
from .routing_tables import REJECTING, Doubts, Packet, find_in, find_in_merged, good_hops

NO_ROUTE: Final = "none"
_DEFAULT_RULES: Final = {
    version: tuple(
        RoutingRule(family=version, priority=priority, action="lookup", table=table) for priority, table in rules
    )
    for version, rules in {
        4: ((0, LOCAL), (32766, MAIN), (32767, DEFAULT)),
        6: ((0, LOCAL), (32766, MAIN)),
    }.items()
}  # fmt: skip
"""Those that every namespace begins with (fib_default_rules_init, fib6_rules_net_init)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFound:
    """What the routing policy says of a packet."""

    type: str
    """Of the route, or what the rule does (`blackhole`, `unreachable`, `prohibit`); NO_ROUTE where nothing matches."""
    route: Route | None
    rule: RoutingRule | None
    """The rule that led to it, or that decided itself."""
    text: str
    """The route as `ip route` prints it, else the rule as `ip rule` does; `no route`."""
    rule_text: str
    """The rule, as `ip rule` prints it; empty where there is none."""
    devices: tuple[str, ...]
    """The interfaces that it may leave by: several where the route has several next hops."""
    via: tuple[str, ...]
    """Their gateways, where they have one."""
    sure: bool
    """What was recorded decides it."""
    doubts: tuple[str, ...]
    """Why not."""
    where: Where | None
    """The snapshot of `routes`, or of `route_rules` where a rule decided; the line is that of the route or rule."""

    @property
    def device(self) -> str | None:
        """The interface that it leaves by, where there is one."""
        return self.devices[0] if len(self.devices) == 1 else None

    @property
    def table(self) -> int | None:
        """Number of the routing table."""
        return self.route.table if self.route else None

    @property
    def is_rejected(self) -> bool:
        """Nothing takes it on, nor in: there is no route, or one that says so."""
        return self.type == NO_ROUTE or self.type in REJECTING


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversePath:
    """What rp_filter says of a packet that came in."""

    mode: int | None
    """The greater of conf.all.rp_filter and the interface's own: 0 off, 1 strict, 2 loose; None where not recorded."""
    setting: str
    """The one of them that decides, as sysctl spells it."""
    back: RouteFound
    """Where a packet to its source would go."""
    is_own_address: bool
    """Its source is an address of this namespace itself, without accept_local: a martian, whatever rp_filter is."""
    passes: bool | None
    """None where that is not sure."""


def lookup(
    facts: NamespaceFacts,
    destination: str,
    *,
    source: str | None = None,
    mark: int | None = 0,
    iif: str | None = None,
    oif: str | None = None,
    protocol: int | None = None,
    source_port: int | None = None,
    destination_port: int | None = None,
    tos: int | None = None,
) -> RouteFound | None:
    """The route of a packet; None where no routes are recorded. `iif`: the interface it came in by, None for what the
    node itself sends (then without a `source` it has none yet). `oif`: the one a socket is bound to. `protocol`:
    number of IANA. `mark`, ports, `tos`: None where not known. Raises ValueError where an address is none."""
    packet = _packet(destination, source, iif, oif)
    packet = replace(
        packet, mark=mark, protocol=protocol, source_port=source_port, destination_port=destination_port, tos=tos
    )  # fmt: skip
    return None if facts.routes is None else _decide(facts, packet)


def _packet(destination: str, source: str | None, iif: str | None, oif: str | None) -> Packet:
    address, other = ip_address(destination), None if source is None else ip_address(source)
    if other is not None and other.version != address.version:
        raise ValueError(f"{source} and {destination} are addresses of different versions")
    return Packet(
        version=address.version, destination=int(address), source=None if other is None else int(other),
        source_known=source is not None or iif is None, mark=0, iif=iif or "lo", oif=oif, protocol=None,
        source_port=None, destination_port=None, tos=None,
    )  # fmt: skip


def reverse_path(
    facts: NamespaceFacts, source: str, iif: str, *, destination: str | None = None, mark: int | None = 0
) -> ReversePath | None:
    """What rp_filter says of an IPv4 packet from `source` that came in by `iif`; None for IPv6, which has no such
    setting, and where no routes are recorded. `destination`: before any translation that has not happened yet when it
    is routed."""
    if facts.routes is None or ":" in source:
        return None
    heeds_mark = facts.of_interface("src_valid_mark", iif)
    packet = replace(
        _packet(source, destination, None, None), source_known=destination is not None,
        mark=mark if heeds_mark else 0 if heeds_mark == 0 or not mark else None,
    )  # fmt: skip
    back = _decide(facts, packet)
    mode = facts.of_interface("rp_filter", iif)
    own = facts.sysctl(f"net.ipv4.conf.{iif.replace('.', '/')}.rp_filter")
    is_own = back.type == "local" and facts.of_interface("accept_local", iif) == 0
    return ReversePath(
        mode=mode, setting=f"net.ipv4.conf.{iif.replace('.', '/') if own == mode else 'all'}.rp_filter", back=back,
        is_own_address=is_own, passes=_passes(facts, back, iif, mode, is_own=is_own),
    )  # fmt: skip


def _passes(facts: NamespaceFacts, back: RouteFound, iif: str, mode: int | None, *, is_own: bool) -> bool | None:
    """__fib_validate_source, as far as it looks at the source."""
    if not back.sure or facts.index_of(iif) is None:
        return None
    if is_own:
        return False
    if mode is None or (back.type == "local" and facts.of_interface("accept_local", iif) is None):
        return None
    if mode == 0:
        return True
    if back.is_rejected or back.type not in ("unicast", "local"):
        return False
    hops = back.route.hops if back.route else ()
    index = facts.index_of(iif)
    if any(hop.index == index for hop in hops) or (back.type == "local" and iif == "lo"):
        return True
    has_address = any(one == index and ":" not in address for one, address in facts.addresses)
    return has_address and mode == 2


def _decide(facts: NamespaceFacts, packet: Packet) -> RouteFound:
    doubts = Doubts()
    if packet.is_for_many:
        doubts.add("what is sent to many does not only follow the routes")
    rules = _rules(facts, packet, doubts)
    maybe: list[tuple[RoutingRule, Route | None]] = []
    decision: tuple[RoutingRule, Route | None] | None = None
    at = 0
    while at < len(rules) and decision is None:
        rule, at = rules[at], at + 1
        match = matches(facts, rule, packet)
        if match is False or rule.action == "nop":
            continue
        if rule.action == "goto":
            if match is None:
                doubts.add(f"whether it meets `{rule_text(rule)}` is not known")
            else:
                at = next((i for i in range(at, len(rules)) if rules[i].priority == rule.goto), at)
            continue
        route = _of_rule(facts, rule, packet, doubts) if rule.action == "lookup" else None
        if rule.action == "lookup" and route is None:
            continue
        if match is None:
            maybe.append((rule, route))
        else:
            decision = rule, route
    for rule, route in maybe:
        if decision is None or route is None or route is not decision[1]:
            doubts.add(f"whether it meets `{rule_text(rule)}` is not known")
    return _found(facts, packet, decision, doubts)


def _rules(facts: NamespaceFacts, packet: Packet, doubts: Doubts) -> tuple[RoutingRule, ...]:
    rules = tuple(rule for rule in facts.rules or () if rule.family == packet.version)
    if not rules:
        doubts.add("the routing rules are not recorded")
        return _DEFAULT_RULES[packet.version]
    return rules


def _of_rule(facts: NamespaceFacts, rule: RoutingRule, packet: Packet, doubts: Doubts) -> Route | None:
    """The route that a rule leads to, unless that goes on with the next rule."""
    table = MAIN if not rule.table else rule.table
    route = find_in(facts, table, packet, doubts)
    if table == LOCAL and packet.version == 4 and _are_default(facts):
        # Without any rule of its own, IPv4 searches both tables as one (fib_trie_unmerge).
        merged = find_in_merged(facts, LOCAL, MAIN, packet, doubts)
        if route is not None and merged is not route:
            doubts.add("tables local and main may be searched as one")
            return merged
    if route is None or route.type == "throw":
        return None
    shortest = rule.suppress_prefix_length
    if shortest is not None and route.prefix <= shortest and route.type not in REJECTING:
        return None
    return route


def _are_default(facts: NamespaceFacts) -> bool:
    known = {(rule.priority, rule.action, rule.table) for rule in facts.rules or () if rule.family == 4}
    return known == {(rule.priority, rule.action, rule.table) for rule in _DEFAULT_RULES[4]}


def _found(
    facts: NamespaceFacts, packet: Packet, decision: tuple[RoutingRule, Route | None] | None, doubts: Doubts
) -> RouteFound:
    rule, route = decision or (None, None)
    hops = good_hops(facts, route, packet) or route.hops if route else ()
    if route and not hops and route.type == "unicast":
        doubts.add("its next hop is not recorded")
    action = rule.action if rule and rule.action in REJECTING else "blackhole" if rule else NO_ROUTE
    where = facts.where.get("routes" if route else "route_rules")
    return RouteFound(
        type=route.type if route else action, route=route, rule=rule,
        text=route_text(route, facts.interface) if route else rule_text(rule) if rule else "no route",
        rule_text=rule_text(rule) if rule else "",
        devices=tuple(dict.fromkeys(facts.interface(hop.index) or f"if{hop.index}" for hop in hops)),
        via=tuple(dict.fromkeys(hop.gateway for hop in hops if hop.gateway)),
        sure=not doubts.found, doubts=tuple(doubts.found), where=where,
    )  # fmt: skip
