"""Routes and routing rules as `ip route` and `ip rule` print them (iproute2: ip/iproute.c, ip/iprule.c)."""

from collections.abc import Callable, Iterator
from typing import Final

from .namespace_facts import Route, RouteHop, RoutingRule

MAIN: Final = 254
LOCAL: Final = 255
DEFAULT: Final = 253
_TABLES: Final = {MAIN: "main", LOCAL: "local", DEFAULT: "default"}
_PROTOCOLS: Final = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 132: "sctp"}
_BITS: Final = {4: 32, 6: 128}

Names = Callable[[int | None], str | None]
"""Interface index to name."""


def table_name(table: int | None) -> str:
    """What iproute2 calls a table that nobody named."""
    return _TABLES.get(table or 0, str(table))


def route_text(route: Route, name_of: Names) -> str:
    """One line; the table is named unless it is `main`."""
    words = [] if route.type == "unicast" else [route.type]
    words.append(_network(route.destination, route.prefix, route.family, "default"))
    if route.source_prefix:
        words += ["from", _network(route.source, route.source_prefix, route.family, "all")]
    if route.tos:
        words += ["tos", f"0x{route.tos:02x}"]
    if route.nexthop is not None:
        words += ["nhid", str(route.nexthop)]
    if len(route.hops) == 1:
        words += _hop(route.hops[0], route.family, name_of)
    if route.table != MAIN:
        words += ["table", table_name(route.table)]
    words += [word for name, value in _facts(route) if value for word in (name, str(value))]
    if len(route.hops) == 1:
        words += route.hops[0].flags
    else:
        for hop in route.hops:
            words += ["nexthop", *_hop(hop, route.family, name_of), "weight", str(hop.weight), *hop.flags]
    return " ".join(words)


def _facts(route: Route) -> Iterator[tuple[str, object]]:
    yield "proto", route.protocol if route.protocol != "boot" else None
    yield "scope", route.scope
    yield "src", route.preferred_source
    yield "metric", route.metric
    yield "mtu", route.mtu
    yield "pref", route.preference


def _hop(hop: RouteHop, family: int, name_of: Names) -> list[str]:
    words = []
    if hop.gateway is not None:
        other = ":" in hop.gateway and family == 4
        words += ["via", *(["inet6"] if other else []), hop.gateway]
    if hop.index is not None:
        words += ["dev", name_of(hop.index) or f"if{hop.index}"]
    return words


def rule_text(rule: RoutingRule) -> str:
    """One line, with its priority."""
    words = [f"{rule.priority}:", *(["not"] if rule.invert else [])]
    words += ["from", _network(rule.source, rule.source_prefix, rule.family, "all")]
    if rule.destination_prefix:
        words += ["to", _network(rule.destination, rule.destination_prefix, rule.family, "all")]
    if rule.tos:
        words += ["tos", f"0x{rule.tos:02x}"]
    if rule.mark is not None:
        words += ["fwmark", f"{rule.mark:#x}" + ("" if rule.mask == 0xFFFFFFFF else f"/{rule.mask:#x}")]
    words += [word for name in ("iif", "oif") if (device := getattr(rule, name)) for word in (name, device)]
    if rule.protocol is not None:
        words += ["ipproto", _PROTOCOLS.get(rule.protocol, str(rule.protocol))]
    for name, ports in (("sport", rule.source_ports), ("dport", rule.destination_ports)):
        if ports is not None:
            words += [name, str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"]
    words += rule.more
    words += ["lookup", table_name(rule.table)] if rule.action == "lookup" else [rule.action]
    if rule.action == "goto":
        words.append(str(rule.goto))
    if rule.suppress_prefix_length is not None:
        words += ["suppress_prefixlength", str(rule.suppress_prefix_length)]
    return " ".join(words)


def _network(address: str | None, prefix: int, family: int, everything: str) -> str:
    if address is None:
        return everything if prefix == 0 else f"?/{prefix}"
    if prefix == 0 and everything == "all":
        return everything
    return address if prefix == _BITS[family] else f"{address}/{prefix}"
