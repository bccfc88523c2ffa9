"""What is told without sequence numbers, or without a time, takes it from the frame that agrees in what both know."""

import numpy as np
import pytest

from ttrace.correlate.netfilter.partial_headers import complete_headers
from ttrace.correlate.schema import NOTE_NO_SEQUENCE, NOTE_NO_TIME, SIGHTING
from ttrace.correlate.sightings import DROP, EVALUATION, FRAME

MS = 1_000_000


def sightings(*rows):
    """(kind, notes, time in ms, columns) each; a frame knows all of it."""
    table = np.zeros(len(rows), SIGHTING)
    for row, (kind, notes, time_ms, columns) in zip(table, rows, strict=True):
        row["kind"], row["notes"], row["time_ns"] = kind, notes, time_ms * MS
        for name, value in ({"flow": 7, "namespace": 1, "length": 60, "ip_id": 5} | columns).items():
            row[name] = value
    return table


def frame(time_ms, **columns):
    return FRAME, 0, time_ms, columns


def text(time_ms, notes=NOTE_NO_SEQUENCE, **columns):
    return EVALUATION, notes, time_ms, columns


def contents(table):
    return table["content"][table["kind"] == EVALUATION].tolist()


def test_the_nearest_frame_lends_what_is_missing():
    table = sightings(
        frame(0, content=11, sequence=100), frame(40, content=12, sequence=200), text(38, content=1), text(3, content=1)
    )
    complete_headers(table)
    assert contents(table) == [12, 11]
    assert table["sequence"].tolist() == [100, 200, 200, 100]
    assert table["time_ns"].tolist() == [0, 40 * MS, 38 * MS, 3 * MS]


@pytest.mark.parametrize("differs", [{"flow": 8}, {"namespace": 2}, {"length": 61}, {"ip_id": 6}, {"tcp_flags": 2}])
def test_a_frame_that_contradicts_lends_nothing(differs):
    table = sightings(frame(0, content=11), text(1, content=1, **differs))
    complete_headers(table)
    assert contents(table) == [1]


def test_a_frame_a_second_away_is_another_packet():
    table = sightings(frame(0, content=11), text(1001, content=1))
    complete_headers(table)
    assert contents(table) == [1]


def test_without_times_the_order_tells():
    untimed = NOTE_NO_SEQUENCE | NOTE_NO_TIME
    table = sightings(
        frame(5, content=11), frame(9, content=12), frame(7, content=21, flow=8),
        text(0, untimed), text(0, untimed, flow=8), text(0, untimed),
    )  # fmt: skip
    complete_headers(table)
    assert contents(table) == [11, 21, 12]
    assert table["time_ns"][3:].tolist() == [5 * MS, 7 * MS, 9 * MS]


def test_without_times_and_with_other_numbers_of_both_nothing_is_guessed():
    table = sightings(frame(5, content=11), frame(9, content=12), text(0, NOTE_NO_SEQUENCE | NOTE_NO_TIME))
    complete_headers(table)
    assert contents(table) == [0]


def test_who_knows_everything_is_left_alone():
    table = sightings(frame(0, content=11), text(0, 0, content=1))
    complete_headers(table)
    assert contents(table) == [1]


def dropped(**columns):
    """By TCP, a bare acknowledgment whose window a later one changed while both waited in the backlog."""
    return DROP, 0, 9, {"protocol": 6, "content": 1, "window": 335, "sequence": 5, "acknowledgment": 8} | columns


def test_a_dropped_acknowledgment_is_the_one_that_was_sent_with_another_window():
    sent = {"protocol": 6, "window": 297, "sequence": 5, "acknowledgment": 8}
    table = sightings(frame(0, content=10, ip_id=4, **sent), frame(1, content=11, **sent), dropped())
    complete_headers(table)
    assert (table["content"][2], table["window"][2]) == (11, 297)


@pytest.mark.parametrize(
    "differs", [{"payload_length": 1}, {"protocol": 17}, {"acknowledgment": 9}, {"sequence": 6}, {"ip_id": 6}]
)
def test_what_is_dropped_otherwise_keeps_what_it_has(differs):
    sent = {"protocol": 6, "window": 297, "sequence": 5, "acknowledgment": 8}
    table = sightings(frame(1, content=11, **sent), dropped(**differs))
    complete_headers(table)
    assert (table["content"][1], table["window"][1]) == (1, 335)
