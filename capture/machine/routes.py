"""The routing policy of a network namespace: its rules, and the routes of all its tables.

Sources: linux/rtnetlink.h, linux/fib_rules.h, linux/nexthop.h.
"""

import socket
import struct
from dataclasses import dataclass
from typing import Final

from .netlink_dump import attributes, number_of
from .netns import plain_text
from .rtnetlink import Routing

Row = dict[str, object]

_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_ROUTE_MESSAGE: Final = struct.Struct("=8BI")
"""struct rtmsg, and struct fib_rule_hdr, which is alike."""
_NEXTHOP: Final = struct.Struct("=HBBi")
_NEXTHOP_GROUP: Final = struct.Struct("=IBBH")
_RTA_DST, _RTA_SRC, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC = 1, 2, 4, 5, 6, 7
_RTA_METRICS, _RTA_MULTIPATH, _RTA_TABLE, _RTA_VIA, _RTA_PREF, _RTA_ENCAP_TYPE, _RTA_NH_ID = 8, 9, 15, 18, 20, 21, 30
_RTAX_MTU: Final = 2
_NHA_ID, _NHA_GROUP, _NHA_BLACKHOLE, _NHA_OIF, _NHA_GATEWAY = 1, 2, 4, 5, 6
_TYPES: Final = {
    1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole", 7: "unreachable",
    8: "prohibit", 9: "throw", 10: "nat",
}  # fmt: skip
_SCOPES: Final = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
_PROTOCOLS: Final = {
    1: "redirect", 2: "kernel", 3: "boot", 4: "static", 9: "ra", 11: "zebra", 12: "bird", 16: "dhcp", 18: "keepalived",
    186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp",
}  # fmt: skip
_FLAGS: Final = {1: "dead", 2: "pervasive", 4: "onlink", 16: "linkdown", 32: "unresolved"}
_PREFERENCES: Final = {1: "high", 3: "low"}
_ACTIONS: Final = {
    1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit",
}  # fmt: skip
_FIB_RULE_INVERT: Final = 2
_FIB_RULE_FIND_SADDR: Final = 0x10000
_NONE: Final = 0xFFFFFFFF
"""What says that a rule suppresses nothing."""


def read_routes(route: Routing) -> list[Row]:
    """All routes of all tables, as `routes` of docs/file-format.md."""
    rows = [_route(message) for family in _FAMILIES for message in route.routes(family)]
    if any("nexthop" in row for row in rows):
        _resolve(rows, dict(map(_nexthop, route.nexthops())))
    return rows


def _route(message: bytes) -> Row:
    family, prefix, from_prefix, tos, table, protocol, scope, kind, flags = _ROUTE_MESSAGE.unpack_from(message)
    found = attributes(message, _ROUTE_MESSAGE.size)
    metrics = attributes(found.get(_RTA_METRICS, b""))
    return {
        "family": family,
        "destination": _address(found.get(_RTA_DST)),
        "prefix": prefix,
        "gateway": _gateway(found),
        "index": number_of(found.get(_RTA_OIF)),
        "table": number_of(found.get(_RTA_TABLE)) or table,
        "type": _TYPES.get(kind, str(kind)),
    } | _said(
        metric=number_of(found.get(_RTA_PRIORITY)),
        preferred_source=_address(found.get(_RTA_PREFSRC)),
        scope=_SCOPES.get(scope, str(scope)) if scope else None,
        protocol=_PROTOCOLS.get(protocol, str(protocol)) if protocol else None,
        tos=tos,
        flags=_flags(flags),
        hops=_hops(found.get(_RTA_MULTIPATH, b"")),
        nexthop=number_of(found.get(_RTA_NH_ID)),
        mtu=number_of(metrics.get(_RTAX_MTU)),
        preference=_PREFERENCES.get(number_of(found.get(_RTA_PREF)) or 0),
        encapsulation=number_of(found.get(_RTA_ENCAP_TYPE)),
        **({"from": _address(found[_RTA_SRC]), "from_prefix": from_prefix} if _RTA_SRC in found else {}),
    )


def _hops(data: bytes) -> list[Row]:
    """Of a route with several: struct rtnexthop, with attributes behind each."""
    rows: list[Row] = []
    at = 0
    while at + _NEXTHOP.size <= len(data):
        length, flags, weight, index = _NEXTHOP.unpack_from(data, at)
        if length < _NEXTHOP.size:
            break
        gateway = _gateway(attributes(data[at : at + length], _NEXTHOP.size))
        rows.append({"gateway": gateway, "index": index, "weight": weight + 1} | _said(flags=_flags(flags)))
        at += length + 3 & ~3
    return rows


@dataclass(frozen=True, slots=True)
class _Nexthop:
    """A nexthop object."""

    hop: Row
    group: list[tuple[int, int]]
    """(number, weight) of those that it stands for; empty where it is a hop itself."""
    blackhole: bool


def _nexthop(message: bytes) -> tuple[int, _Nexthop]:
    """Its number, and what it is."""
    found = attributes(message, 8)
    members = [(number, weight + 1) for number, weight, _, _ in _NEXTHOP_GROUP.iter_unpack(found.get(_NHA_GROUP, b""))]
    hop = {"gateway": _address(found.get(_NHA_GATEWAY)), "index": number_of(found.get(_NHA_OIF)), "weight": 1}
    flags = _flags(int.from_bytes(message[4:8], "little"))
    return number_of(found.get(_NHA_ID)) or 0, _Nexthop(hop | _said(flags=flags), members, _NHA_BLACKHOLE in found)


def _resolve(rows: list[Row], objects: dict[int, _Nexthop]) -> None:
    """Give the routes that only name a nexthop its hops, and its type if that is one of a blackhole (in place): a
    kernel with net.ipv4.nexthop_compat_mode=0 does not say them again."""
    for row in rows:
        number = row.get("nexthop")
        known = objects.get(number) if isinstance(number, int) else None
        if known is None or not isinstance(number, int):
            continue
        if known.blackhole:
            row["type"] = "blackhole"
        elif row["index"] is None and "hops" not in row:
            group = known.group or [(number, 1)]
            hops = [objects[one].hop | {"weight": weight} for one, weight in group if one in objects]
            if len(hops) == len(group):
                row["hops"] = hops


def read_rules(route: Routing) -> list[Row]:
    """What `ip rule` lists, as `route_rules` of docs/file-format.md, in the kernel's order."""
    return [_rule(message) for family in _FAMILIES for message in route.rules(family)]


def _rule(message: bytes) -> Row:
    family, to_prefix, from_prefix, tos, table, _, _, action, flags = _ROUTE_MESSAGE.unpack_from(message)
    found = attributes(message, _ROUTE_MESSAGE.size)
    name = _ACTIONS.get(action, str(action))
    return {
        "family": family,
        "priority": number_of(found.pop(6, b"")) or 0,
        "action": name,
        "table": number_of(found.pop(15, b"")) or table if name == "lookup" else None,
    } | _conditions(found, from_prefix, to_prefix) | _said(
        tos=tos, invert=bool(flags & _FIB_RULE_INVERT), finds_source=bool(flags & _FIB_RULE_FIND_SADDR),
        unknown=sorted(found.keys() - _UNDERSTOOD),
    )  # fmt: skip


_UNDERSTOOD: Final = {1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 28, 29, 30}
"""FRA_* that are read here, or select nothing (padding, who made the rule, its realm)."""


def _conditions(found: dict[int, bytes], from_prefix: int, to_prefix: int) -> Row:
    suppressed, group = number_of(found.get(14)), number_of(found.get(13))
    row = _said(
        to=_address(found.get(1)), iif=_name(found.get(3)), oif=_name(found.get(17)), goto=number_of(found.get(4)),
        tunnel_id=int.from_bytes(found.get(12, b""), "big"),
        l3mdev=bool(number_of(found.get(19))), uid_range=_range(found.get(20)),
        protocol=number_of(found.get(22)), source_ports=_range(found.get(23)), destination_ports=_range(found.get(24)),
        dscp=number_of(found.get(25)),
    ) | _said(**{"from": _address(found.get(2))})  # fmt: skip
    for key, prefix in (("from", from_prefix), ("to", to_prefix)):
        if prefix:
            row[f"{key}_prefix"] = prefix
    if found.keys() & {10, 16}:
        row["mark"] = number_of(found.get(10)) or 0
    # A mask that is all ones says nothing.
    for key, number, everything in (
        ("mask", 16, _NONE), ("source_port_mask", 28, 0xFFFF), ("destination_port_mask", 29, 0xFFFF),
        ("dscp_mask", 30, 0x3F),
    ):  # fmt: skip
        if number in found and (mask := int.from_bytes(found[number], "little")) != everything:
            row[key] = mask
    if suppressed is not None and suppressed != _NONE:
        row["suppress_prefix_length"] = suppressed
    if group is not None and group != _NONE:
        row["suppress_group"] = group
    return row


def _said(**facts: object) -> Row:
    """Those that say something: not None, 0, False or empty."""
    return {name: value for name, value in facts.items() if value}


def _flags(bits: int) -> list[str]:
    return [name for bit, name in _FLAGS.items() if bits & bit]


def _gateway(found: dict[int, bytes]) -> str | None:
    """RTA_VIA is of another family than the route: a family, then the address."""
    via = found.get(_RTA_VIA)
    return _address(via[2:]) if via else _address(found.get(_RTA_GATEWAY))


def _address(content: bytes | None) -> str | None:
    families = {4: socket.AF_INET, 16: socket.AF_INET6}
    return socket.inet_ntop(families[len(content)], content) if content and len(content) in families else None


def _name(content: bytes | None) -> str | None:
    return plain_text(content.rstrip(b"\0")) if content else None


def _range(content: bytes | None) -> list[int]:
    """Two numbers of half of its bytes each."""
    half = len(content or b"") // 2
    return [int.from_bytes(part, "little") for part in (content[:half], content[half:])] if content else []
