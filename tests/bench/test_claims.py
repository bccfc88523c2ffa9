"""What counts as a false claim: of each kind one that is, and its neighbours that are not."""

from dataclasses import replace

import pytest

from ttrace.bench.truth.claims import Claims, PathClaim, Told, judge_claims, mistakes_of

LOST = Told("lost", "wire", 1.0, False, False)
DELIVERED = Told("delivered", "", 1.0, False, False)
UNKNOWN = Told("unknown", "not-captured", 1.0, False, False)
ARRIVED = PathClaim(1, LOST, arrived=True, signed=True, answered=True)
GONE = PathClaim(1, DELIVERED, lost=True, answered=True)

CASES = {
    "lost, and it arrived": (ARRIVED, {"false lost"}),
    "dropped, and it arrived": (replace(ARRIVED, told=replace(LOST, outcome="dropped")), {"false lost"}),
    "lost, and nothing shows that it arrived": (replace(ARRIVED, signed=False), {"false lost, unsigned"}),
    "lost, and it was": (replace(GONE, told=LOST), set()),
    "lost behind the last point": (replace(ARRIVED, signed=False, at_the_end=True), set()),
    "unknown, and it arrived": (replace(ARRIVED, told=UNKNOWN), set()),
    "delivered, and it was lost": (GONE, {"false delivered"}),
    "delivered, and it arrived": (replace(ARRIVED, told=DELIVERED), set()),
    "unknown, and it was lost": (replace(GONE, told=UNKNOWN), set()),
    "accepted last, and it was lost": (replace(GONE, told=replace(UNKNOWN, accepted_last=True)), {"false accepted"}),
    "accepted last, and it arrived": (replace(ARRIVED, told=replace(UNKNOWN, accepted_last=True)), set()),
    "a translation that was not": (replace(ARRIVED, told=UNKNOWN, false_rewrites=["x"]), {"false translation"}),
}


@pytest.mark.parametrize("name", CASES)
def test_false_claims(name):
    claim, expected = CASES[name]
    assert set(mistakes_of(claim)) == expected


@pytest.mark.parametrize("name", CASES)
def test_they_are_counted_once_and_named(name):
    claim, expected = CASES[name]
    counts, samples = Claims(), {kind: [] for kind in [*expected, "delivered, unanswered"]}
    judge_claims(counts, [claim], samples)
    assert counts.false == len(expected)
    assert all(len(samples[kind]) == 1 for kind in expected)


def test_ambiguous_ones_and_those_nothing_tells_apart_are_counted_apart():
    for claim in (replace(ARRIVED, alike=True), replace(ARRIVED, told=replace(LOST, ambiguous=True, confidence=0.5))):
        counts = Claims()
        judge_claims(counts, [claim], {})
        assert (counts.false, counts.alike, counts.sure_wrong) == (0, 1, 0)


def test_calibration_counts_claims_that_are_sure_and_those_of_them_that_are_wrong():
    counts = Claims()
    sure = replace(ARRIVED, told=replace(DELIVERED, confidence=0.99))
    claims = [
        sure,
        replace(sure, wrong_pairs=True),
        replace(sure, told=replace(LOST, confidence=0.98)),
        replace(sure, told=LOST),
        replace(sure, told=UNKNOWN),
        replace(sure, told=UNKNOWN, rewrites=1, false_rewrites=["x"]),
    ]
    judge_claims(counts, claims, {"false lost": [], "false translation": []})
    assert (counts.sure, counts.sure_wrong) == (4, 3)
    assert (counts.paths, counts.outcomes, counts.translations) == (6, 4, 1)


def test_counts_add_up():
    total, one = Claims(false_lost=1, paths=2), Claims(false_lost=2, sure=5)
    total.add(one)
    assert (total.false_lost, total.paths, total.sure, total.false) == (3, 2, 5, 3)
