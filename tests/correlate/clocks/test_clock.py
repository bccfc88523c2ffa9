"""A clock's line, read both ways, and how sure it is at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttrace.correlate.clocks.clock import Certainty, Clock, Piece, begun_at, offset_at
from ttrace.correlate.clocks.line import fit_line

DAY_NS = 86_400 * 10**9


def line(drift: float, offset_ns: int = 10**10, start_ns: int = 1_700_000_000 * 10**9 + 10**10) -> Clock:
    piece = Piece(start_ns=start_ns, offset_ns=offset_ns, drift=drift, error_ns=5)
    return Clock(node="b", offset_ns=offset_ns, error_ns=5, basis="9 packets", pieces=(piece,))


@given(ppm=st.floats(-150, 150), passed_ns=st.integers(-DAY_NS, 4 * DAY_NS), offset_ns=st.integers(-(10**18), 10**18))
def test_the_offset_is_the_same_by_either_clock(ppm, passed_ns, offset_ns):
    """A clock that gains 100 ppm shows 8.64 s more than a day in a day: there and back again leads to the same time."""
    start_ns = 1_700_000_000 * 10**9
    clock = line(ppm * 1e-6, offset_ns, start_ns + offset_ns)
    reference_ns = start_ns + passed_ns
    own_ns = reference_ns + offset_at(clock.pieces[0], reference_ns)
    assert abs(own_ns - (reference_ns + offset_ns) - ppm * 1e-6 * passed_ns) <= 256  # digits of a float
    assert abs(own_ns - int(clock.offsets(np.array([own_ns]))[0]) - reference_ns) <= 1


@given(ppm=st.floats(-150, 150), later_ns=st.integers(0, 4 * DAY_NS))
def test_a_line_may_begin_anywhere(ppm, later_ns):
    clock = line(ppm * 1e-6)
    piece = clock.pieces[0]
    start_ns, offset_ns = begun_at(piece, piece.start_ns + later_ns)
    moved = Piece(start_ns=start_ns, offset_ns=offset_ns, drift=piece.drift, error_ns=5)
    times = piece.start_ns + np.array([0, DAY_NS, 3 * DAY_NS])
    other = Clock(node="b", offset_ns=offset_ns, error_ns=5, basis="", pieces=(moved,))
    assert np.abs(clock.offsets(times) - other.offsets(times)).max() <= 2


def test_the_error_grows_before_and_behind_the_evidence():
    certainty = Certainty(50, 1000, 2000, 0.1)
    assert certainty.at(np.array([0, 990, 1000, 2000, 2001, 3000])).tolist() == [150, 51, 50, 50, 51, 150]
    assert Certainty(-1).at(np.array([0, 10**18])).tolist() == [-1, -1]
    assert Certainty(0).at(np.array([0, 10**18])).tolist() == [0, 0]


@pytest.mark.parametrize("unknown", [False, True])
def test_a_clock_that_is_reached_over_another_is_as_sure_as_both(unknown):
    near = Clock(
        node="b", offset_ns=0, error_ns=None if unknown else 5, basis="9 packets",
        pieces=(Piece(start_ns=0, offset_ns=0, drift=0, error_ns=5, evidence_ns=(100, 900), growth=0.1),),
    )  # fmt: skip
    far = Clock(
        node="c", offset_ns=0, error_ns=12, basis="9 packets", over=near,
        pieces=(Piece(start_ns=0, offset_ns=0, drift=0, error_ns=7, evidence_ns=(500, 1500), growth=0.2),),
    )  # fmt: skip
    if unknown:
        assert (far.certainty, far.largest_error_ns) == (Certainty(-1), None)
    else:
        assert far.certainty == Certainty(12, 500, 900, pytest.approx(0.3))
        assert far.largest_error_ns == 12


def test_the_same_packets_give_the_same_line_whatever_their_order():
    """Parts hand them over in another one."""
    at = np.array([0, 10, 20, 30])
    upper, lower = np.array([1008, 1003, 1009, 1005]), np.array([990, 997, 1000, 991])
    lines = {
        fit_line(at[order], upper[order], at[order], lower[order], 0, 30)
        for order in (np.roll(np.arange(4), turn) for turn in range(4))
    }
    assert len(lines) == 1
