"""What is set at an interface beside its name and addresses: as a bridge port, a bridge, a tunnel; programs on it.

Sources: linux/if_link.h, through the names that pyroute2 gives it.
"""

from typing import Final

from .route_messages import Message

_PORT: Final = {
    "hairpin": "IFLA_BRPORT_MODE", "isolated": "IFLA_BRPORT_ISOLATED", "learning": "IFLA_BRPORT_LEARNING",
    "state": "IFLA_BRPORT_STATE", "neigh_suppress": "IFLA_BRPORT_NEIGH_SUPPRESS",
    "unicast_flood": "IFLA_BRPORT_UNICAST_FLOOD", "guard": "IFLA_BRPORT_GUARD", "locked": "IFLA_BRPORT_LOCKED",
}  # fmt: skip
_BRIDGE: Final = {
    "vlan_filtering": "IFLA_BR_VLAN_FILTERING", "stp": "IFLA_BR_STP_STATE",
    "nf_call_iptables": "IFLA_BR_NF_CALL_IPTABLES",
    "nf_call_ip6tables": "IFLA_BR_NF_CALL_IP6TABLES", "mcast_snooping": "IFLA_BR_MCAST_SNOOPING",
}  # fmt: skip
_TUNNEL: Final = {
    "id": "IFLA_VXLAN_ID", "local": "IFLA_VXLAN_LOCAL", "remote": "IFLA_VXLAN_GROUP", "port": "IFLA_VXLAN_PORT",
    "learning": "IFLA_VXLAN_LEARNING", "ttl": "IFLA_VXLAN_TTL", "link": "IFLA_VXLAN_LINK",
    "udp_csum": "IFLA_VXLAN_UDP_CSUM",
}  # fmt: skip
_OF_KIND: Final = {"bridge": ("bridge", _BRIDGE), "vxlan": ("tunnel", _TUNNEL)}


def link_settings(message: Message) -> dict[str, object]:
    """`operstate`, `qdisc`, `group`, `port`, `bridge`, `tunnel`, `xdp` of docs/file-format.md, those that there are."""
    info = message.get_attr("IFLA_LINKINFO")
    found: dict[str, object] = {}
    for name, attribute in (("operstate", "IFLA_OPERSTATE"), ("qdisc", "IFLA_QDISC"), ("group", "IFLA_GROUP")):
        if value := message.get_attr(attribute):
            found[name] = value
    if info and info.get_attr("IFLA_INFO_SLAVE_KIND") == "bridge":
        found["port"] = _named(info.get_attr("IFLA_INFO_SLAVE_DATA"), _PORT)
    name, fields = _OF_KIND.get(str(info.get_attr("IFLA_INFO_KIND")) if info else "", ("", {}))
    if name and (data := info.get_attr("IFLA_INFO_DATA")):
        found[name] = _named(data, fields)
    xdp = message.get_attr("IFLA_XDP")
    programs = [xdp.get_attr(f"IFLA_XDP{one}_PROG_ID") for one in ("", "_DRV", "_SKB", "_HW")] if xdp else []
    if any(programs):
        found["xdp"] = sorted({program for program in programs if program})
    return found


def _named(data: Message, fields: dict[str, str]) -> dict[str, object]:
    """The fields that are there, as they are."""
    values = {name: data.get_attr(attribute) for name, attribute in fields.items()} if data else {}
    return {name: value for name, value in values.items() if isinstance(value, int | str)}
