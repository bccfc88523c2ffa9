"""The addresses a box gives to the ends of a conversation: one public source, one service address, no port twice."""

from .layout import PORTS

PUBLIC = {4: bytes((203, 0, 113, 7)), 16: bytes.fromhex("20010db8feed00000000000000000007")}
SERVICE = {4: bytes((198, 51, 100, 9)), 16: bytes.fromhex("20010db8fade00000000000000000009")}
"""By the length of an address: documentation addresses."""


class Translator:
    """One view's translations. `dice`: a random.Random, for the ports."""

    def __init__(self, dice, *, random_ports, used=()):
        self._dice = dice
        self._random_ports = random_ports
        self._public, self._service = (
            {size: _free(address, used) for size, address in addresses.items()} for addresses in (PUBLIC, SERVICE)
        )
        self._given = {}
        self._taken = set()

    def public(self, flow):
        """The source (address, port) that the client has behind a box."""
        return self._translate("source", flow.protocol, flow.client, self._public)

    def service(self, flow):
        """The destination (address, port) that clients of the server know."""
        return self._translate("service", flow.protocol, flow.server, self._service)

    def _translate(self, kind, protocol, end, addresses):
        key = (kind, protocol, end)
        if key not in self._given:
            address, port = addresses[len(end[0])], end[1]
            if port is not None and (protocol in PORTS or kind == "source"):
                port = self._port(kind, protocol, port)
            self._given[key] = address, port
        return self._given[key]

    def _port(self, kind, protocol, port):
        if self._random_ports and kind == "source":
            port = self._dice.randrange(1024, 65536)
        for _ in range(1 << 16):
            if (kind, protocol, port) not in self._taken:
                break
            port = self._dice.randrange(1024, 65536)
        self._taken.add((kind, protocol, port))
        return port


def _free(address, used):
    """The address, or the next one that the capture does not use."""
    while address in used:
        address = address[:-1] + bytes(((address[-1] + 1) % 256,))
    return address


def ends_at(flow, boxes, point, translator):
    """(client, server) of a conversation as this point sees them."""
    client, server = flow.client, flow.server
    if flow.client_side != 0:
        return client, server
    if any("s" in box for box in boxes[:point]):
        client = translator.public(flow)
    if any("d" in box for box in boxes[point:]):
        server = translator.service(flow)
    return client, server
