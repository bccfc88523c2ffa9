"""How much of a kind there may be in captures that are correlated at once."""

from typing import Final

from ...errors import TtraceError
from .topology import Topology

MOST_POINTS: Final = 1 << 14
"""Capture points, and namespaces. A node with 500 pods has 1,500. One packet that passes all of them is compared with
itself at each: what that takes grows with the square of them, and is seconds here."""


def within_limits(topology: Topology) -> Topology:
    """The topology. Raises TtraceError where there are more than any nodes have."""
    for count, what in ((len(topology.points), "capture points"), (len(topology.namespaces), "network namespaces")):
        if count > MOST_POINTS:
            raise TtraceError(
                f"the captures have {count:,} {what}, more than the {MOST_POINTS:,} that can be correlated at once",
                "name fewer files, or leave interfaces out of them",
            )
    return topology
