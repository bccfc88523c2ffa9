"""Plain tcpdumps of labs, judged by the senders' own marks: a part of `python -m bench.truth` (docs/truth.md)."""

from functools import cache

import pytest

from ttrace.bench.truth.__main__ import measure, record_completely
from ttrace.bench.truth.scenes import CASES
from ttrace.bench.truth.table import PRECISION, RECALL

CASE = {case.name: case for case in CASES}


PAST_ONE_POINT = ("hairpin-nf",)
"""A container that calls its own published port by bridge-nf passes one file only, twice, and its TTL does not fall: no
translation is claimed from equal contents there."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A function: the results of a case, which is recorded once."""

    @cache
    def results(name):
        case, folder = CASE[name], tmp_path_factory.mktemp(name)
        files, log = record_completely(case, folder)
        return list(measure(case, files, log, folder))

    return results


@pytest.mark.parametrize(
    "name", ["docker", "http-100", "hairpin-nf", "nat66", "loss", "duplicate", "one-way", "gso-off", "drift", "nothing"]
)
def test_what_plain_captures_show(name, measured):
    """Whole and cut at 64 bytes, with the places of the files named and not."""
    results = measured(name)
    assert [(result.snaplen, result.files) for result in results] == [
        ("all", "named"), ("all", "bare"), ("64", "named"), ("64", "bare")]  # fmt: skip
    for result in results:
        score = result.score
        what = f"{result.snaplen}, {result.files}: {dict(score.samples)}"
        assert (score.true_pairs > 0) == (name != "nothing"), what
        assert score.precision >= PRECISION, what
        if name not in PAST_ONE_POINT:
            assert score.recall >= RECALL, what
            assert score.rewrites_found == score.rewrites_true, what
        assert score.mixed == 0, what
        assert score.rewrites_wrong == 0, what
        assert score.lost_wrong == 0, what
        # No pcap says what its capture lost: only what TCP sent again was certainly lost on the wire.
        assert score.lost_found <= score.lost_true, what
        assert score.clock_ok, what


def test_four_tcpdumps_of_the_docker_lab_show_both_rewrites_both_ways(measured):
    """Nothing but `tcpdump -w` on docker0 and eth0 of both nodes: what was rewritten is said, and to be inferred."""
    named = measured("docker")[0]
    assert (named.snaplen, named.files) == ("all", "named")
    assert named.score.rewrites_true >= 400
    assert named.score.rewrites_found == named.score.rewrites_true
    assert named.score.misordered == 0
