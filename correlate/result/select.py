"""Which connections and paths are asked for.

The filter looks at every address and port a connection wore at any point, so `port 8080` also finds the hops behind the
DNAT.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...errors import UsageError
from ..decode.flow_columns import MAPPED
from ..protocols import ETHERTYPE_ARP, TCP, TCP_SYN, WITH_PORTS
from .correlation import Correlation
from .words import PROTOCOLS

_TOKEN: Final = re.compile(r"\s*(\(|\)|&&|\|\||!|[^\s()!&|]+|.)")
_MOST_NESTED: Final = 100
_NUMBERS: Final = {name: number for number, name in PROTOCOLS.items()}
_HINT: Final = (
    "terms are `host ADDRESS`, `net PREFIX`, `port N`, `tcp`, `udp`, `icmp`, `arp`, joined by `and`, `or`, `not`, ( )"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to report."""

    connections: npt.NDArray[np.bool_]
    """Per connection: chosen."""
    paths: npt.NDArray[np.bool_]
    """Per path: chosen."""
    in_full: bool
    """Show each chosen path in full, not one per route."""


def select(
    result: Correlation,
    *,
    expression: str | None = None,
    connections: Sequence[int] | None = None,
    paths: Sequence[int] | None = None,
    every_path: bool = False,
) -> Selection:
    """The connections and paths that fit everything given, by their ids. Raises UsageError for a bad expression or an
    unknown id; a part of a correlation may not have those of other parts (see check_numbers)."""
    if result.among_all is None:
        check_numbers(connections or (), result.connections.count, "connection")
        check_numbers(paths or (), result.packets.count, "path")
    chosen = np.ones(result.connections.count, np.bool_)
    if expression:
        chosen = match_connections(result, expression)
    if not connections and not paths:
        return Selection(connections=chosen, paths=chosen[result.connection_of_path], in_full=every_path)
    # What is asked for by number: these connections and these paths together.
    numbered = np.isin(result.ids.connections, list(connections or ()))
    wanted = numbered[result.connection_of_path] | np.isin(result.ids.paths, list(paths or ()))
    wanted &= chosen[result.connection_of_path]
    shown = np.zeros(result.connections.count, np.bool_)
    shown[result.connection_of_path[wanted]] = True
    return Selection(connections=shown, paths=wanted, in_full=True)


def select_handshakes(result: Correlation) -> Selection:
    """The SYN and SYN-ACK of every TCP connection, each in full."""
    head = result.sightings.take(result.head)
    paths = (head["protocol"] == TCP) & ((head["tcp_flags"] & TCP_SYN) != 0)
    connections = np.zeros(result.connections.count, np.bool_)
    connections[result.connection_of_path[paths]] = True
    return Selection(connections=connections, paths=paths, in_full=True)


def check_numbers(numbers: Sequence[int], count: int, what: str) -> None:
    """Raise UsageError where one of these ids is none of `count`; `what`: `path` or `connection`."""
    for number in numbers:
        if not 1 <= number <= count:
            raise UsageError(f"there is no {what} {number}", f"they are numbered 1 to {count}" if count else None)


def match_connections(result: Correlation, expression: str) -> npt.NDArray[np.bool_]:
    """Per connection: the expression holds. Each term asks whether any sighting of the connection fits it."""
    tokens = _TOKEN.findall(expression)
    parser = _Parser(result, tokens, expression)
    found = parser.alternatives()
    if parser.at < len(tokens):
        parser.fail(f"`{tokens[parser.at]}` does not belong there")
    return found


class _Parser:
    """Recursive descent over `or`, `and`, `not`, terms."""

    def __init__(self, result: Correlation, tokens: list[str], expression: str) -> None:
        self.result, self.tokens, self.expression, self.at = result, tokens, expression, 0
        self.depth = 0

    def fail(self, what: str) -> None:
        raise UsageError(f"cannot read the filter `{self.expression}`: {what}", _HINT)

    def _nest(self) -> None:
        self.depth += 1
        if self.depth > _MOST_NESTED:
            self.fail("it is nested too deeply")

    def _accept(self, *words: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at] in words:
            self.at += 1
            return True
        return False

    def _next(self, what: str) -> str:
        if self.at >= len(self.tokens):
            self.fail(f"{what} is missing at the end")
        self.at += 1
        return self.tokens[self.at - 1]

    def alternatives(self) -> npt.NDArray[np.bool_]:
        found = self._conjunction()
        while self._accept("or", "||"):
            found = found | self._conjunction()
        return found

    def _conjunction(self) -> npt.NDArray[np.bool_]:
        found = self._factor()
        while self._accept("and", "&&") or self._continues():
            found = found & self._factor()
        return found

    def _continues(self) -> bool:
        """`tcp port 8080`, as pcap-filter has it: a term behind a protocol needs no `and`."""
        behind = self.at > 0 and self.tokens[self.at - 1] in (*_NUMBERS, "arp")
        return behind and self.at < len(self.tokens) and self.tokens[self.at] in ("port", "host", "net")

    def _factor(self) -> npt.NDArray[np.bool_]:
        if self._accept("not", "!"):
            self._nest()
            return ~self._factor()
        if self._accept("("):
            self._nest()
            found = self.alternatives()
            if not self._accept(")"):
                self.fail("a `)` is missing")
            return found
        return self._term(self._next("a term"))

    def _term(self, word: str) -> npt.NDArray[np.bool_]:
        seen = self.result.sightings
        if word in ("host", "net"):
            return self._by_network(self._next("an address"))
        if word == "port":
            text = self._next("a port number")
            if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65535:
                self.fail(f"`{text}` is not a port number")
            port = int(text)
            with_ports = np.isin(seen["protocol"], WITH_PORTS)
            return self._any(with_ports & ((seen["source_port"] == port) | (seen["destination_port"] == port)))
        if word == "arp":
            return self._any(seen["ethertype"] == ETHERTYPE_ARP)
        if word in _NUMBERS:
            return self._any((seen["ip_version"] > 0) & (seen["protocol"] == _NUMBERS[word]))
        try:
            ipaddress.ip_network(word, strict=False)
        except ValueError:
            self.fail(f"`{word}` is no term")
        return self._by_network(word)

    def _by_network(self, text: str) -> npt.NDArray[np.bool_]:
        named = [address for address, owners in self.result.topology.owners.items() if text in (o[1] for o in owners)]
        if named:  # a container
            return np.logical_or.reduce([self._by_network(address) for address in named])
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            self.fail(f"`{text}` is not an address")
        first, last = int(network.network_address), int(network.broadcast_address)
        if network.version == 4:
            first, last = first | int(MAPPED), last | int(MAPPED)
        seen = self.result.sightings
        found = np.zeros(seen.size, np.bool_)
        for end in ("source", "destination"):
            high, low = seen[f"{end}_high"], seen[f"{end}_low"]
            above = (high > first >> 64) | ((high == first >> 64) & (low >= first & (2**64 - 1)))
            below = (high < last >> 64) | ((high == last >> 64) & (low <= last & (2**64 - 1)))
            found |= above & below
        found &= (seen["ip_version"] == network.version) | (
            (network.version == 4) & (seen["ethertype"] == ETHERTYPE_ARP)
        )
        return self._any(found)

    def _any(self, fits: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        chosen = np.zeros(self.result.connections.count, np.bool_)
        chosen[self.result.connections.connection[fits]] = True
        return chosen
