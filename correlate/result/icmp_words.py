"""ICMP and ICMPv6 in words: what a message is, and of an error why it was sent, with the MTU it tells.

Types and codes: www.iana.org/assignments/icmp-parameters, www.iana.org/assignments/icmpv6-parameters.
"""

from typing import Final

import numpy as np

from .. import protocols as numbers

_TYPES: Final = {
    numbers.ICMP_ECHO_REPLY: "echo reply",
    numbers.ICMP_UNREACHABLE: "destination unreachable",
    numbers.ICMP_SOURCE_QUENCH: "source quench",
    numbers.ICMP_REDIRECT: "redirect",
    numbers.ICMP_ECHO: "echo request",
    numbers.ICMP_TIME_EXCEEDED: "time exceeded",
    numbers.ICMP_PARAMETER_PROBLEM: "parameter problem",
}
_TYPES_6: Final = {
    numbers.ICMPV6_UNREACHABLE: "destination unreachable",
    numbers.ICMPV6_TOO_BIG: "packet too big",
    numbers.ICMPV6_TIME_EXCEEDED: "time exceeded",
    numbers.ICMPV6_PARAMETER_PROBLEM: "parameter problem",
    numbers.ICMPV6_ECHO: "echo request",
    numbers.ICMPV6_ECHO_REPLY: "echo reply",
    numbers.ICMPV6_ROUTER_SOLICITATION: "router solicitation",
    numbers.ICMPV6_ROUTER_ADVERTISEMENT: "router advertisement",
    numbers.ICMPV6_NEIGHBOUR_SOLICITATION: "neighbour solicitation",
    numbers.ICMPV6_NEIGHBOUR_ADVERTISEMENT: "neighbour advertisement",
    numbers.ICMPV6_LISTENER_REPORT: "multicast listener report",
}
_CODES: Final = {
    numbers.ICMP_UNREACHABLE: (
        "network unreachable", "host unreachable", "protocol unreachable", "port unreachable", "fragmentation needed",
        "source route failed", "network unknown", "host unknown", "source host isolated", "network prohibited",
        "host prohibited", "network unreachable for this service", "host unreachable for this service",
        "administratively prohibited", "host precedence violation", "precedence cutoff",
    ),
    numbers.ICMP_REDIRECT: (
        "for the network", "for the host", "for the service and network", "for the service and host",
    ),
    numbers.ICMP_TIME_EXCEEDED: ("TTL ran out", "fragment missing"),
}  # fmt: skip
_CODES_6: Final = {
    numbers.ICMPV6_UNREACHABLE: (
        "no route", "administratively prohibited", "beyond the scope of the source", "address unreachable",
        "port unreachable", "source address failed a policy", "route rejected",
    ),
    numbers.ICMPV6_TIME_EXCEEDED: ("hop limit ran out", "fragment missing"),
}  # fmt: skip


def icmp_words(row: np.void) -> str:
    """`echo request seq 3`, `destination unreachable (fragmentation needed, MTU 1400)`; of a SIGHTING row."""
    four = int(row["protocol"]) == numbers.ICMP
    kind, code = int(row["icmp_type"]), int(row["icmp_code"])
    name = (_TYPES if four else _TYPES_6).get(kind, f"type {kind}")
    if name.startswith("echo"):
        return f"{name} seq {int(row['sequence'])}"
    codes = (_CODES if four else _CODES_6).get(kind, ())
    details = [codes[code] if code < len(codes) else f"code {code}"] if codes else []
    tells_mtu = (kind, code) == (numbers.ICMP_UNREACHABLE, numbers.ICMP_FRAGMENTATION_NEEDED)
    if (tells_mtu if four else kind == numbers.ICMPV6_TOO_BIG) and row["window"]:
        details.append(f"MTU {int(row['window'])}")
    return f"{name} ({', '.join(details)})" if details else name
