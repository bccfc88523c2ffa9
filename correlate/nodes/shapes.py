"""What a snapshot's data must look like to be used: a damaged one is left out, and nobody behind this asks again."""

import ipaddress
from typing import Any, Final, NamedTuple


class Maybe(NamedTuple):
    """A key that may be missing or null."""

    shape: Any


def _is_address(value: Any) -> bool:  # noqa: ANN401 - JSON
    try:
        return isinstance(value, str) and bool(ipaddress.ip_address(value))
    except ValueError:
        return False


def _is_range(value: Any) -> bool:  # noqa: ANN401 - JSON
    """Two numbers."""
    return fits(value, [int]) and len(value) == 2


def _is_counts(value: Any) -> bool:  # noqa: ANN401 - JSON
    """Names to numbers."""
    return isinstance(value, dict) and all(fits(number, int) for number in value.values())


def _is_counts_of_each(value: Any) -> bool:  # noqa: ANN401 - JSON
    """Names to names to numbers."""
    return isinstance(value, dict) and all(map(_is_counts, value.values()))


def fits(value: Any, shape: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether a JSON value has a shape: a type, a function that tells, [shape of the items], {key: shape}, or Maybe
    for what may be missing."""
    if isinstance(shape, Maybe):
        return value is None or fits(value, shape.shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(fits(value.get(key), part) for key, part in shape.items())
    if not isinstance(shape, type):
        return bool(shape(value))
    return isinstance(value, shape) and not (shape is int and isinstance(value, bool))


TEXT_OR_NONE: Final = Maybe(str)
_NUMBER_OR_NONE: Final = Maybe(int)
_ADDRESS_OR_NONE: Final = Maybe(_is_address)
_CHAIN: Final = {
    "family": str,
    "table": str,
    "name": str,
    "hook": TEXT_OR_NONE,
    "prio": _NUMBER_OR_NONE,
    "type": TEXT_OR_NONE,
    "policy": TEXT_OR_NONE,
}
_SAVED: Final = Maybe({"ip": TEXT_OR_NONE, "ip6": TEXT_OR_NONE})
_HOP: Final = {
    "gateway": _ADDRESS_OR_NONE, "index": _NUMBER_OR_NONE, "weight": _NUMBER_OR_NONE, "flags": Maybe([str])
}  # fmt: skip
_ROUTE: Final = {
    "family": int,
    "destination": _ADDRESS_OR_NONE,
    "prefix": int,
    "gateway": _ADDRESS_OR_NONE,
    "index": _NUMBER_OR_NONE,
    "table": int,
    "type": str,
    "metric": _NUMBER_OR_NONE,
    "preferred_source": _ADDRESS_OR_NONE,
    "scope": TEXT_OR_NONE,
    "protocol": TEXT_OR_NONE,
    "tos": _NUMBER_OR_NONE,
    "flags": Maybe([str]),
    "hops": Maybe([_HOP]),
    "nexthop": _NUMBER_OR_NONE,
    "mtu": _NUMBER_OR_NONE,
    "preference": TEXT_OR_NONE,
    "encapsulation": _NUMBER_OR_NONE,
    "from": _ADDRESS_OR_NONE,
    "from_prefix": _NUMBER_OR_NONE,
}
_RULE: Final = {
    "family": int,
    "priority": int,
    "action": str,
    "table": _NUMBER_OR_NONE,
    **dict.fromkeys(("from", "to"), _ADDRESS_OR_NONE),
    **dict.fromkeys(("iif", "oif"), TEXT_OR_NONE),
    **dict.fromkeys(
        (
            "from_prefix", "to_prefix", "mark", "mask", "goto", "tos", "suppress_prefix_length", "suppress_group",
            "protocol", "tunnel_id", "dscp", "dscp_mask", "source_port_mask", "destination_port_mask",
        ),
        _NUMBER_OR_NONE,
    ),
    **dict.fromkeys(("uid_range", "source_ports", "destination_ports"), Maybe(_is_range)),
    **dict.fromkeys(("invert", "finds_source", "l3mdev"), Maybe(bool)),
    "unknown": Maybe([int]),
}  # fmt: skip
_SOCKET: Final = {
    "protocol": str,
    "address": _is_address,
    "port": int,
    **dict.fromkeys(("uid", "inode", "pid"), _NUMBER_OR_NONE),
    **dict.fromkeys(("process", "container"), TEXT_OR_NONE),
}
SHAPES: Final[dict[str, Any]] = {
    "capture": dict,
    "node": {"boot_id": TEXT_OR_NONE},
    "containers": [{"name": str, "addresses": Maybe([str])}],
    "links": [
        {
            "index": int,
            "name": str,
            "kind": TEXT_OR_NONE,
            "master": _NUMBER_OR_NONE,
            "up": Maybe(bool),
            "peer_netns": TEXT_OR_NONE,
            "peer_index": _NUMBER_OR_NONE,
            "other_macs": Maybe([str]),
            "mac": TEXT_OR_NONE,
            "mtu": _NUMBER_OR_NONE,
            "operstate": TEXT_OR_NONE,
            "qdisc": TEXT_OR_NONE,
            **dict.fromkeys(("port", "bridge", "tunnel"), Maybe(dict)),
            "xdp": Maybe([int]),
            "filters": Maybe([{"kind": TEXT_OR_NONE, "name": TEXT_OR_NONE, "program": _NUMBER_OR_NONE}]),
        }
    ],
    "addresses": [{"index": int, "address": _is_address, "prefix": _NUMBER_OR_NONE}],
    "routes": [_ROUTE],
    "route_rules": [_RULE],
    "neighbours": [{"index": int, "address": _ADDRESS_OR_NONE, "mac": TEXT_OR_NONE, "state": TEXT_OR_NONE}],
    "sysctls": dict,
    "counters": {
        **dict.fromkeys(("snmp", "snmp6", "netstat", "conntrack", "softnet"), Maybe(_is_counts)),
        "links": Maybe(_is_counts_of_each),
        "qdiscs": Maybe(_is_counts_of_each),
        "drops": Maybe(_is_counts_of_each),
    },
    "listeners": [_SOCKET | dict.fromkeys(("index", "backlog", "most"), _NUMBER_OR_NONE)],
    "connections": [_SOCKET | {"peer": _is_address, "peer_port": int, "state": TEXT_OR_NONE}],
    "ruleset": {
        "nft": TEXT_OR_NONE,
        "json": Maybe({"nftables": [{"chain": Maybe(_CHAIN), "rule": Maybe(dict)}]}),
        "iptables": _SAVED,
        "legacy": _SAVED,
        "generation": _NUMBER_OR_NONE,
    },
}
"""What the correlator reads of each kind, with its type; a kind that is not here is kept as it is."""
