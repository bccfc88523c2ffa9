"""Numbers of packets in words: protocols, addresses, flags."""

import ipaddress
from typing import Final

import numpy as np

from ..decode.link_layer import LINK_TYPE_BASE, LLC, PPP
from ..netfilter.numbers import NF_ACCEPT, NF_DROP, NF_QUEUE, NFT_BREAK, NFT_CONTINUE, NFT_RETURN
from .values import Encapsulation

PROTOCOLS: Final = {
    1: "icmp",
    2: "igmp",
    4: "ipip",
    6: "tcp",
    17: "udp",
    33: "dccp",
    41: "6in4",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "icmpv6",
    89: "ospf",
    132: "sctp",
    136: "udplite",
}
"""IANA protocol numbers."""
_ETHERTYPES: Final = {
    LLC: "llc",
    PPP: "ppp",
    0x0806: "arp",
    0x8035: "rarp",
    0x8847: "mpls",
    0x8848: "mpls",
    0x8863: "pppoe",
    0x8864: "pppoe",
    0x888E: "eapol",
    0x88CC: "lldp",
    0x88E5: "macsec",
}
DIRECTIONS: Final = ("unknown", "in", "out", "unknown")
"""By pcapng Direction; of the last the format says nothing."""
VERDICTS: Final = ("drop", "accept", "unknown")
"""Of a chain, by `verdict` of TOLD."""
TRACE_VERDICTS: Final = {
    NF_DROP: "drop",
    NF_ACCEPT: "accept",
    NF_QUEUE: "queue",
    NFT_CONTINUE: "continue",
    NFT_BREAK: "break",
    NFT_RETURN: "return",
}
"""Of a rule, by `verdict` of TRACE_EVENT; jumps say where to."""
_TUNNELS: Final = ("?", "VXLAN", "Geneve", "IPIP", "6in4", "4in6", "6in6", "GRE")
"""By Tunnel (tunnels.py)."""
_WITH_PORTS: Final = (6, 17, 33, 132, 136)
_TCP_FLAGS: Final = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
_ICMP: Final = {
    0: "echo reply",
    3: "destination unreachable",
    4: "source quench",
    5: "redirect",
    8: "echo request",
    11: "time exceeded",
    12: "parameter problem",
}
_ICMP6: Final = {
    1: "destination unreachable",
    2: "packet too big",
    3: "time exceeded",
    4: "parameter problem",
    128: "echo request",
    129: "echo reply",
    133: "router solicitation",
    134: "router advertisement",
    135: "neighbour solicitation",
    136: "neighbour advertisement",
    143: "multicast listener report",
}


def protocol_name(protocol: int, ethertype: int) -> str:
    """Lower-case name of the protocol of a sighting; `ip-N` or `0xNNNN` where it has none here."""
    if protocol or ethertype in (0x0800, 0x86DD):
        return PROTOCOLS.get(protocol, f"ip-{protocol}")
    if LINK_TYPE_BASE < ethertype < 0x0600:
        return f"link type {ethertype - LINK_TYPE_BASE}"
    if ethertype in (0, LINK_TYPE_BASE):
        return "unreadable" if ethertype == 0 else "unknown link type"
    return _ETHERTYPES.get(ethertype, f"0x{ethertype:04x}")


def address_text(high: int, low: int) -> str:
    """An address from its two halves; IPv4-mapped ones in dotted form."""
    if high == 0 and low >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(low & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address((high << 64) | low))


def endpoint(row: np.void, end: str) -> str:
    """`ip:port`, `[ip6]:port`, or the bare address where the protocol has no ports. `end` is `source` or
    `destination`."""
    address = address_text(int(row[f"{end}_high"]), int(row[f"{end}_low"]))
    if address == "::" and row["ip_version"] == 0:
        return "-"
    if row["protocol"] not in _WITH_PORTS:
        return address
    port = int(row[f"{end}_port"])
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def encapsulation(outer: np.void) -> Encapsulation:
    """An OUTER row as it is shown."""
    return Encapsulation(
        kind=_TUNNELS[outer["kind"]],
        id=int(outer["key"]) if outer["key"] >= 0 else None,
        source=endpoint(outer, "source"),
        destination=endpoint(outer, "destination"),
        levels=int(outer["levels"]),
    )


def tcp_flags_text(flags: int) -> str:
    """`SYN,ACK`; `no flags` where none is set."""
    return ",".join(name for bit, name in enumerate(_TCP_FLAGS) if flags >> bit & 1) or "no flags"


def packet_info(row: np.void) -> str:
    """What the packet is, in a few words: `SYN`, `PSH,ACK 148 bytes`, `echo request seq 3`."""
    protocol = int(row["protocol"])
    size = int(row["payload_length"])
    if int(row["fragment"]) & 0x1FFF:
        return f"fragment at byte {(int(row['fragment']) & 0x1FFF) * 8:,}"
    if protocol == 6:
        flags = tcp_flags_text(int(row["tcp_flags"]))
        return f"{flags} {size:,} bytes" if size else flags
    if protocol in (1, 58):
        kind = int(row["icmp_type"])
        name = (_ICMP if protocol == 1 else _ICMP6).get(kind, f"type {kind}")
        echo = name.startswith("echo")
        return f"{name} seq {int(row['sequence'])}" if echo else name
    if protocol in _WITH_PORTS:
        return f"{size:,} bytes"
    return f"{int(row['length']):,} bytes"
