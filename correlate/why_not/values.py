"""What is written in a rule as a value, to numbers and names."""

import re
import socket
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Final

from ..decode.flow_columns import MAPPED
from ..result.words import PROTOCOLS
from .conditions import (
    ADDRESS_TYPES,
    ADDRESSES,
    CT_STATES,
    CT_STATUSES,
    DIRECTIONS,
    NAMES,
    PORTS,
    TCP_FLAGS,
    TYPES,
    Fact,
    Name,
    Span,
    Wanted,
)

_PROTOCOL_NUMBERS: Final = {
    **{name: number for number, name in PROTOCOLS.items()},
    "ipv6-icmp": 58, "icmp6": 58, "udp-lite": 136, "ipencap": 4, "ipv6": 41, "comp": 108, "ip": 0, "all": 0,
}  # fmt: skip
_FAMILIES: Final = {"ipv4": 4, "ipv6": 6, "ip": 4, "ip6": 6}
ICMP_TYPES: Final = {
    "echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
    "router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12,
    "timestamp-request": 13, "timestamp-reply": 14, "info-request": 15, "info-reply": 16,
    "address-mask-request": 17, "address-mask-reply": 18,
}  # fmt: skip
"""As nft and iptables name them."""
ICMPV6_TYPES: Final = {
    "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
    "echo-request": 128, "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131,
    "mld-listener-done": 132, "mld-listener-reduction": 132, "nd-router-solicit": 133, "nd-router-advert": 134,
    "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136, "nd-redirect": 137, "router-renumbering": 138,
    "ind-neighbor-solicit": 141, "ind-neighbor-advert": 142, "mld2-listener-report": 143,
    "router-solicitation": 133, "router-advertisement": 134, "neighbour-solicitation": 135,
    "neighbor-solicitation": 135, "neighbour-advertisement": 136, "neighbor-advertisement": 136, "redirect": 137,
}  # fmt: skip
ANYTHING: Final = Span(0, (1 << 128) - 1)
_NUMBER: Final = re.compile(r"0x[0-9a-fA-F]+|\d+", re.ASCII)


def number_of(text: str) -> int | None:
    """`80`, `0x50`; None for anything else."""
    return int(text, 0 if text.startswith("0x") else 10) if _NUMBER.fullmatch(text) else None


def address_number(text: str) -> int | None:
    """An address as a number of 128 bits."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return int(address) | (int(MAPPED) if address.version == 4 else 0)


def addresses(text: str) -> Span | None:
    """`10.0.0.1`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10.0.0.1-10.0.0.9`."""
    if "/" in text:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            return None  # a mask with gaps, or no address at all
        added = int(MAPPED) if network.version == 4 else 0
        return Span(int(network.network_address) | added, int(network.broadcast_address) | added)
    first, _, last = text.partition("-")
    low, high = address_number(first), address_number(last or first)
    return Span(low, high) if low is not None and high is not None else None


def numbers(text: str, between: str = "-", most: int = 0xFFFF) -> Span | None:
    """`80`, and `80-90` or `:90` as the sign `between` has it, of which iptables may leave out an end."""
    first, found, last = text.partition(between)
    low = number_of(first) if first or not found else 0
    high = (number_of(last) if last else most) if found else low
    return Span(low, high) if low is not None and high is not None else None


def bits(names: dict[str, int], text: str) -> int | None:
    """`established,related`, `fin | syn`, or a number."""
    found = 0
    for word in re.split(r"[,|\s()]+", text.strip(" ()").lower()):
        value = names.get(word, number_of(word))
        if value is None:
            return None
        found |= value
    return found


def protocol_number(text: str) -> int | None:
    """`tcp`, `6`."""
    return _PROTOCOL_NUMBERS.get(text.lower(), number_of(text))


def value_of(fact: Fact, text: str, icmp_names: dict[str, int] = ICMP_TYPES) -> Wanted | None:
    """One value as nft writes it, or an element of a set; None where it is not understood."""
    text = text.strip()
    if text == "*":
        return ANYTHING
    if fact in NAMES:
        name = text.strip('"')
        return Name(name[:-1], begins=True) if name.endswith("*") and not name.endswith("\\*") else Name(name)
    if fact in ADDRESSES:
        return addresses(text)
    named = _named(fact, text, icmp_names)
    if named is not None:
        return Span(named, named)
    return numbers(text, most=0xFFFFFFFF)


def _named(fact: Fact, text: str, icmp_names: dict[str, int]) -> int | None:
    """A value that has a name."""
    if fact == Fact.PROTOCOL:
        return protocol_number(text)
    if fact == Fact.FAMILY:
        return _FAMILIES.get(text)
    if fact in PORTS:
        with suppress(OSError):
            return None if text[:1].isdigit() else socket.getservbyname(text)
        return None
    if fact == Fact.ICMP_TYPE:
        return icmp_names.get(text)
    if fact in TYPES:
        return ADDRESS_TYPES.index(text) if text in ADDRESS_TYPES else None
    if fact == Fact.CT_DIRECTION:
        return DIRECTIONS.get(text)
    names = {Fact.CT_STATE: CT_STATES, Fact.CT_STATUS: CT_STATUSES, Fact.TCP_FLAGS: TCP_FLAGS}.get(fact)
    return bits(names, text) if names else None
