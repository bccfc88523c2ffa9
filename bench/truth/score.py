"""What both ways to measure count of a correlation: the labs (judge.py) and the views (views/judge.py)."""

from collections import defaultdict
from dataclasses import dataclass, field

from .claims import Claims


@dataclass(kw_only=True)
class Counts:
    """Claims compared with the truth. A pair: two frames of one packet."""

    frames: int = 0
    uncounted: int = 0
    """Frames without a truth."""
    true_pairs: int = 0
    found: int = 0
    claimed: int = 0
    """Without those said to be ambiguous, and those that count neither way."""
    wrong: int = 0
    ambiguous: int = 0
    misordered: int = 0
    """Without those whose order is said to be unknown."""
    rewrites_true: int = 0
    rewrites_found: int = 0
    lost_true: int = 0
    lost_found: int = 0
    claims: Claims = field(default_factory=Claims)
    """What is claimed of single paths, and how much of it is false."""
    samples: dict = field(default_factory=lambda: defaultdict(list))
    """Some of the mistakes of each kind, for those who look for the cause."""

    @property
    def precision(self):
        """Part of the claimed pairs that is right."""
        return 1 - self.wrong / self.claimed if self.claimed else 1.0

    @property
    def recall(self):
        """Part of the true pairs that is found."""
        return self.found / self.true_pairs if self.true_pairs else 1.0
