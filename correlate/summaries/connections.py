"""What the packets of each connection met: loss and latency from point to point, losses and retransmissions in all."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..outcomes.kinds import Outcome
from ..result.correlation import Correlation
from .legs import Leg, LegEnd, find_legs, leg_ends, leg_values, outcomes_on_the_way
from .retransmissions import find_retransmissions
from .steps import find_steps
from .timeline import Timeline, find_timelines, timeline_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSummary:
    """What one connection met. The pairs count the client's packets and the server's."""

    leg_rows: tuple[tuple[int, ...], ...]
    """LEG rows as numbers: the client's packets first, each way in its order; `legs` are the same as values."""
    ends: dict[int, LegEnd] = field(compare=False)
    """What the points of the legs are; those of other connections too."""
    dropped: tuple[int, int]
    lost: tuple[int, int]
    retransmissions: tuple[int, int]
    spurious: tuple[int, int]
    timeline: Timeline | None
    """Where its time went; None without data of both sides."""

    @property
    def legs(self) -> list[Leg]:
        """The same as values. A capture of 100,000 connections has a million of them."""
        return leg_values(self.leg_rows, self.ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSummaries:
    """Of all connections, or of the wanted ones. The counts are indexed by connection, from 0, and way: 0 for the
    client's packets, 1 for the server's."""

    legs: npt.NDArray[np.void]
    """LEG rows, connection by connection."""
    first_leg: npt.NDArray[np.int64]
    """Row of the first leg of each connection, and one more at the end."""
    ends: dict[int, LegEnd]
    """What the points of the legs are."""
    lost: npt.NDArray[np.int64]
    """Packets that did not come in where they had to."""
    dropped: npt.NDArray[np.int64]
    """Packets that a rule, a policy or a node dropped."""
    retransmissions: npt.NDArray[np.int64]
    """TCP packets that sent bytes again."""
    spurious: npt.NDArray[np.int64]
    """Those of them whose bytes had been delivered before."""
    timelines: npt.NDArray[np.void]
    """TIMELINE rows."""

    def of(self, index: int) -> ConnectionSummary:
        """One connection by its index, from 0."""

        def pair(counts: npt.NDArray[np.int64]) -> tuple[int, int]:
            return int(counts[index, 0]), int(counts[index, 1])

        rows = self.legs[self.first_leg[index] : self.first_leg[index + 1]]
        return ConnectionSummary(
            leg_rows=tuple(rows.tolist()), ends=self.ends, dropped=pair(self.dropped), lost=pair(self.lost),
            retransmissions=pair(self.retransmissions), spurious=pair(self.spurious),
            timeline=timeline_of(self.timelines[index]),
        )  # fmt: skip


def summarise_connections(result: Correlation, wanted: npt.NDArray[np.bool_] | None = None) -> ConnectionSummaries:
    """The summaries of all connections, or of the wanted ones (per connection: bool)."""
    steps = find_steps(result, wanted)
    found = find_retransmissions(result, steps)
    first = steps.first
    path, way = steps.path[first], steps.way[first]
    outcome = outcomes_on_the_way(result)[path]

    def count(chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        return np.bincount(way[chosen], minlength=2 * result.connections.count).reshape(-1, 2)

    legs = find_legs(result, steps)
    return ConnectionSummaries(
        legs=legs,
        first_leg=np.searchsorted(legs["connection"], np.arange(result.connections.count + 1)),
        ends=leg_ends(result, legs),
        lost=count(outcome == Outcome.LOST),
        dropped=count(outcome == Outcome.DROPPED),
        retransmissions=count(found.again[path]),
        spurious=count(found.spurious[path]),
        timelines=find_timelines(result, steps, found.again),
    )
