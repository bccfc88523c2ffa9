"""How sure each path is, and what else it could have been."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..flows.connections import Connections, Tie, rival_pairs
from ..hops.rewrites import Evidence
from ..packets.match import Packets

_NEAREST: Final = 4
"""Equal packets named before and behind an ambiguous one."""
_ONE_VOTE: Final = 0.2
"""Doubt about a translation that one packet alone speaks for; n packets leave the n-th part of it."""


def path_confidence(
    packets: Packets,
    connections: Connections,
    connection_of_path: npt.NDArray[np.int64],
    rewrites: npt.NDArray[np.void],
) -> npt.NDArray[np.float64]:
    """Per path, 0 to 1.

    1 where kernel messages or equal addresses say everything; 1 - 0.2 / n where a rewrite is inferred from n packets of
    the connection; half of it where equal packets may have been exchanged, or where the connection may go on as one of
    several others.
    """
    confidence = np.ones(packets.count)
    inferred = rewrites["packet"][rewrites["evidence"] == Evidence.INFERRED]
    confidence[inferred] = 1 - _ONE_VOTE / _votes(connections)[connection_of_path[inferred]]
    confidence[packets.ambiguous] *= 0.5
    contested = np.zeros(connections.count, np.bool_)
    contested[rival_pairs(connections).ravel()] = True
    confidence[contested[connection_of_path]] *= 0.5
    return confidence


def _votes(connections: Connections) -> npt.NDArray[np.int64]:
    """Per connection: how many packets speak for its weakest tie by content, at least one."""
    pairs = connections.ties.get(Tie.CONTENT)
    most = np.iinfo(np.int64).max
    votes = np.full(connections.count, most)
    if pairs is not None and pairs.size:
        np.minimum.at(votes, connections.of_session()[pairs[:, 0] >> 1], connections.votes[Tie.CONTENT])
    return np.where(votes == most, 1, np.maximum(votes, 1))


@dataclass(frozen=True, slots=True)
class ExchangeablePackets:
    """Ambiguous packets, grouped with those they could be exchanged for."""

    packets: list[int]
    """Those of a group behind each other, by time."""
    group: list[int]
    """Group of each of them."""
    position: dict[int, int]
    """Where a packet stands in them."""

    @classmethod
    def build(
        cls, packets: Packets, way: npt.NDArray[np.int64], content: npt.NDArray[np.uint64]
    ) -> "ExchangeablePackets":
        """`way`, `content`: per packet, of its first sighting."""
        unsure = np.flatnonzero(packets.ambiguous)
        order = unsure[np.lexsort((unsure, content[unsure], way[unsure]))]
        new = np.ones(order.size, np.bool_)
        new[1:] = (content[order][1:] != content[order][:-1]) | (way[order][1:] != way[order][:-1])
        numbers = order.tolist()
        return cls(numbers, np.cumsum(new).tolist(), {packet: i for i, packet in enumerate(numbers)})

    def rivals(self, packet: int) -> list[int]:
        """Up to eight packets (from 0), the nearest in time, that this one could be exchanged for."""
        at = self.position.get(packet)
        if at is None:
            return []
        near = range(max(at - _NEAREST, 0), min(at + _NEAREST + 1, len(self.packets)))
        return [self.packets[i] for i in near if i != at and self.group[i] == self.group[at]]
