"""order_hops does what its plain twin says, on few namespaces, stations and times, so that everything meets."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttrace.correlate.hops.order import order_hops
from ttrace.correlate.hops.stations import Station
from ttrace.correlate.netfilter.numbers import Hook
from ttrace.correlate.nodes.topology import Role
from ttrace.correlate.schema import SIGHTING, TOLD
from ttrace.correlate.sightings import EVALUATION, FRAME
from ttrace.pcapng.blocks import Direction

from . import twins
from .twins import Seen

pytestmark = pytest.mark.slow

POINTS = [(0, Role.DEVICE), (0, Role.PORT), (1, Role.DEVICE), (2, Role.DEVICE)]
"""Namespace and role of each capture point; namespace 3 has none."""
TOPOLOGY = SimpleNamespace(
    points=[SimpleNamespace(index=i, namespace=n, role=role) for i, (n, role) in enumerate(POINTS)],
    namespaces=[SimpleNamespace(index=n, bridge_nf=False, links={}) for n in range(4)],
)
STATIONS = {
    (Role.DEVICE, Direction.IN): Station.DEVICE_IN, (Role.DEVICE, Direction.OUT): Station.DEVICE_OUT,
    (Role.PORT, Direction.IN): Station.PORT_IN, (Role.PORT, Direction.OUT): Station.PORT_OUT,
}  # fmt: skip
HOOKS = [Hook.PREROUTING, Hook.FORWARD, Hook.INPUT, Hook.OUTPUT, Hook.POSTROUTING]

packets, times = st.integers(0, 1), st.integers(0, 5)
frames = st.tuples(packets, times, st.integers(0, len(POINTS) - 1), st.sampled_from([Direction.IN, Direction.OUT]))
told = st.tuples(packets, times, st.integers(0, 3), st.sampled_from(HOOKS))
met = Counter()
"""What the examples were about."""


@st.composite
def scenes(draw):
    """(frames, what was told, its turns in the socket, rank of each frame that has one)."""
    seen, said = draw(st.lists(frames, max_size=8)), draw(st.lists(told, max_size=8))
    ranks = draw(st.lists(st.integers(0, 5), min_size=len(seen), max_size=len(seen))) if draw(st.booleans()) else None
    return seen, said, draw(st.permutations(range(len(said)))), ranks


def ordered(scene):
    """What order_hops makes of it: packet to its (row, visit) in order."""
    seen, said, turns, ranks = scene
    rows = np.zeros(len(seen) + len(said), SIGHTING)
    for row, (_, _, place, direction) in zip(rows, seen, strict=False):
        row["kind"], row["place"], row["direction"], row["namespace"] = FRAME, place, direction, POINTS[place][0]
    columns = np.zeros(len(said), TOLD)
    for row, told_, (_, _, namespace, hook), turn in zip(rows[len(seen) :], columns, said, turns, strict=True):
        row["kind"], row["namespace"] = EVALUATION, namespace
        told_["hook"], told_["order"] = hook, turn
    every = [*seen, *said]
    packet, times_ns = (np.array([one[k] for one in every], np.int64) for k in (0, 1))
    rank = np.array(ranks if ranks is not None else [-1] * len(seen), np.int8)
    hops = order_hops(rows, times_ns, packet, columns, TOPOLOGY, rank)
    found = {}
    for hop in hops:
        found.setdefault(int(hop["packet"]), []).append((int(hop["sighting"]), int(hop["visit"])))
    return found


def expected(scene):
    seen, said, turns, ranks = scene
    of_packet = {}
    for row, (packet, time, place, direction) in enumerate(seen):
        namespace, role = POINTS[place]
        key = time if ranks is None else ranks[row]
        of_packet.setdefault(packet, []).append(Seen(row, False, namespace, STATIONS[role, direction], key))
    for row, ((packet, time, namespace, hook), turn) in enumerate(zip(said, turns, strict=True), len(seen)):
        of_packet.setdefault(packet, []).append(Seen(row, True, namespace, Station[hook.name], time, turn))
    return {packet: twins.order(members) for packet, members in of_packet.items()}


@settings(max_examples=400, deadline=None, derandomize=True)
@given(scenes())
def test_hops_are_in_the_order_that_the_twin_says(scene):
    way = expected(scene)
    assert ordered(scene) == way
    for hops in way.values():
        met["several visits"] += hops[-1][1] > 0
        met["frames and messages"] += bool(scene[0]) and bool(scene[1])
        met["ranked"] += scene[3] is not None


def test_the_examples_were_about_what_matters():
    test_hops_are_in_the_order_that_the_twin_says()
    assert min(met[what] for what in ("several visits", "frames and messages", "ranked")) > 50
