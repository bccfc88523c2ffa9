"""The kernel's lists of links, addresses, routes and neighbours (pyroute2), with a bound.

A container may have a million routes, and a capture would wait for all of them and keep them.

pyroute2's IPRoute reads a list to its end before it hands out the first entry; its AsyncIPRoute can be left in between.
"""

import asyncio
import socket
from typing import Any, Final

from .netns import Netns

MOST: Final = 20_000
"""Entries of one list; more are left out. pyroute2 decodes about 10,000 a second."""

Message = Any
"""A pyroute2 nlmsg: fields by `message["index"]`, attributes by `get_attr`, None where it has none."""


class Routing:
    """Lists of one namespace, each read through a socket of its own. They raise OSError and pyroute2's errors."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns
        self.left_out: set[str] = set()
        """Of what there are more than `MOST` entries."""

    def links(self) -> list[Message]:
        """All interfaces."""
        return self._list("links", "get_links")

    def addresses(self) -> list[Message]:
        """All addresses."""
        return self._list("addresses", "get_addr")

    def routes(self) -> list[Message]:
        """All routes of all tables."""
        return [
            message
            for family in (socket.AF_INET, socket.AF_INET6)
            for message in self._list("routes", "get_routes", family=family)
        ]

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
