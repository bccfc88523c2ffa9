"""Numbers of packets in words: protocols, addresses, flags."""

import ipaddress
from typing import Final

import numpy as np

from .. import protocols as numbers
from ..decode.link_layer import LINK_TYPE_BASE
from ..decode.tunnels import Tunnel
from ..netfilter.numbers import NF_ACCEPT, NF_DROP, NF_QUEUE, NF_STOLEN, NFT_BREAK, NFT_CONTINUE, NFT_RETURN
from ..schema import NOTE_CUT, NOTE_NO_FLAGS, NOTE_NO_FLOW
from .icmp_words import icmp_words
from .values import Encapsulation

PROTOCOLS: Final = {
    numbers.ICMP: "icmp",
    numbers.IGMP: "igmp",
    numbers.IPV4_INSIDE: "ipip",
    numbers.TCP: "tcp",
    numbers.UDP: "udp",
    numbers.DCCP: "dccp",
    numbers.IPV6_INSIDE: "6in4",
    numbers.GRE: "gre",
    numbers.ESP: "esp",
    numbers.AH: "ah",
    numbers.ICMPV6: "icmpv6",
    numbers.OSPF: "ospf",
    numbers.SCTP: "sctp",
    numbers.UDP_LITE: "udplite",
}
"""By IP protocol number."""
_ETHERTYPES: Final = {
    numbers.ETHERTYPE_LLC: "llc",
    numbers.ETHERTYPE_PPP: "ppp",
    numbers.ETHERTYPE_ARP: "arp",
    numbers.ETHERTYPE_RARP: "rarp",
    numbers.ETHERTYPE_MPLS: "mpls",
    numbers.ETHERTYPE_MPLS_UPSTREAM: "mpls",
    numbers.ETHERTYPE_PPPOE_DISCOVERY: "pppoe",
    numbers.ETHERTYPE_PPPOE: "pppoe",
    numbers.ETHERTYPE_EAPOL: "eapol",
    numbers.ETHERTYPE_LLDP: "lldp",
    numbers.ETHERTYPE_MACSEC: "macsec",
}
DIRECTIONS: Final = ("unknown", "in", "out", "unknown")
"""By pcapng Direction; of the last the format says nothing."""
VERDICTS: Final = ("drop", "accept", "unknown", "queue", "stolen")
"""Of a chain, by `verdict` of TOLD."""
TRACE_VERDICTS: Final = {
    NF_DROP: "drop",
    NF_ACCEPT: "accept",
    NF_STOLEN: "stolen",
    NF_QUEUE: "queue",
    NFT_CONTINUE: "continue",
    NFT_BREAK: "break",
    NFT_RETURN: "return",
}
"""Of a rule, by `verdict` of TRACE_EVENT; jumps say where to."""
_TUNNELS: Final = {
    Tunnel.NONE: "?",
    Tunnel.VXLAN: "VXLAN",
    Tunnel.GENEVE: "Geneve",
    Tunnel.IPIP: "IPIP",
    Tunnel.SIX_IN_FOUR: "6in4",
    Tunnel.FOUR_IN_SIX: "4in6",
    Tunnel.SIX_IN_SIX: "6in6",
    Tunnel.GRE: "GRE",
}
_TCP_FLAGS: Final = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
_CUT: Final = "cut"
_UNREADABLE: Final = NOTE_CUT | NOTE_NO_FLOW
_FRAGMENT_UNIT: Final = 8
"""Bytes that the fragment offset counts in (RFC 791, 3.1)."""


def protocol_name(protocol: int, ethertype: int) -> str:
    """Lower-case name of the protocol of a sighting; `ip-N` or `0xNNNN` where it has none here."""
    if protocol or ethertype in (numbers.ETHERTYPE_IPV4, numbers.ETHERTYPE_IPV6):
        return PROTOCOLS.get(protocol, f"ip-{protocol}")
    if LINK_TYPE_BASE < ethertype < numbers.ETHERTYPE_LEAST:
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
    if row["protocol"] not in numbers.WITH_PORTS:
        return address
    port = int(row[f"{end}_port"])
    if port == 0 and "notes" in (row.dtype.names or ()) and row["notes"] & NOTE_NO_FLOW:
        return address  # not captured, or in another fragment
    return _with_port(address, port)


def entry_end(entry: np.void, end: str) -> str:
    """An end of a CONNTRACK row, as `reply_source`, with its port, where the protocol has ports."""
    address = address_text(int(entry[f"{end}_high"]), int(entry[f"{end}_low"]))
    return _with_port(address, int(entry[f"{end}_port"])) if entry["protocol"] in numbers.WITH_PORTS else address


def _with_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def encapsulation(outer: np.void) -> Encapsulation:
    """An OUTER row as it is shown."""
    return Encapsulation(
        kind=_TUNNELS[Tunnel(int(outer["kind"]))],
        id=int(outer["key"]) if outer["key"] >= 0 else None,
        source=endpoint(outer, "source"),
        destination=endpoint(outer, "destination"),
        levels=int(outer["levels"]),
    )


def tcp_flags_text(flags: int) -> str:
    """`SYN,ACK`; `no flags` where none is set."""
    return ",".join(name for bit, name in enumerate(_TCP_FLAGS) if flags >> bit & 1) or "no flags"


def packet_info(row: np.void) -> str:
    """What the packet is, in a few words: `SYN`, `PSH,ACK 148 bytes`, `echo request seq 3`; `cut` where the capture
    kept too little of it to say."""
    protocol = int(row["protocol"])
    size = int(row["payload_length"])
    if offset := int(row["fragment"]) & numbers.FRAGMENT_OFFSET:
        return f"fragment at byte {offset * _FRAGMENT_UNIT:,}"
    if row["notes"] & NOTE_NO_FLAGS or row["notes"] & _UNREADABLE == _UNREADABLE:
        return _CUT
    if protocol == numbers.TCP:
        flags = tcp_flags_text(int(row["tcp_flags"]))
        return f"{flags} {size:,} bytes" if size else flags
    if protocol in (numbers.ICMP, numbers.ICMPV6):
        return icmp_words(row)
    if protocol in numbers.WITH_PORTS:
        return f"{size:,} bytes"
    return f"{int(row['length']):,} bytes"
