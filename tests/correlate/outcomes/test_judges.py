"""How what the judges say comes together."""

import numpy as np
import pytest

from ttrace.correlate.outcomes.judges import decide
from ttrace.correlate.outcomes.kinds import COLUMNS, Outcome, Outcomes, Reason, Segments, Verdicts

NO_TABLES = None
"""These judges look at none."""


def undecided(paths: int = 4) -> Outcomes:
    return Outcomes.undecided(paths, [("node", "web1")])


def saying(*paths: int, **columns):
    said = Verdicts(paths=np.array(paths, np.int64), **columns)
    return lambda _tables, _so_far: said


def test_what_a_later_judge_says_of_a_path_replaces_all_that_was_said_of_it():
    drop = saying(0, 1, outcome=Outcome.DROPPED, reason=Reason.RULE, rule=np.array([7, 8]))
    deliver = saying(1, 2, outcome=Outcome.DELIVERED, reason=Reason.NONE, location=0)
    decided = decide([drop, deliver], NO_TABLES, undecided())
    assert decided.outcome.tolist() == [Outcome.DROPPED, Outcome.DELIVERED, Outcome.DELIVERED, Outcome.UNKNOWN]
    assert decided.reason.tolist() == [Reason.RULE, Reason.NONE, Reason.NONE, Reason.NOT_CAPTURED]
    assert decided.rule.tolist() == [7, -1, -1, -1]
    assert decided.location.tolist() == [-1, 0, 0, -1]


def test_a_judge_sees_what_was_said_before_it_and_cannot_change_it():
    seen = []

    def curious(_tables, so_far: Outcomes) -> Verdicts:
        seen.append(so_far.outcome.tolist())
        for name in COLUMNS:
            with pytest.raises(ValueError, match="read-only"):
                getattr(so_far, name)[0] = 0
        return Verdicts.none()

    before = undecided(2)
    decide([curious, saying(1, outcome=Outcome.LOST, reason=Reason.WIRE), curious], NO_TABLES, before)
    assert seen == [[Outcome.UNKNOWN, Outcome.UNKNOWN], [Outcome.UNKNOWN, Outcome.LOST]]
    assert before.outcome.tolist() == [Outcome.UNKNOWN, Outcome.UNKNOWN]


def test_segments_stay_with_the_outcomes():
    found = Segments(np.array([0]), np.array([1]))
    look = saying(outcome=Outcome.UNKNOWN, reason=Reason.NONE, segments=found)
    assert decide([look, saying(outcome=0, reason=0)], NO_TABLES, undecided()).segments is found


def test_verdicts_of_different_paths_come_together():
    one = Verdicts(paths=np.array([3]), outcome=Outcome.LOST, reason=Reason.WIRE)
    two = Verdicts(paths=np.array([0, 1]), outcome=np.array([0, 3]), reason=Reason.ARRIVED, location=np.array([5, -1]))
    both = one.and_(two)
    assert both.paths.tolist() == [3, 0, 1]
    assert both.outcome.tolist() == [Outcome.LOST, Outcome.DELIVERED, Outcome.UNKNOWN]
    assert both.reason.tolist() == [Reason.WIRE, Reason.ARRIVED, Reason.ARRIVED]
    assert both.location.tolist() == [-1, 5, -1]
