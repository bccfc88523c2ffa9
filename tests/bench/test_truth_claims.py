"""The judge of the labs counts false claims: of what a correlator is made to say of a recording that is known."""

import numpy as np
import pytest

from ttrace.bench.truth import judge as judging
from ttrace.bench.truth.truth import read_frames
from ttrace.bench.truth.views.captures import Capture
from ttrace.bench.truth.views.crossing import Fate
from ttrace.bench.truth.views.example import conversation, records
from ttrace.bench.truth.views.kinds import EXACT, Kind
from ttrace.bench.truth.views.points import make_view
from ttrace.correlate.hops.rewrites import Field
from ttrace.correlate.outcomes.kinds import Outcome, Reason

from .saying import made_to_say


class Recording:
    """Two points of a box with source NAT, read as the labs read theirs: by sequence numbers."""

    def __init__(self, folder, lost):
        each = [conversation(40000 + n, 1000 + n * 77_777, 4, 2000 + 100 * n) for n in range(10)]
        capture = Capture(1, records([frame for row in zip(*each, strict=True) for frame in row]), 0)
        view = make_view(capture, Kind("test", "", ("s",), lost=lost, clocks=(EXACT,)), "seed", folder)
        self.arguments = view.arguments
        self.frames = read_frames(dict(zip(("a/eth0", "b/eth0"), view.paths, strict=True)))
        gone = {seen.packet for seen in view.frames if view.truth.fates[seen.packet] is Fate.LOST}
        self.lost = {
            frame.packet
            for frame, seen in zip(self.frames, view.frames, strict=True)
            if seen.packet in gone and frame.packet is not None
        }

    def judge(self):
        return judging.judge(self.frames, self.arguments, self.lost, [frame.time_ns for frame in self.frames])


@pytest.fixture
def recording(tmp_path):
    return Recording(tmp_path, 0.0)


def say(monkeypatch, *what, **columns):
    monkeypatch.setattr(judging, "correlate_captures", made_to_say(*what, **columns))


def test_an_honest_correlator_makes_no_false_claim(recording):
    score = recording.judge()
    assert score.true_pairs == score.found == 10 * 15
    assert score.claims.false == score.claims.sure_wrong == 0
    assert score.claims.translations == 10 * 15


def test_what_arrived_and_is_called_lost_is_a_false_lost(recording, monkeypatch):
    say(monkeypatch, Outcome.LOST)
    score = recording.judge()
    assert score.claims.false_lost == score.lost_wrong == 10 * 15


def test_what_was_lost_and_is_called_delivered_is_a_false_delivered(tmp_path, monkeypatch):
    recording = Recording(tmp_path, 0.3)
    assert len(recording.lost) > 10
    say(monkeypatch, Outcome.DELIVERED, Reason.NONE)
    claims = recording.judge().claims
    assert 10 < claims.false_delivered <= len(recording.lost)
    assert claims.false_lost == 0


def test_a_rewrite_of_the_other_end_is_a_false_translation(recording, monkeypatch):
    def turned(result):
        rewrites = result.rewrites.copy()
        rewrites["field"] = np.where(rewrites["field"] == Field.SOURCE, Field.DESTINATION, Field.SOURCE)
        return rewrites

    say(monkeypatch, rewrites=turned)
    claims = recording.judge().claims
    assert claims.false_translations == claims.translations == 10 * 15
