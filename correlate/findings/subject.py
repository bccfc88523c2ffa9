"""Whom a finding is about: who sent what to whom, of packets in any number of parts."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from ...pcapng.rows import joined
from ..arrays.grouping import group_ids, hashed
from ..nodes.topology import Topology
from ..protocols import WITH_PORTS
from ..result.show_connections import owner_of
from ..result.words import address_text

_MOST_ENDS: Final = 3
"""Ends that a sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """The ends of one side."""

    addresses: npt.NDArray[np.void]
    """(high, low) of each, once, ascending."""
    ports: npt.NDArray[np.uint16]
    """Each once; none where the protocol has no ports."""

    @classmethod
    def of(cls, rows: npt.NDArray[np.void], end: str) -> Self:
        """The `source` or `destination` of SIGHTING rows."""
        addresses = np.empty(rows.size, [("high", "u8"), ("low", "u8")])
        addresses["high"], addresses["low"] = rows[f"{end}_high"], rows[f"{end}_low"]
        _, once = group_ids(hashed(addresses["high"], addresses["low"]))
        ports = rows[f"{end}_port"][np.isin(rows["protocol"], WITH_PORTS)]
        return cls(addresses=np.unique(addresses.take(once)), ports=np.unique(ports))

    def and_(self, other: "Ends") -> "Ends":
        """Both together."""
        return Ends(
            addresses=np.unique(joined(self.addresses.dtype, (self.addresses, other.addresses))),
            ports=np.union1d(self.ports, other.ports),
        )

    def text(self, topology: Topology) -> str:
        """One by its address and port, several by their addresses; with the containers or nodes that have them."""
        texts = [address_text(int(high), int(low)) for high, low in self.addresses[:_MOST_ENDS].tolist()]
        port = int(self.ports[0]) if self.ports.size == 1 else 0
        if self.addresses.size == 1 and port:
            end = f"[{texts[0]}]:{port}" if ":" in texts[0] else f"{texts[0]}:{port}"
            return _named(topology, end, texts[0])
        more = f" and {self.addresses.size - _MOST_ENDS:,} more" if self.addresses.size > _MOST_ENDS else ""
        named = ", ".join(_named(topology, text, text) for text in texts)
        return named + more + (f" port {port}" if port else "")


def _named(topology: Topology, end: str, address: str) -> str:
    name = owner_of(topology, address)
    return f"{end} ({name})" if name else end


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Packets as a sentence names them."""

    protocols: frozenset[str]
    sources: Ends
    destinations: Ends
    nouns: frozenset[str]
    """What they are: `SYN`, `echo request`, `packet`."""

    def and_(self, other: "Subject") -> "Subject":
        """Both together."""
        return Subject(
            protocols=self.protocols | other.protocols,
            sources=self.sources.and_(other.sources),
            destinations=self.destinations.and_(other.destinations),
            nouns=self.nouns | other.nouns,
        )

    def flow(self, topology: Topology) -> str:
        """`tcp 172.17.0.2:3456 (web1) -> 192.168.77.2:8080`."""
        return (
            f"{'/'.join(sorted(self.protocols)[:2])} {self.sources.text(topology)} -> "
            f"{self.destinations.text(topology)}"
        )

    @property
    def noun(self) -> str:
        """What they are, if all are the same."""
        return next(iter(self.nouns)) if len(self.nouns) == 1 else "packet"
