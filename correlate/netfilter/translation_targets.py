"""Where the words of a rule say that it translates to, to be compared with what a packet was translated to."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..decode.flow_columns import MAPPED
from .rulebook import QUOTED
from .rules import Rule

TARGET: Final = np.dtype(
    [
        ("with_addresses", "?"),  # the words name addresses
        ("with_ports", "?"),
        ("first_port", "u2"),
        ("last_port", "u2"),
        ("first_high", "u8"),  # addresses as in SIGHTING
        ("first_low", "u8"),
        ("last_high", "u8"),
        ("last_low", "u8"),
    ],
    align=True,
)
"""What a rule translates to: an address or a port between the first and the last."""
_IPTABLES: Final = re.compile(r" --to(-destination|-source|-ports|) (\S+)")
_NFT: Final = re.compile(r"(?:^|\s)(?:dnat|snat|redirect|masquerade)(?: ip6?)? to (\S+)")
_LOW: Final = (1 << 64) - 1
Range = tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]


def translation_targets(rules: Sequence[Rule]) -> npt.NDArray[np.void]:
    """TARGET of each rule. Nothing is named where the words name none, or one that only the kernel knows (a map)."""
    targets = np.zeros(len(rules), TARGET)
    for rule, target in zip(rules, targets, strict=True):
        try:
            addresses, ports = _named(rule.text)
        except ValueError:
            continue
        if addresses is not None:
            target["with_addresses"] = True
            for end, address in zip(("first", "last"), addresses, strict=True):
                value = int(address) | (int(MAPPED) if address.version == 4 else 0)
                target[f"{end}_high"], target[f"{end}_low"] = value >> 64, value & _LOW
        if ports is not None:
            target["with_ports"] = True
            target["first_port"], target["last_port"] = ports
    return targets


def _named(text: str) -> tuple[Range | None, tuple[int, int] | None]:
    """(addresses, ports) that a rule names. Raises ValueError where its words are no addresses or ports."""
    plain = QUOTED.sub("", text)
    if text.startswith("-A "):
        found = _IPTABLES.search(plain)
        if found is None:
            return None, None
        return (None, _ports(found[2])) if found[1] == "-ports" else _ends(found[2])
    found = _NFT.search(plain)
    return _ends(found[1]) if found else (None, None)


def _ends(to: str) -> tuple[Range | None, tuple[int, int] | None]:
    """Of `10.0.0.2-10.0.0.9:80-90`, `[fd00::2]:80`, `fd00::2`, `10.0.0.0/24` or `:80`."""
    if to.startswith("["):
        addresses, _, ports = to.rpartition("]")
        addresses, ports = addresses.replace("[", "").replace("]", ""), ports.removeprefix(":")
    elif to.count(":") > 1:
        addresses, ports = to, ""
    else:
        addresses, _, ports = to.partition(":")
    return _addresses(addresses) if addresses else None, _ports(ports) if ports else None


def _addresses(text: str) -> Range:
    if "/" in text:
        network = ip_network(text, strict=False)
        return network[0], network[-1]
    first, _, last = text.partition("-")
    return ip_address(first), ip_address(last or first)


def _ports(text: str) -> tuple[int, int]:
    """`80`, `80-90`, or `80-90/8080`, which shifts them."""
    first, _, last = text.partition("/")[0].partition("-")
    ports = int(first), int(last or first)
    if not 0 <= ports[0] <= ports[1] <= 0xFFFF:
        raise ValueError(text)
    return ports


@njit(cache=True, inline="always")
def is_outside(target, high, low, port, has_port):
    """Whether a packet was translated to what the words of its rule exclude. `target`: TARGET row; `has_port`: whether
    the port is one."""
    before = high < target.first_high or (high == target.first_high and low < target.first_low)
    behind = high > target.last_high or (high == target.last_high and low > target.last_low)
    if target.with_addresses and (before or behind):
        return True
    return target.with_ports and has_port and (port < target.first_port or port > target.last_port)
