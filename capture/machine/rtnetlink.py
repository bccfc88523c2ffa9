"""The kernel's lists of links, addresses, routes and neighbours, with a bound; pyroute2 says what is in them, but for
routes, of which it decodes about 10,000 a second.

A container may have a million routes, and a capture would wait for all of them and keep them.
"""

import errno
import socket
from typing import Final

from . import route_messages
from .netlink_dump import dump
from .netns import Netns
from .route_messages import Message

MOST: Final = 20_000
"""Entries of one list; more are left out."""

_RTM_GETLINK: Final = 18  # linux/rtnetlink.h
_RTM_GETADDR: Final = 22
_RTM_GETROUTE: Final = 26
_RTM_GETNEIGH: Final = 30
_RTM_GETRULE: Final = 34
_RTM_GETNEXTHOP: Final = 106
_NO_SUCH_LIST: Final = (errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EINVAL)
"""What a kernel answers that was built without it."""

_AF_BRIDGE: Final = 7  # linux/socket.h
_LINK_BYTES, _ADDRESS_BYTES, _NEIGHBOUR_BYTES = 16, 8, 12
"""struct ifinfomsg (linux/rtnetlink.h), ifaddrmsg (linux/if_addr.h), ndmsg (linux/neighbour.h)."""


class Routing:
    """Lists of one namespace, each read through a socket of its own. They raise OSError."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns
        self._links: list[Message] | None = None
        self.left_out: set[str] = set()
        """Of what there are more than `MOST` entries."""

    def links(self) -> list[Message]:
        """All interfaces, as they were when they were first asked for."""
        if self._links is None:
            self._links = route_messages.links(self._dump("links", _RTM_GETLINK, bytes(_LINK_BYTES)))
        return self._links

    def addresses(self) -> list[Message]:
        """All addresses."""
        return route_messages.addresses(self._dump("addresses", _RTM_GETADDR, bytes(_ADDRESS_BYTES)))

    def routes(self, family: int) -> list[bytes]:
        """All routes of all tables of a family: struct rtmsg, and attributes."""
        return self._dump("routes", _RTM_GETROUTE, bytes([family]) + bytes(11))

    def rules(self, family: int) -> list[bytes]:
        """The rules that choose the table: struct fib_rule_hdr, and attributes. None where the kernel has no rules for
        the family."""
        try:
            return self._dump("routing rules", _RTM_GETRULE, bytes([family]) + bytes(11))
        except OSError as error:
            if error.errno not in _NO_SUCH_LIST:
                raise
            return []

    def nexthops(self) -> list[bytes]:
        """The nexthop objects: struct nhmsg, and attributes."""
        return self._dump("nexthops", _RTM_GETNEXTHOP, bytes(8))

    def neighbours(self) -> list[Message]:
        """The ARP and NDP tables."""
        return [
            message
            for family in (socket.AF_INET, socket.AF_INET6)
            for message in self._neighbours("neighbours", family)
        ]

    def bridge_entries(self) -> list[Message]:
        """The forwarding tables of bridges, and the addresses that interfaces take frames for; none where the kernel
        does not list them."""
        try:
            return self._neighbours("bridge entries", _AF_BRIDGE)
        except OSError as error:
            if error.errno not in _NO_SUCH_LIST:
                raise
            return []

    def _neighbours(self, what: str, family: int) -> list[Message]:
        body = bytes([family]).ljust(_NEIGHBOUR_BYTES, b"\0")
        return route_messages.neighbours(self._dump(what, _RTM_GETNEIGH, body))

    def _dump(self, what: str, kind: int, body: bytes) -> list[bytes]:
        found, more = dump(self._netns, socket.NETLINK_ROUTE, kind, body, most=MOST)
        if more:
            self.left_out.add(what)
        return found
