"""Targets of x_tables from the structures that iptables and the kernel share, in the words of iptables-save.

Sources: linux/netfilter/nf_nat.h, linux/netfilter_ipv4/ipt_REJECT.h, linux/netfilter_ipv6/ip6t_REJECT.h,
linux/netfilter/xt_LOG.h. Addresses and ports of a translation are big-endian, all other numbers little-endian.
"""

import struct
from ipaddress import ip_address
from typing import Final

from .netlink_values import name
from .xtables_matches import UNKNOWN, quoted

_MAP_IPS, _PORTS, _RANDOM, _PERSISTENT, _FULLY_RANDOM, _OFFSET = 1, 2, 4, 8, 16, 32
"""NF_NAT_RANGE_* of linux/netfilter/nf_nat.h."""
_OPTIONS: Final = {_RANDOM: "--random", _FULLY_RANDOM: "--random-fully", _PERSISTENT: "--persistent"}
_TO: Final = {"DNAT": "--to-destination", "SNAT": "--to-source", "MASQUERADE": "--to-ports", "REDIRECT": "--to-ports"}
_OLD: Final = {("ip", "DNAT", 0), ("ip", "SNAT", 0), ("ip", "MASQUERADE", 0), ("ip", "REDIRECT", 0)}
"""(family, target, revision) that use the structure of IPv4 alone, nf_nat_ipv4_multi_range_compat."""
_REJECTS: Final = {
    "ip": ("icmp-net-unreachable", "icmp-host-unreachable", "icmp-proto-unreachable", "icmp-port-unreachable",
           "echo-reply", "icmp-net-prohibited", "icmp-host-prohibited", "tcp-reset", "icmp-admin-prohibited"),
    "ip6": ("icmp6-no-route", "icmp6-adm-prohibited", "icmp6-not-neighbour", "icmp6-addr-unreachable",
            "icmp6-port-unreachable", "echo-reply", "tcp-reset", "icmp6-policy-fail", "icmp6-reject-route"),
}  # fmt: skip


def target_words(family: str, target: str, revision: int, info: bytes) -> str:
    """`DNAT --to-destination 10.0.0.2:80`, what stands behind `-j`; `NAME …` for what is not known."""
    try:
        if target in _TO:
            said = _translation(family, target, revision, info)
        elif target == "REJECT":
            (code,) = struct.unpack_from("<I", info)
            names = _REJECTS.get(family, ())
            said = f"--reject-with {names[code]}" if code < len(names) else UNKNOWN
        elif target == "LOG":
            said = f"--log-prefix {quoted(name(info[2:32]))}" if name(info[2:32]) else ""
        else:
            said = UNKNOWN if any(info) else ""
    except (struct.error, ValueError):
        said = UNKNOWN
    return f"{target} {said}".rstrip()


def _translation(family: str, target: str, revision: int, info: bytes) -> str:
    base = 0
    if (family, target, revision) in _OLD:
        flags, low, high, first, last = struct.unpack_from(">I4s4sHH", info, 4)
        flags = int.from_bytes(flags.to_bytes(4, "big"), "little")
    else:
        flags = int.from_bytes(info[:4], "little")
        low, high, first, last = struct.unpack_from(">16s16sHH", info, 4)
        if flags & _OFFSET:
            (base,) = struct.unpack_from(">H", info, 40)
        size = 4 if family == "ip" else 16
        low, high = low[:size], high[:size]
    addresses = _between(str(ip_address(low)), str(ip_address(high))) if flags & _MAP_IPS else ""
    ports = _between(str(first), str(last)) if flags & _PORTS else ""
    ports += f"/{base}" if base else ""
    to = translation_end(addresses, ports) if target in ("DNAT", "SNAT") else ports
    words = [f"{_TO[target]} {to}"] if to else []
    return " ".join(words + [word for bit, word in _OPTIONS.items() if flags & bit])


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low}-{high}"


def translation_end(addresses: str, ports: str) -> str:
    """An address with a port as iptables and nft write it: `10.0.0.2:80`, `[fd00::2]:80`, `:80`."""
    if ports and ":" in addresses:
        addresses = "-".join(f"[{address}]" for address in addresses.split("-"))
    return f"{addresses}:{ports}" if ports else addresses
