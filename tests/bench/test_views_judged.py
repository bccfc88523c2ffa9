"""The judge of the views: it counts what a correlator is made to claim, and nothing where that is honest."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from ttrace.bench.truth.views.captures import Capture
from ttrace.bench.truth.views.crossing import Fate
from ttrace.bench.truth.views.example import CLIENT, SERVER, conversation, records, udp
from ttrace.bench.truth.views.judge import judge
from ttrace.bench.truth.views.kinds import Kind
from ttrace.bench.truth.views.points import make_view
from ttrace.correlate.hops.rewrites import Field
from ttrace.correlate.outcomes.kinds import Outcome, Reason

from .saying import made_to_say


def conversations(count=10, rounds=4):
    each = [conversation(40000 + n, 1000 + n * 77_777, rounds, 2000 + 100 * n) for n in range(count)]
    return Capture(1, records([frame for row in zip(*each, strict=True) for frame in row]), 0)


@pytest.fixture
def view(tmp_path):
    """Nothing lost, nothing missed: source NAT."""
    return make_view(conversations(), Kind("test", "", ("s",)), "seed", tmp_path)


@pytest.fixture
def lossy(tmp_path):
    return make_view(conversations(20), Kind("test", "", ("s",), lost=0.3), "seed", tmp_path)


def test_an_honest_correlator_makes_no_false_claim(view):
    score = judge(view)
    assert score.true_pairs == score.found == score.packets == 10 * 15
    assert score.wrong == score.misordered == score.claims.false == score.claims.sure_wrong == 0
    assert score.rewrites_found == score.rewrites_true == score.packets
    assert score.claims.translations == score.packets


def test_what_arrived_and_is_called_lost_is_a_false_lost(view):
    score = judge(view, made_to_say(Outcome.LOST))
    taken = [packet for packet, fate in view.truth.fates.items() if fate is Fate.TAKEN]
    assert len(taken) == 10 * (2 + 2 * 4)  # SYN, its answer, and all data
    assert score.claims.false_lost == len(taken)
    assert score.claims.false_lost_unsigned == 0
    assert score.claims.lost_beyond == score.packets - len(taken)
    assert len(score.samples["false lost"]) == len(taken)
    assert "0:1 (of frame 1, 10.1.0.5:40000 > 10.2.0.9:80)" in score.samples["false lost"][0]


def test_what_a_capture_missed_and_is_called_lost_is_a_false_lost(tmp_path):
    view = make_view(conversations(), Kind("test", "", ("s",), missed=0.1), "seed", tmp_path)
    score = judge(view, made_to_say(Outcome.LOST))
    seen = {one.packet for one in view.frames}
    not_at_the_end = {packet for packet, point in view.missed if point == 1 and packet in seen}
    acks = [packet for packet in not_at_the_end if view.truth.fates[packet] is Fate.ARRIVED]
    assert acks
    assert score.claims.false_lost_unsigned == len(acks)


def test_what_was_lost_and_is_called_delivered_is_a_false_delivered(lossy):
    score = judge(lossy, made_to_say(Outcome.DELIVERED, Reason.NONE))
    lost = [packet for packet, fate in lossy.truth.fates.items() if fate is Fate.LOST]
    assert 20 < len(lost) == score.lost_true
    assert score.claims.false_delivered + score.claims.alike == len(lost)
    assert score.claims.false_delivered > 20
    assert score.lost_found == 0


def test_what_was_lost_and_is_called_lost_is_right(lossy):
    score = judge(lossy)
    assert score.claims.false_delivered == 0
    assert score.lost_found > 0


def test_what_nobody_answered_and_is_called_delivered_is_counted_apart(tmp_path):
    alone = [udp(CLIENT, SERVER, (5000, 514), b"log %d" % n, identification=50 + n) for n in range(5)]
    view = make_view(Capture(1, records(alone), 0), Kind("test", ""), "seed", tmp_path)
    score = judge(view, made_to_say(Outcome.DELIVERED, Reason.NONE))
    assert score.claims.unanswered_delivered == 5
    assert score.claims.false_delivered == 0


def exchanged(result):
    """The first two packets' sightings at the second point change places."""
    packet = result.packets.packet.copy()
    second = np.flatnonzero(result.sightings["file"] == 1)[:2]
    packet[second] = packet[second[::-1]]
    return replace(result.packets, packet=packet)


def test_two_packets_taken_for_each_other_are_wrong_and_missed(view):
    score = judge(view, made_to_say(packets=exchanged))
    assert score.wrong == 2
    assert score.true_pairs - score.found == 2
    assert score.precision == pytest.approx(1 - 2 / score.claimed)
    assert len(score.samples["wrong pair"]) == 2


def test_wrong_pairs_that_are_said_to_be_ambiguous_are_no_claims(view):
    def doubted(result):
        return replace(exchanged(result), ambiguous=np.ones(result.packets.count, np.bool_))

    score = judge(view, made_to_say(packets=doubted))
    assert score.wrong == score.claimed == 0
    assert score.ambiguous == score.frames


def test_a_rewrite_of_the_other_end_is_a_false_translation(view):
    def turned(result):
        rewrites = result.rewrites.copy()
        rewrites["field"] = np.where(rewrites["field"] == Field.SOURCE, Field.DESTINATION, Field.SOURCE)
        return rewrites

    score = judge(view, made_to_say(rewrites=turned))
    assert score.claims.false_translations == score.claims.translations == score.packets
    assert score.rewrites_found == 0
    assert score.claims.sure_wrong == score.claims.sure


def test_hops_the_other_way_round_are_misordered_unless_in_doubt(view):
    def turned(result):
        hops = result.hops.copy()
        first = result.first_hop
        for begin, end in pairwise(first):
            hops[begin:end] = hops[begin:end][::-1]
        return hops

    assert judge(view, made_to_say(hops=turned)).misordered == 10 * 15
    doubt = made_to_say(hops=turned, order_doubtful=lambda result: np.ones(result.sightings.size, np.bool_))
    assert judge(view, doubt).misordered == 0


def equal_datagrams(count, step_ns):
    frame = udp(CLIENT, SERVER, (5000, 6000), b"the same", identification=0)
    return Capture(1, records([frame] * count, step_ns=step_ns), 0)


def test_equal_packets_are_told_apart_by_time_or_not_at_all(tmp_path):
    for name, step_ns, alike in (("slow", 10**9, 0), ("fast", 1000, 6)):
        (tmp_path / name).mkdir()
        view = make_view(equal_datagrams(6, step_ns), Kind("test", ""), "seed", tmp_path / name)
        assert judge(view).alike == alike


def test_mistakes_among_packets_nothing_tells_apart_are_counted_apart(tmp_path):
    view = make_view(equal_datagrams(6, 1000), Kind("test", ""), "seed", tmp_path)
    plain = made_to_say(packets=lambda r: replace(exchanged(r), ambiguous=np.zeros(r.packets.count, np.bool_)))
    score = judge(view, plain)
    assert score.wrong == 0
    assert score.alike_wrong == 2


def test_sightings_of_one_packet_in_the_capture_itself_are_neither_right_nor_wrong(tmp_path):
    frames = [frame for frame in conversation(40000) for _ in range(2)]
    view = make_view(Capture(1, records(frames, step_ns=10_000), 0), Kind("test", ""), "seed", tmp_path)

    def all_of_one(result):
        packet = result.sightings["ip_id"].astype(np.int64)
        _, packet = np.unique(packet, return_inverse=True)
        return replace(result.packets, packet=packet)

    assert judge(view, made_to_say(packets=all_of_one)).wrong == 0
