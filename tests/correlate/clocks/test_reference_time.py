"""Clocks that were set back, and times on the reference clock."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttrace.correlate.clocks.align import SET_BACK_NS
from ttrace.correlate.clocks.clock import Clock, Piece
from ttrace.correlate.clocks.reference_time import (
    FramesSetBack,
    frames_set_back,
    messages_on_reference,
    sightings_on_reference,
)
from ttrace.correlate.schema import CONNTRACK, SIGHTING
from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.capture_file import RECORD, CaptureFile, Interface

PACKETS = Interface(name="eth0", link_type=LinkType.ETHERNET, snaplen=0, units_per_second=10**9)
SNAPSHOTS = replace(PACKETS, name="snapshot", facts={"what": "snapshot"})


def capture(times_ns: list[int], interfaces: list[int] | None = None) -> CaptureFile:
    records = np.zeros(len(times_ns), RECORD)
    records["time_ns"] = times_ns
    records["interface"] = interfaces or 0
    return CaptureFile(path="x", data=np.empty(0, np.uint8), records=records, interfaces=[PACKETS, SNAPSHOTS])


def test_a_frame_much_earlier_than_the_one_before_shows_that_the_clock_was_set_back():
    times = [5 * SET_BACK_NS, 4 * SET_BACK_NS, 3 * SET_BACK_NS - 1, 4 * SET_BACK_NS, 0]
    assert frames_set_back([capture(times), capture([])])[0].tolist() == [3, 5]
    assert frames_set_back([capture([])])[0].size == 0


def test_only_packets_tell():
    """A snapshot is written when it was taken, not when its time came."""
    times, interfaces = [9 * SET_BACK_NS, 0, 9 * SET_BACK_NS, 9 * SET_BACK_NS], [0, 1, 0, 7]
    assert frames_set_back([capture(times, interfaces)])[0].size == 0


@given(st.lists(st.integers(0, 5 * SET_BACK_NS), max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_slices_show_what_the_file_shows(times, cuts):
    whole = capture(times)
    found = FramesSetBack(1)
    cuts = [0, *sorted(min(cut, len(times)) for cut in cuts), len(times)]
    for begin, end in pairwise(cuts):
        found.see(0, replace(whole, records=whole.records[begin:end], first=begin))
    assert found.frames()[0].tolist() == frames_set_back([whole])[0].tolist()


CLOCKS = [
    Clock(node="a", offset_ns=0, error_ns=0, basis="reference"),
    Clock(
        node="b",
        offset_ns=1000,
        error_ns=1,
        basis="9 packets",
        pieces=(
            Piece(start_ns=0, offset_ns=1000, drift=0.0, error_ns=1),
            Piece(start_ns=500, offset_ns=-3000, drift=0.0, error_ns=1, epoch=1),
        ),
    ),
]
TOPOLOGY = SimpleNamespace(
    file_nodes=["a", "b"], namespaces=[SimpleNamespace(node="a"), SimpleNamespace(node="b"), SimpleNamespace(node="b")]
)


@pytest.mark.parametrize(("set_back", "expected"), [([3], [10, 600 - 1000, 700 + 3000]), ([], [10, 3600, 3700])])
def test_the_frames_tell_which_of_two_equal_times_it_is(set_back, expected):
    """Where no file shows that the clock was set back, the times tell by themselves."""
    rows = np.zeros(3, SIGHTING)
    rows["time_ns"], rows["namespace"] = [10, 600, 700], [0, 1, 2]
    rows["file"], rows["frame"] = [0, 1, 1], [1, 2, 3]
    frames = [np.empty(0, np.int64), np.array(set_back, np.int64)]
    assert sightings_on_reference(rows, CLOCKS, TOPOLOGY, frames).tolist() == expected


def test_messages_go_by_their_times():
    rows = np.zeros(3, CONNTRACK)
    rows["time_ns"], rows["namespace"], rows["id"] = [10, 400, 700], [0, 1, 2], [1, 2, 3]
    found = messages_on_reference(rows, CLOCKS, TOPOLOGY)
    assert found["time_ns"].tolist() == [10, 400 - 1000, 700 + 3000]
    assert found["id"].tolist() == [1, 2, 3]
    assert rows["time_ns"].tolist() == [10, 400, 700]
