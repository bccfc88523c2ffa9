"""What two runs call the same, what failed more often, and how far connections came, in columns."""

from pathlib import Path

import numpy as np
import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.compare.classes import PacketClass, connection_outcomes, connection_states
from ttrace.correlate.compare.common_names import _paired
from ttrace.correlate.compare.delays import MOST_SAMPLES, LegKey, Samples
from ttrace.correlate.compare.parting import differences
from ttrace.correlate.compare.runs import Side, WaySeen
from ttrace.correlate.compare.ways import Step, Way
from ttrace.correlate.outcomes.kinds import OUTCOMES
from ttrace.correlate.result.connection_state import STATES

ROOT = Path(__file__).parents[3]
CAPTURES = [
    *sorted((ROOT / "pcaps").glob("*/*.pcapng")),
    *sorted((ROOT / "tests" / "correlate" / "why_not" / "recordings").glob("*.gz")),
]


@pytest.mark.parametrize("file", CAPTURES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_states_and_outcomes_are_those_of_the_report(file):
    result = correlate_captures([str(file)])
    states, outcomes = connection_states(result), connection_outcomes(result)
    for index, connection in enumerate(result.connection_list()):
        assert (STATES[states[index]], OUTCOMES[outcomes[index]]) == (connection.state, connection.outcome)


@pytest.mark.parametrize(
    ("good", "bad", "same"),
    [
        (["web", "db"], ["web", "db"], {}),
        (["x-web", "x-db"], ["y-web", "y-db"], {"y-web": "x-web", "y-db": "x-db"}),
        (["web-7d4b9c6f5-x2x8k", "db"], ["web-85c9f7d4b-abcde", "db"], {"web-85c9f7d4b-abcde": "web-7d4b9c6f5-x2x8k"}),
        (["log-x2x8k", "db-pppzz"], ["log-9zvtb", "db-qk4d7"], {"log-9zvtb": "log-x2x8k", "db-qk4d7": "db-pppzz"}),
        (["log-redis", "db-mysql"], ["log-nginx", "db-maria"], {}),  # words, and no random ends
        (["one"], ["other"], {"other": "one"}),
        (["a", "b"], ["c", "d"], {}),
        (["a-7d4b9c6f5-x2x8k", "a-7d4b9c6f5-aaaaa"], ["a-7d4b9c6f5-bbbbb"], {}),
    ],
)  # fmt: skip
def test_names_are_paired_only_where_one_fits(good, bad, same):
    assert _paired(good, bad, in_order=False) == same


def test_nodes_that_are_left_are_paired_in_their_order():
    assert _paired(["a", "b"], ["c", "d"], in_order=True) == {"c": "a", "d": "b"}
    assert _paired(["a", "b"], ["c"], in_order=True) == {}


def side(lost, arrived):
    """Packets of one kind, of which some were lost behind the same place."""
    found = Side()
    step = Step(kind="point", key=("a", "root", "eth0"), place="a eth0 out", space=("a", "root"))
    for packets, outcome, end in ((lost, "lost", ("lost", "wire")), (arrived, "delivered", ("delivered",))):
        way = Way(steps=(step,), outcome=outcome, end=end, end_text=f"are {outcome}", failed=outcome == "lost")
        found.add_way((PacketClass.OTHER, True), (outcome,), WaySeen(way, packets, 1, "ACK", 0))
        found.packets_of[PacketClass.OTHER, True] += packets
    return found


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ((1, 999), (100, 900), True),
        ((10, 990), (14, 986), False),
        ((1, 9), (4, 6), False),
        ((100, 900), (1, 999), False),
    ],
)
def test_more_failures_than_chance_makes(good, bad, told):
    found = differences(side(*good), side(*bad))
    assert [one.kind for one in found] == (["outcome"] if told else [])
    if told:
        assert found[0].bad == "do so more often (100 of 1,000)"


def test_failures_of_equally_long_ways_are_told_in_the_order_in_which_they_came():
    """Whatever the hashes of their words, which differ from run to run of Python."""

    def ended(packets):
        found, numbers = Side(), range(1, 9)
        for number in numbers:
            step = Step(kind="point", key=("a", f"eth{number}"), place=f"a eth{number}", space=("a", "root"))
            way = Way(steps=(step,), outcome="lost", end=("lost", str(number)), end_text="are lost", failed=True)
            found.add_way((PacketClass.OTHER, True), (way.key,), WaySeen(way, packets, number, "ACK", 0))
        found.packets_of[PacketClass.OTHER, True] = 8000
        return found

    assert [one.bad_path for one in differences(ended(1), ended(900))] == list(range(1, 9))


def test_samples_are_bounded_and_keep_their_spread():
    samples = Samples()
    for begin in range(0, 100_000, 1000):
        samples.add(np.arange(begin, begin + 1000), 0)
    assert samples.count == 100_000
    assert samples.values.size == MOST_SAMPLES
    assert (samples.values[0], samples.values[-1]) == (0, 99_999)


def test_samples_that_were_left_out_count_as_well():
    """Of many parts, as of one: the last one is no more than the others."""
    samples = Samples()
    for value in (1, 1, 1, 9):
        samples.add(np.full(50_000, value), 0)
    assert samples.values[samples.values.size // 2] == 1
    assert abs(np.mean(samples.values == 9) - 0.25) < 0.01


def test_of_several_roles_all_delays_are_counted():
    leg = LegKey(True, False, "a eth0 in", "a eth1 out")
    one, other, whole = Side(), Side(), Side()
    for role, value, count in ((one, 1, 100_000), (other, 9, 5000)):
        role.delays[leg] = Samples()
        role.delays[leg].add(np.full(count, value), 0)
        whole.add(role)
    assert whole.delays[leg].count == 105_000
    assert whole.delays[leg].values[MOST_SAMPLES // 2] == 1
