"""Clues of the parts, gathered and joined: for findings about connections that may lie in different parts.

A result in memory is one part, and goes the same way.
"""

from collections.abc import Sequence

import numpy as np

from ..result.correlation import Correlation
from .by_return import both_ways
from .common import Clues, Common
from .facts import Facts


def clues_of(result: Correlation) -> Clues:
    """What one part brings."""
    return gather(Facts(result, Common.nothing(result.topology)))


def gather(facts: Facts) -> Clues:
    """The same, of a part whose columns are known."""
    return Clues(shows_both=both_ways(facts))


def join(clues: Sequence[Clues]) -> Common:
    """What all parts together show. There is at least one."""
    return Common(shows_both=np.logical_or.reduce([one.shows_both for one in clues]))
