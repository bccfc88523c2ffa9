"""Plain tcpdumps of labs, judged by the senders' own marks: a part of `python -m bench.truth` (docs/truth.md)."""

import pytest

from ttrace.bench.truth.__main__ import measure, record_completely
from ttrace.bench.truth.scenes import CASES
from ttrace.bench.truth.table import PRECISION, RECALL

CASE = {case.name: case for case in CASES}


@pytest.mark.parametrize(
    "name", ["docker", "http-100", "hairpin-nf", "nat66", "loss", "duplicate", "one-way", "gso-off", "drift", "nothing"]
)
def test_what_plain_captures_show(name, tmp_path):
    """Whole and cut at 64 bytes, with the places of the files named and not."""
    case = CASE[name]
    files, log = record_completely(case, tmp_path)
    results = list(measure(case, files, log, tmp_path))
    assert [(result.snaplen, result.files) for result in results] == [
        ("all", "named"), ("all", "bare"), ("64", "named"), ("64", "bare")]  # fmt: skip
    for result in results:
        score = result.score
        what = f"{result.snaplen}, {result.files}: {dict(score.samples)}"
        assert (score.true_pairs > 0) == (name != "nothing"), what
        assert score.precision >= PRECISION, what
        assert score.recall >= RECALL, what
        assert score.mixed == 0, what
        assert score.rewrites_wrong == 0, what
        assert score.rewrites_found == score.rewrites_true, what
        assert score.lost_wrong == 0, what
        assert score.lost_found == score.lost_true, what
        assert score.clock_ok, what


def test_four_tcpdumps_of_the_docker_lab_show_both_rewrites_both_ways(tmp_path):
    """Nothing but `tcpdump -w` on docker0 and eth0 of both nodes: what was rewritten is said, and to be inferred."""
    case = CASE["docker"]
    files, log = record_completely(case, tmp_path)
    named = next(measure(case, files, log, tmp_path))
    assert named.score.rewrites_true >= 400
    assert named.score.rewrites_found == named.score.rewrites_true
    assert named.score.misordered == 0
