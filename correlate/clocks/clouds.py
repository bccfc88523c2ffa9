"""The points that bound the offset between two clocks: clouds of (time, offset), which can be added up and thinned.

A line that is to stay below all points of a cloud touches it at its lower hull only. So of many points those of the
hull are enough, and hulls of parts of a cloud add up to that of the whole.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit

_MOST_POINTS: Final = 1 << 17
"""A cloud of no more packets is kept whole."""
_BUCKET_NS: Final = 1_000_000_000
"""A clock may be set in between: of a larger cloud the hull of each second is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """Bounds of an offset, each at its time; all in ns."""

    at_ns: npt.NDArray[np.int64]
    value_ns: npt.NDArray[np.int64]
    packets: int
    """Packets that it was made of."""
    upper: bool
    """They are upper bounds: the offset lies below all of them."""

    @classmethod
    def of(cls, at_ns: npt.NDArray[np.int64], value_ns: npt.NDArray[np.int64], *, upper: bool) -> "Cloud":
        """From one bound per packet."""
        return cls(at_ns=at_ns, value_ns=value_ns, packets=int(at_ns.size), upper=upper)._thinned()

    def with_(self, other: "Cloud") -> "Cloud":
        """Both together."""
        return Cloud(
            at_ns=np.concatenate([self.at_ns, other.at_ns]),
            value_ns=np.concatenate([self.value_ns, other.value_ns]),
            packets=self.packets + other.packets,
            upper=self.upper,
        )._thinned()

    def _thinned(self) -> "Cloud":
        if self.packets <= _MOST_POINTS:
            return self
        sign = 1 if self.upper else -1
        order = np.lexsort((sign * self.value_ns, self.at_ns))
        at, value = self.at_ns[order], self.value_ns[order]
        kept = order[_lower_hulls(at, sign * value, at // _BUCKET_NS)]
        return Cloud(at_ns=self.at_ns[kept], value_ns=self.value_ns[kept], packets=self.packets, upper=self.upper)


def lower_hull(
    at_ns: npt.NDArray[np.int64], value_ns: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Those points that a line from below can touch, maybe a few more."""
    order = np.lexsort((value_ns, at_ns))
    at, value = at_ns[order], value_ns[order]
    kept = _lower_hulls(at, value, np.zeros_like(at))
    return at[kept], value[kept]


@njit(cache=True)
def _lower_hulls(at, value, bucket):
    """Rows of the lower hull of each bucket (Andrew's monotone chain); rows in order of (at, value)."""
    kept = np.empty(at.size, np.int64)
    count = 0
    begin = 0
    for i in range(at.size):
        if i > 0 and bucket[i] != bucket[i - 1]:
            begin = count
        elif count > begin and at[kept[count - 1]] == at[i]:
            continue  # the same time, and no lower
        while count - begin >= 2:
            a, b = kept[count - 2], kept[count - 1]
            left = np.float64(value[b] - value[a]) * np.float64(at[i] - at[a])
            right = np.float64(value[i] - value[a]) * np.float64(at[b] - at[a])
            # Rounding may keep a point too many, never one too few; but of equal delays the first and the last do.
            if left != right and left - right <= 1e-12 * (abs(left) + abs(right)):
                break
            count -= 1
        kept[count] = i
        count += 1
    return kept[:count]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """What the packets that two nodes share say of the second's clock minus the first's, at times of the first's."""

    toward: Cloud
    """Upper bounds, of packets from the first to the second."""
    back: Cloud
    """Lower bounds, of packets the other way."""
    unknown: Cloud
    """Of packets of which nothing says which way they went: upper bounds if they went toward the second."""
    least_ns: int
    """Differences of the times of those of `unknown`."""
    most_ns: int

    def with_(self, other: "Delays") -> "Delays":
        """Both together."""
        return Delays(
            toward=self.toward.with_(other.toward),
            back=self.back.with_(other.back),
            unknown=self.unknown.with_(other.unknown),
            least_ns=min(self.least_ns, other.least_ns),
            most_ns=max(self.most_ns, other.most_ns),
        )
