"""The kernel's lists of links, addresses, routes and neighbours (pyroute2), with a bound.

A container may have a million routes, and a capture would wait for all of them and keep them.

pyroute2's IPRoute reads a list to its end before it hands out the first entry; its AsyncIPRoute can be left in between.
"""

import asyncio
import errno
import socket
from typing import Any, Final

from .netlink_dump import dump
from .netns import Netns

MOST: Final = 20_000
"""Entries of one list; more are left out. pyroute2 decodes about 10,000 a second."""

_RTM_GETROUTE: Final = 26  # linux/rtnetlink.h
_RTM_GETRULE: Final = 34
_RTM_GETNEXTHOP: Final = 106
_NO_SUCH_LIST: Final = (errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EINVAL)
"""What a kernel answers that was built without it."""

Message = Any
"""A pyroute2 nlmsg: fields by `message["index"]`, attributes by `get_attr`, None where it has none."""


class Routing:
    """Lists of one namespace, each read through a socket of its own. They raise OSError and pyroute2's errors."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns
        self._links: list[Message] | None = None
        self.left_out: set[str] = set()
        """Of what there are more than `MOST` entries."""

    def links(self) -> list[Message]:
        """All interfaces, as they were when they were first asked for."""
        if self._links is None:
            self._links = self._list("links", "get_links")
        return self._links

    def addresses(self) -> list[Message]:
        """All addresses."""
        return self._list("addresses", "get_addr")

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
            for message in self._list("neighbours", "get_neighbours", family=family)
        ]

    def bridge_entries(self) -> list[Message]:
        """The forwarding tables of bridges, and the addresses that interfaces take frames for."""
        return self._list("bridge entries", "fdb", command="dump")

    def _dump(self, what: str, kind: int, body: bytes) -> list[bytes]:
        found, more = dump(self._netns, socket.NETLINK_ROUTE, kind, body, most=MOST)
        if more:
            self.left_out.add(what)
        return found

    def _list(self, what: str, method: str, **arguments: object) -> list[Message]:
        with self._netns.entered():
            return asyncio.run(self._first(what, method, arguments))

    async def _first(self, what: str, method: str, arguments: dict[str, object]) -> list[Message]:
        from pyroute2 import AsyncIPRoute

        found: list[Message] = []
        async with AsyncIPRoute() as route:
            async for message in await getattr(route, method)(**arguments):
                if len(found) == MOST:
                    self.left_out.add(what)
                    break
                found.append(message)
        return found
