"""One line between two clouds of bounds: how a clock ran in a stretch of time, and how far it may have been from that.

The error holds while packets compare the clocks. Before the first and behind the last of them nothing tells how the
clock ran but the packets themselves: of all lines that fit, the steepest and the flattest part ever further.
"""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from .clock import Piece
from .clouds import lower_hull

STEEPEST: Final = 150e-6
"""Two clocks drift apart by no more while packets compare them: a quartz is within 100 ppm, and most are far better."""
_ANY_SLOPE: Final = 1.0
"""When no packets compare them, nothing is known of it: a clock is slewed, suspended or set."""
_QUEUED_NS: Final = 10_000_000
"""No queue is as slow on the average."""
_NO_EVIDENCE: Final = 0.7
"""A clock that runs evenly and leaves this part of the most room is taken to do so."""
_THIRDS: Final = 60
"""Steps of a search by thirds: the rest of the interval is less than what a float can tell."""


def fit_line(
    upper_at: npt.NDArray[np.int64],
    upper: npt.NDArray[np.int64],
    lower_at: npt.NDArray[np.int64],
    lower: npt.NDArray[np.int64],
    begin: int,
    end: int,
) -> Piece | None:
    """The line below all upper bounds and above all lower ones from `begin` to `end`, as far from both as can be; None
    when there is none. All in ns; times by the reference clock."""
    above = (upper_at >= begin) & (upper_at <= end)
    below = (lower_at >= begin) & (lower_at <= end)
    if not above.any() or not below.any():
        if not (above.any() or below.any()):
            return None
        offset = int(upper[above].min()) - 1 if above.any() else int(lower[below].max()) + 1
        return Piece(start_ns=int(begin) + offset, offset_ns=offset, drift=0.0, error_ns=None)
    # Clocks may be years apart: too many digits for a float.
    around = int(upper[above].min())
    hulls = _Hulls(
        *lower_hull(upper_at[above] - begin, upper[above] - around),
        *lower_hull(lower_at[below] - begin, around - lower[below]),
    )
    widest = _widest(hulls, -STEEPEST, STEEPEST)
    room = _width(hulls, widest)
    if room < 0:
        return None
    # As long as this takes away little of the room, nothing says that it drifts.
    slope = 0.0 if _width(hulls, 0.0) >= _NO_EVIDENCE * room else widest
    middle = (_top(hulls, slope) + _bottom(hulls, slope)) / 2
    fit, alone = ((_last_slope(hulls, widest, -s), _last_slope(hulls, widest, s)) for s in (STEEPEST, _ANY_SLOPE))
    last = int(max(upper_at[above].max(), lower_at[below].max()))
    return Piece(
        start_ns=int(begin) + around + round(middle),
        offset_ns=around + round(middle),
        drift=slope,
        error_ns=math.ceil(_farthest(hulls, fit, slope, middle, last - int(begin))) + 1,
        evidence_ns=(int(begin), last),
        growth=max(slope - alone[0], alone[1] - slope),
    )


def fit_one_side(at: npt.NDArray[np.int64], bound: npt.NDArray[np.int64], *, upper: bool) -> Piece:
    """The line nearest to bounds of one side alone: packets went only one way, and nobody knows how long they took.

    It is flat, by the fastest of them, unless the delays grow or shrink by more than any queue does. Arguments in ns.
    """
    sign = 1 if upper else -1
    begin, around = int(at.min()), int(bound.min())
    x, y = lower_hull(at - begin, sign * (bound - around))
    slope = 0.0
    if x.size > 1:
        # Of lines below, one through the side of the hull above the middle of all times is the nearest (Moon).
        middle = int((at - begin).sum()) // at.size
        side = min(max(int(np.searchsorted(x, middle)), 1), x.size - 1)
        steep = float(y[side] - y[side - 1]) / float(x[side] - x[side - 1])
        steep = min(max(steep, -STEEPEST), STEEPEST)
        nearest = float((y - steep * x).min()) + steep * middle
        slope = steep if nearest - float(y.min()) > _QUEUED_NS else 0.0
    # A delay is positive: the fastest packet arrived after it was sent, by a nanosecond at least.
    offset = around + sign * (round(float((y - slope * x).min())) - 1)
    return Piece(start_ns=begin + offset, offset_ns=offset, drift=sign * slope, error_ns=None)


class _Hulls(NamedTuple):
    """Times and offsets of the hulls of two clouds, for a line touches either cloud at its hull only; those of the
    lower bounds are turned upside down."""

    upper_at: npt.NDArray[np.int64]
    upper: npt.NDArray[np.int64]
    lower_at: npt.NDArray[np.int64]
    lower: npt.NDArray[np.int64]


@njit(cache=True)
def _top(hulls, slope):
    """The offset at time 0 of the line of this slope that lies just below all upper bounds. As a function of the slope
    it is concave."""
    least = np.inf
    for i in range(hulls.upper.size):
        least = min(least, np.float64(hulls.upper[i]) - slope * np.float64(hulls.upper_at[i]))
    return least


@njit(cache=True)
def _bottom(hulls, slope):
    """That of the one just above all lower bounds; a convex function."""
    most = -np.inf
    for i in range(hulls.lower.size):
        most = max(most, -np.float64(hulls.lower[i]) - slope * np.float64(hulls.lower_at[i]))
    return most


@njit(cache=True)
def _width(hulls, slope):
    """How much is between; negative: no line of this slope fits."""
    return _top(hulls, slope) - _bottom(hulls, slope)


@njit(cache=True)
def _last_slope(hulls, inside, outside):
    """The slope nearest to `outside` with which a line still fits, as one of the slope `inside` does."""
    if _width(hulls, outside) >= 0:
        return outside
    for _ in range(50):
        middle = (inside + outside) / 2
        if _width(hulls, middle) >= 0:
            inside = middle
        else:
            outside = middle
    return inside


@njit(cache=True)
def _widest(hulls, low, high):
    """The slope of which lines have the most room, by thirds."""
    for _ in range(_THIRDS):
        third = (high - low) / 3
        if _width(hulls, low + third) < _width(hulls, high - third):
            low += third
        else:
            high -= third
    return (low + high) / 2


@njit(cache=True)
def _farthest(hulls, fit, slope, offset, length_ns):
    """How far any line with a slope between those of `fit` is from the one of `slope` and `offset`, from time 0 to
    `length_ns`: the lines that fit are a convex polygon, so it is at one of the ends."""
    worst = 0.0
    for side in range(2):
        for at in (0, length_ns):
            low, high = fit
            for _ in range(_THIRDS):
                third = (high - low) / 3
                if _apart(hulls, low + third, slope, offset, at, side) < _apart(
                    hulls, high - third, slope, offset, at, side
                ):
                    low += third
                else:
                    high -= third
            worst = max(worst, _apart(hulls, (low + high) / 2, slope, offset, at, side))
    return worst


@njit(cache=True)
def _apart(hulls, drift, slope, offset, at, side):
    """How far the highest (side 0) or lowest line of the slope `drift` that fits is on its side of that of `slope` and
    `offset`, at a time. A concave function of the drift."""
    if side == 0:
        return _top(hulls, drift) - offset + (drift - slope) * at
    return offset - _bottom(hulls, drift) - (drift - slope) * at
