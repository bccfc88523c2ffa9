"""What a rule compares, and the values it is compared with, in nft's words."""

from ipaddress import ip_address
from typing import Final, NamedTuple

from .netlink_values import name as name_of

_META: Final = {
    0: ("meta length", "number", 4), 1: ("meta protocol", "ethertype", 2), 2: ("meta priority", "", 4),
    3: ("meta mark", "host hex", 4), 4: ("iif", "host number", 4), 5: ("oif", "host number", 4),
    6: ("iifname", "name", 16), 7: ("oifname", "name", 16), 10: ("meta skuid", "host number", 4),
    11: ("meta skgid", "host number", 4), 15: ("meta nfproto", "nfproto", 1), 16: ("meta l4proto", "protocol", 1),
    17: ("meta ibrname", "name", 16), 18: ("meta obrname", "name", 16), 19: ("meta pkttype", "packet type", 1),
    20: ("meta cpu", "host number", 4), 23: ("meta cgroup", "host number", 4),
}  # fmt: skip
"""NFT_META_* to name, form and size."""
_NETWORK: Final = {
    ("ip", 0, 1): ("ip version", ""), ("ip", 1, 1): ("ip dscp", ""), ("ip", 2, 2): ("ip length", "number"),
    ("ip", 4, 2): ("ip id", "number"), ("ip", 6, 2): ("ip frag-off", ""), ("ip", 8, 1): ("ip ttl", "number"),
    ("ip", 9, 1): ("ip protocol", "protocol"), ("ip6", 4, 2): ("ip6 length", "number"),
    ("ip6", 6, 1): ("ip6 nexthdr", "protocol"), ("ip6", 7, 1): ("ip6 hoplimit", "number"),
}  # fmt: skip
"""(family, offset, size) in the network header to name and form; addresses are elsewhere."""
_ADDRESSES: Final = {
    ("ip", 12): ("ip saddr", 4), ("ip", 16): ("ip daddr", 4), ("ip6", 8): ("ip6 saddr", 16),
    ("ip6", 24): ("ip6 daddr", 16),
}  # fmt: skip
PROTOCOLS: Final = {
    1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 41: "ipv6", 47: "gre", 50: "esp", 51: "ah", 58: "ipv6-icmp",
    108: "comp", 132: "sctp", 136: "udplite",
}  # fmt: skip
_TYPES: Final = (
    "unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit",
)  # fmt: skip
"""RTN_* of linux/rtnetlink.h."""
_CT: Final = {0: ("ct state", "ct state"), 1: ("ct direction", "direction"), 2: ("ct status", "ct status"),
              3: ("ct mark", "host hex")}  # fmt: skip
CT_STATES: Final = {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"}
"""NF_CT_STATE_BIT of linux/netfilter/nf_conntrack_common.h, as nft has them."""
_CT_STATUS: Final = {1: "expected", 2: "seen-reply", 4: "assured", 8: "confirmed", 16: "snat", 32: "dnat", 512: "dying"}
_FLAGS: Final = {1: "fin", 2: "syn", 4: "rst", 8: "psh", 16: "ack", 32: "urg", 64: "ecn", 128: "cwr"}


class Operand(NamedTuple):
    """What is in a register."""

    name: str
    """In nft's words; "" for a constant, `…` where it is not known."""
    form: str = ""
    """How its values are written."""
    size: int = 0
    """Bytes, 0 where that is not known."""
    mask: bytes = b""
    """What is compared of it; empty for all."""
    value: bytes = b""
    """Of a constant."""


def meta_operand(key: int) -> Operand:
    """NFT_META_*."""
    found = _META.get(key)
    return Operand(*found) if found else Operand("meta …", size=4)


def ct_operand(key: int, direction: bytes | None) -> Operand:
    """NFT_CT_*; one way of an entry is not named."""
    found = _CT.get(key) if direction is None else None
    return Operand(*found, size=4) if found else Operand("ct …", size=4)


def payload_operand(family: str, protocol: int | None, base: int, offset: int, size: int) -> Operand:
    """NFT_PAYLOAD_*_HEADER; `protocol`: of the transport header, None where the rule has not asked."""
    if base == 1:
        return _network_operand(family, offset, size)
    if base == 2:
        return _transport_operand(protocol, offset, size)
    return Operand(f"@{'ll' if base == 0 else '…'},{8 * offset},{8 * size}", size=size)


def _network_operand(family: str, offset: int, size: int) -> Operand:
    found = _NETWORK.get((family, offset, size))
    if found:
        return Operand(*found, size=size)
    name, whole = _ADDRESSES.get((family, offset), ("", 0))
    if size == whole:
        return Operand(name, "address", size)
    # A prefix of whole bytes is compared without a mask.
    if name and size < whole:
        return Operand(name, "address", size, mask=b"\xff" * size)
    return Operand(f"@nh,{8 * offset},{8 * size}", size=size)


def _transport_operand(protocol: int | None, offset: int, size: int) -> Operand:
    named = {1: "icmp", 58: "icmpv6"}.get(protocol or 0, PROTOCOLS.get(protocol or 0, "th"))
    if named in ("icmp", "icmpv6"):
        found = {(0, 1): ("type", "number"), (1, 1): ("code", "number"), (4, 2): ("id", "number")}
    else:
        found = {(0, 2): ("sport", "number"), (2, 2): ("dport", "number")}
        if named == "tcp":
            found[(13, 1)] = ("flags", "tcp flags")
    if (offset, size) in found:
        word, form = found[(offset, size)]
        return Operand(f"{named} {word}", form, size)
    return Operand(f"@th,{8 * offset},{8 * size}", size=size)


_MOST_BYTES: Final = 64
"""Of a value: NFT_DATA_VALUE_MAXLEN of linux/netfilter/nf_tables.h. What claims more is none of the kernel's."""


def value_text(operand: Operand, value: bytes) -> str:
    """One value that an operand is compared with; `…` where its form is not known."""
    form = operand.form
    if len(value) > _MOST_BYTES:
        return "…"
    if form == "address":
        return _address_text(operand, value)
    if form == "name":
        # Compared without its last zero, it is only the beginning.
        return f'"{name_of(value)}"' if value[-1:] == bytes(1) else f'"{name_of(value)}*"'
    if form in ("number", "host number", "host hex"):
        read = int.from_bytes(value, "big" if form == "number" else "little")
        return f"0x{read:08x}" if form == "host hex" else str(read)
    read = int.from_bytes(value, "little")
    if form in ("ct state", "ct status", "tcp flags"):
        return bits_text({"ct state": CT_STATES, "ct status": _CT_STATUS, "tcp flags": _FLAGS}[form], read)
    if form == "address type":
        return _TYPES[read] if read < len(_TYPES) else "…"
    names = {
        "protocol": PROTOCOLS, "nfproto": {2: "ipv4", 10: "ipv6"}, "direction": {0: "original", 1: "reply"},
        "packet type": {0: "host", 1: "broadcast", 2: "multicast", 3: "other"},
    }.get(form)  # fmt: skip
    return names.get(read, str(read)) if names else "…"


def bits_text(names: dict[int, str], read: int) -> str:
    """The names of the bits that are set."""
    found = [name for bit, name in names.items() if read & bit]
    return ",".join(found) if found else "…"


def _address_text(operand: Operand, value: bytes) -> str:
    whole = 4 if operand.name.startswith("ip ") else 16
    if len(value) > whole or not value:
        return "…"
    address = ip_address(value + bytes(whole - len(value)))
    if not operand.mask:
        return str(address)
    prefix = prefix_length(operand.mask)
    return f"{address}/{prefix}" if prefix is not None else f"{address}/…"


def prefix_length(mask: bytes) -> int | None:
    """How many bits a mask begins with; None when others are set behind them."""
    bits = "".join(f"{byte:08b}" for byte in mask)
    length = len(bits.rstrip("0"))
    return length if "0" not in bits[:length] else None
