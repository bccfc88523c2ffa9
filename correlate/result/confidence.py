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

    packets: npt.NDArray[np.int64]
    """Those of a group behind each other, by time."""
    group: npt.NDArray[np.int64]
    """Group of each of them."""
    ascending: npt.NDArray[np.int64]
    """The same packets."""
    position: npt.NDArray[np.int64]
    """Where each of these stands in `packets`."""

    @classmethod
    def build(
        cls, packets: Packets, way: npt.NDArray[np.int64], content: npt.NDArray[np.uint64]
    ) -> "ExchangeablePackets":
        """`way`, `content`: per packet, of its first sighting."""
        unsure = np.flatnonzero(packets.ambiguous)
        by_group = np.lexsort((unsure, content[unsure], way[unsure]))
        order = unsure[by_group]
        new = np.ones(order.size, np.bool_)
        new[1:] = (content[order][1:] != content[order][:-1]) | (way[order][1:] != way[order][:-1])
        return cls(packets=order, group=np.cumsum(new), ascending=unsure, position=np.argsort(by_group))

    def rivals(self, packet: int) -> list[int]:
        """Up to eight packets (from 0), the nearest in time, that this one could be exchanged for."""
        rivals: list[int] = self.rivals_of(np.array([packet]))[1].tolist()
        return rivals

    def rivals_of(self, packets: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The same of many packets: (which of these, by its place among them, ascending; a rival of it)."""
        if self.packets.size == 0:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        known = np.minimum(np.searchsorted(self.ascending, packets), self.ascending.size - 1)
        of = np.flatnonzero(self.ascending[known] == packets)
        at = self.position[known[of]]
        near = at[:, None] + np.array([step for step in range(-_NEAREST, _NEAREST + 1) if step])
        there = (near >= 0) & (near < self.packets.size)
        near[~there] = 0
        row, column = np.nonzero(there & (self.group[near] == self.group[at][:, None]))
        return of[row], self.packets[near[row, column]]
