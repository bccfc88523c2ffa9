"""Matches of x_tables from the structures that iptables and the kernel share, in the words of iptables-save.

Sources: linux/netfilter/xt_tcpudp.h, xt_multiport.h, xt_comment.h, xt_conntrack.h, xt_addrtype.h. Numbers are in the
order of the host, which is little-endian in our files.
"""

import re
import struct
from collections.abc import Callable
from typing import Final

from .netlink_values import name

UNKNOWN: Final = "…"
_PLAIN: Final = re.compile(r"[\w-]+", re.ASCII)
_STATES: Final = {1: "INVALID", 8: "NEW", 4: "RELATED", 2: "ESTABLISHED", 256: "UNTRACKED", 64: "SNAT", 128: "DNAT"}
_CONNTRACK_STATE: Final = 1
_TYPES: Final = (
    "UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW",
    "NAT", "XRESOLVE",
)  # fmt: skip
_TCP_FLAGS: Final = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")


def match_words(kind: str, revision: int, info: bytes) -> str:
    """`-m tcp --dport 80`; `-m NAME …` for what is not known."""
    words = _MATCHES.get((kind, revision))
    try:
        said = words(info) if words else UNKNOWN
    except (struct.error, ValueError):
        said = UNKNOWN
    return f"-m {kind} {said}".rstrip()


def quoted(text: str) -> str:
    """As iptables-save writes an argument."""
    return text if _PLAIN.fullmatch(text) else '"' + re.sub(r'(["\\\'])', r"\\\1", text) + '"'


def _option(option: str, value: str, inverted: int) -> str:
    return f"{'! ' if inverted else ''}--{option} {value}"


def _ports(option: str, low: int, high: int, inverted: int) -> list[str]:
    if (low, high) == (0, 0xFFFF) and not inverted:
        return []
    return [_option(option, str(low) if low == high else f"{low}:{high}", inverted)]


def _tcp(info: bytes) -> str:
    s_low, s_high, d_low, d_high, option, mask, flags, inverted = struct.unpack_from("<HHHHBBBB", info)
    words = _ports("sport", s_low, s_high, inverted & 1) + _ports("dport", d_low, d_high, inverted & 2)
    if option:
        words.append(_option("tcp-option", str(option), inverted & 8))
    if mask:
        words.append(_option("tcp-flags", f"{_flags(mask)} {_flags(flags)}", inverted & 4))
    return " ".join(words)


def _flags(bits: int) -> str:
    return ",".join(word for bit, word in enumerate(_TCP_FLAGS) if bits >> bit & 1) or "NONE"


def _udp(info: bytes) -> str:
    s_low, s_high, d_low, d_high, inverted = struct.unpack_from("<HHHHB", info)
    return " ".join(_ports("sport", s_low, s_high, inverted & 1) + _ports("dport", d_low, d_high, inverted & 2))


def _multiport(info: bytes) -> str:
    which, count, *rest = struct.unpack_from("<BB15H15BB", info)
    ports, ranges, inverted = rest[:count], rest[15 : 15 + count], rest[30]
    option = {0: "sports", 1: "dports", 2: "ports"}.get(which, UNKNOWN)
    # A port that begins a range is marked, and the next one ends it.
    text = "".join(f"{port}{':' if begins else ','}" for port, begins in zip(ports, ranges, strict=True)).rstrip(":,")
    return _option(option, text, inverted)


def _comment(info: bytes) -> str:
    return f"--comment {quoted(name(info))}"


def _conntrack(info: bytes) -> str:
    matched, inverted, states, _ = struct.unpack_from("<HHHH", info, 146)
    if matched != _CONNTRACK_STATE:
        return UNKNOWN
    found = [word for bit, word in _STATES.items() if states & bit]
    return _option("ctstate", ",".join(found), inverted & _CONNTRACK_STATE)


def _state(info: bytes) -> str:
    (states,) = struct.unpack_from("<I", info)
    return f"--state {','.join(word for bit, word in _STATES.items() if states & bit)}"


def _addrtype(info: bytes) -> str:
    source, destination, flags = struct.unpack_from("<HHI", info)
    words = [
        _option(option, ",".join(word for bit, word in enumerate(_TYPES) if types >> bit & 1), flags & inverts)
        for option, types, inverts in (("src-type", source, 1), ("dst-type", destination, 2))
        if types
    ]
    words += [word for bit, word in ((4, "--limit-iface-in"), (8, "--limit-iface-out")) if flags & bit]
    return " ".join(words)


_MATCHES: Final[dict[tuple[str, int], Callable[[bytes], str]]] = {
    ("tcp", 0): _tcp, ("udp", 0): _udp, ("multiport", 1): _multiport, ("comment", 0): _comment,
    ("conntrack", 3): _conntrack, ("state", 0): _state, ("addrtype", 1): _addrtype,
}  # fmt: skip
