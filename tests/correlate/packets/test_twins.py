"""match_packets does what its plain twin says, on few places, times and payloads, so that everything meets."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttrace.correlate.packets.apart import WHERE
from ttrace.correlate.packets.match import match_packets
from ttrace.correlate.schema import OUTER, SIGHTING, TOLD
from ttrace.correlate.sightings import EVALUATION, FRAME

from . import twins
from .twins import Place, Seen

pytestmark = pytest.mark.slow

compared = settings(max_examples=500, deadline=None, derandomize=True)
STEP_NS = 450_000_000
"""Two seconds are a little more than four steps."""
POINTS = {0: 0, 1: 0, 2: 1, 3: 2}
"""Capture point to its namespace."""
CHAINS = {10: 0, 11: 0, 12: 1, 13: 3}
"""The same of chains; namespace 3 is seen by no capture point."""
PLACES = {
    error_ns: [
        Place(node=0, machine=0, uplink=False, error_ns=0),
        Place(node=0, machine=0, uplink=True, error_ns=0),
        Place(node=1, machine=1, uplink=True, error_ns=error_ns),
        Place(node=2, machine=1, uplink=True, error_ns=error_ns),
    ]
    for error_ns in (1000, 200_000_000, -1)
}
"""The capture points, by the error of the second machine's clock."""

one_time = st.tuples(st.integers(0, 14), st.sampled_from([0, 0, 5000, 20_000])).map(lambda t: t[0] * STEP_NS + t[1])
one_error = st.sampled_from(sorted(PLACES))
runs = {"way": st.sampled_from([0, 0, 1]), "content": st.sampled_from([5, 5, 5, 6])}
seen_frames = st.fixed_dictionaries({
    **runs, "time_ns": one_time, "place": st.sampled_from(sorted(POINTS)), "direction": st.sampled_from([0, 1, 2]),
    "fragment_offset": st.sampled_from([0, 0, 0, 185]), "flow": st.sampled_from([70, 71]),
    "ttl": st.sampled_from([64, 64, 63]), "payload": st.sampled_from([0, 0, 8, 9]),
    "residue": st.sampled_from([0, 0, 3, 4]),
})  # fmt: skip
plain_frames = st.fixed_dictionaries({
    "way": st.just(0), "content": st.just(5), "time_ns": one_time, "place": st.sampled_from(sorted(POINTS)),
    "direction": st.just(1),
})  # fmt: skip
told = st.fixed_dictionaries({**runs, "time_ns": one_time, "place": st.sampled_from(sorted(CHAINS))})


def numbered(frames, evaluations, orders):
    """Sightings in the order of their table: frames first."""
    found = [Seen(row=row, told=False, namespace=POINTS[one["place"]], **one) for row, one in enumerate(frames)]
    for one, order in zip(evaluations, orders, strict=True):
        found.append(Seen(row=len(found), told=True, namespace=CHAINS[one["place"]], order=order, **one))
    return found


@st.composite
def any_sightings(draw):
    frames = draw(st.one_of(st.lists(seen_frames, max_size=14), st.lists(plain_frames, max_size=14)))
    evaluations = draw(st.lists(told, max_size=10))
    return numbered(frames, evaluations, draw(st.permutations(range(len(evaluations)))))


@st.composite
def equal_packets(draw):
    """As many at one point as at the other, and as many in a chain: only turn and time tell them apart."""
    count = draw(st.integers(1, 5))
    places = draw(st.lists(st.sampled_from(sorted(POINTS)), min_size=1, max_size=3, unique=True))
    chains = draw(st.lists(st.sampled_from(sorted(CHAINS)), max_size=2, unique=True))
    late = st.lists(st.integers(0, 3), min_size=count, max_size=count)
    frames = [
        {"way": 0, "content": 5, "time_ns": number * STEP_NS + delay * 300_000_000, "place": place, "direction": 1}
        for place in places
        for number, delay in enumerate(draw(late))
    ]
    evaluations = [
        {"way": 0, "content": 5, "time_ns": number * STEP_NS + delay * 600_000_000, "place": chain}
        for chain in chains
        for number, delay in enumerate(draw(late))
    ]
    return numbered(frames, evaluations, draw(st.permutations(range(len(evaluations)))))


def tables(sightings, error_ns):
    """SIGHTING and TOLD rows, and the arguments of match_packets."""
    rows = np.zeros(len(sightings), SIGHTING)
    for row, seen in zip(rows, sightings, strict=True):
        row["kind"] = EVALUATION if seen.told else FRAME
        row["frame"] = seen.row + 1
        row["fragment"] = seen.fragment_offset
        for name in ("place", "namespace", "direction", "content", "flow", "ttl", "payload", "residue"):
            row[name] = getattr(seen, name)
    said = np.zeros(sum(seen.told for seen in sightings), TOLD)
    said["order"] = [seen.order for seen in sightings if seen.told]
    times_ns = np.array([seen.time_ns for seen in sightings], np.int64)
    ways = np.array([seen.way for seen in sightings], np.int64)
    where = np.zeros(len(POINTS), WHERE)
    for row, place in zip(where, PLACES[error_ns], strict=True):
        for name in ("node", "machine", "uplink", "error_ns"):
            row[name] = getattr(place, name)
    return rows, times_ns, SimpleNamespace(way=ways, session=ways), said, where, np.empty(0, OUTER)


def assert_same(sightings, error_ns=1000):
    matched = match_packets(*tables(sightings, error_ns))
    expected = twins.match(sightings, PLACES[error_ns])
    assert matched.count == len(expected)
    groups = [sorted(np.flatnonzero(matched.packet == number).tolist()) for number in range(matched.count)]
    assert groups == [sorted(seen.row for seen in packet.members) for packet in expected]
    assert matched.ambiguous.tolist() == [packet.ambiguous for packet in expected]


@compared
@given(any_sightings(), one_error)
def test_any_sightings_are_matched_as_the_twin_says(sightings, error_ns):
    assert_same(sightings, error_ns)


@compared
@given(equal_packets(), one_error)
def test_equal_packets_are_matched_as_the_twin_says(sightings, error_ns):
    assert_same(sightings, error_ns)


def test_more_equal_packets_than_are_looked_at_are_matched_as_the_twin_says():
    """Of an early run of them, the oldest are out of sight for the one point that sees a few."""
    frames = [{"way": 0, "content": 5, "time_ns": n * 1000, "place": 0, "direction": 1} for n in range(150)]
    frames += [{"way": 0, "content": 5, "time_ns": 10**6 + n, "place": 2, "direction": 1} for n in range(90)]
    evaluations = [{"way": 0, "content": 5, "time_ns": n * 2000, "place": 13} for n in range(90)]
    assert_same(numbered(frames, evaluations, range(90)))
