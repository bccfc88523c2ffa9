"""Who an address is, as both runs can say it: a container or node by its name, else its network."""

import ipaddress
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final, NamedTuple

from ..nodes.surroundings import Surroundings
from ..nodes.topology import Topology
from ..result.words import address_text
from .common_names import CommonNames

_OUTSIDE: Final = "outside"
"""In none of the networks that the captures know."""
_GUESSED: Final = {4: 96 + 24, 6: 64}
"""Length of the prefix, where no routes are recorded."""
_MAPPED: Final = 0xFFFF
"""Before an IPv4 address that is written as an IPv6 one (RFC 4291, 2.5.5.2)."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Who(NamedTuple):
    """Whose an address is."""

    exactly: str
    """The container or node, else the address."""
    network: str
    """The container or node, else the network."""
    shown: str
    """The same for people, who may know a name that the other run does not."""


class Ends:
    """Names of addresses in one run."""

    def __init__(
        self, topology: Topology, surroundings: Surroundings, names: CommonNames, known: AbstractSet[str]
    ) -> None:
        """`known`: the names that both runs know."""
        self._topology, self._names, self.known = topology, names, known
        self._networks = _networks(topology, surroundings)
        self._kept = lru_cache(maxsize=1 << 16)(self._who)

    def name(self, address: str) -> str | None:
        """The container or node that has it, where one alone has it and both runs know it."""
        name = self._owner(address)
        return name if name in self.known else None

    def _owner(self, address: str) -> str | None:
        owners = self._topology.owners.get(address, [])
        if len(owners) != 1:
            return None
        node, name = owners[0]
        return self._names.node(node) if name == "root" else self._names.other(name)

    def who(self, high: int, low: int) -> Who:
        """Whose an address is; by its two halves."""
        return self._kept(high, low)

    def _who(self, high: int, low: int) -> Who:
        text = address_text(high, low)
        name, shown = self.name(text), self._owner(text) or text
        if name is not None:
            return Who(name, name, shown)
        number = high << 64 | low
        known = next((network for first, last, network in self._networks if first <= number <= last), None)
        if known is not None or self._networks:
            return Who(text, known or _OUTSIDE, shown)
        length = _GUESSED[4 if high == 0 and low >> 32 == _MAPPED else 6]
        guessed = number >> (128 - length) << (128 - length)
        return Who(text, f"{address_text(guessed >> 64, guessed & (2**64 - 1))}/{length % 96}", shown)


def _networks(topology: Topology, surroundings: Surroundings) -> list[tuple[int, int, str]]:
    """(first address, last address, in words) of the networks that are on a link, the smallest first."""
    found: set[Network] = set()
    for space in topology.namespaces:
        for route in surroundings.of(space.node, space.label).routes or ():
            on_link = route.type == "unicast" and route.hops and all(hop.gateway is None for hop in route.hops)
            if on_link and route.destination is not None and route.prefix > 0:
                found.add(ipaddress.ip_network(f"{route.destination}/{route.prefix}", strict=False))
    ordered = sorted(found, key=lambda one: (-one.prefixlen, one.version, int(one.network_address)))
    return [(_number(one.network_address), _number(one.broadcast_address), str(one)) for one in ordered]


def _number(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
    """As SIGHTING rows have it."""
    return int(address) | (_MAPPED << 32 if address.version == 4 else 0)
