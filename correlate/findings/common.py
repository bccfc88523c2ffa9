"""What findings need to know of all parts before they look at one: what each part brings, and what is found in all."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from ..nodes.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Clues:
    """What one part brings."""

    shows_both: npt.NDArray[np.bool_]
    """Per capture point: both ways of one connection were seen there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What is known of all parts."""

    shows_both: npt.NDArray[np.bool_]

    @classmethod
    def nothing(cls, topology: Topology) -> Self:
        """Before anything is known: for whoever gathers clues."""
        return cls(shows_both=np.zeros(len(topology.points), np.bool_))
