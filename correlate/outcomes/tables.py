"""What the judges look at."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..flows.connections import Connections
from ..hops.order import path_bounds
from ..netfilter.evaluations import Evaluations
from ..netfilter.rulebook import RuleBook
from ..nodes.topology import Topology
from ..sequences.shifts import Shifts
from ..sightings import EVALUATION, rows_in_table
from .coverage import Coverage
from .last_hops import LastHops
from .next_node import Arrivals
from .passages import Passages


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The paths of a part of the connections and what is known of their nodes. Nobody changes any of it."""

    hops: npt.NDArray[np.void]
    """HOP rows, path by path, without drops (but where a path has nothing else)."""
    drops: npt.NDArray[np.void]
    """HOP rows of what the kernel says it dropped, path by path."""
    drop_rows: npt.NDArray[np.void]
    """What it says: rows of netfilter/drops.py, one for each sighting of that kind."""
    sightings: npt.NDArray[np.void]
    """SIGHTING rows."""
    outers: npt.NDArray[np.void]
    """OUTER rows."""
    times_ns: npt.NDArray[np.int64]
    """Of each sighting, on the reference clock."""
    evaluations: Evaluations
    book: RuleBook
    connections: Connections
    shifts: Shifts
    topology: Topology
    coverage: Coverage
    arrivals: Arrivals
    """Of all parts."""
    crowded: npt.NDArray[np.uint64]
    """Contents of so many flows that not all may be in this part; ascending."""
    passages: Passages | None = None
    """Of all parts; None until all their paths are known."""

    @cached_property
    def bounds(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(first row, last row) of each path in `hops`, both inclusive."""
        return path_bounds(self.hops)

    def numbers(self, name: str, which: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
        """`sequence` or `acknowledgment` of some sightings, in one numbering for each connection."""
        return self.shifts.numbers(self.sightings, name, which)

    @cached_property
    def first(self) -> npt.NDArray[np.int64]:
        """First sighting of each path."""
        sightings: npt.NDArray[np.int64] = self.hops["sighting"][self.bounds[0]]
        return sightings

    @cached_property
    def last(self) -> npt.NDArray[np.int64]:
        """Last sighting of each path."""
        sightings: npt.NDArray[np.int64] = self.hops["sighting"][self.bounds[1]]
        return sightings

    @cached_property
    def last_hops(self) -> LastHops:
        """The last sightings, with what is known of where they are."""
        return LastHops(
            self.sightings.take(self.last),
            self.times_ns[self.last],
            self.hops["station"][self.bounds[1]],
            rows_in_table(self.sightings, EVALUATION)[self.last],
            self.topology,
            self.evaluations,
        )
