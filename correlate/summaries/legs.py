"""Paths -> legs: from one capture point to the next, how many packets of a connection went, how many did not arrive,
and how long it took.

A leg is told of what was seen at both its ends, so its latency is that of packets that arrived. Between two nodes it is
the difference of two clocks: `clock_error_ns` says how far off that may be.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import distinct
from ..outcomes.kinds import Outcome
from ..result.correlation import Correlation
from ..result.words import DIRECTIONS
from .steps import Steps, machines

LEG: Final = np.dtype(
    [
        ("connection", "i8"),  # index, from 0
        ("reply", "u1"),  # 1: from the server to the client
        ("from_point", "i8"),  # 4 * capture point + pcapng direction
        ("to_point", "i8"),  # -1 behind the last point that was reached
        ("packets", "i8"),  # seen at both ends
        ("lost", "i8"),  # dropped or lost behind from_point
        ("unknown", "i8"),  # last seen at from_point, and what became of them is not known
        ("timed", "i8"),  # packets that the latencies are of
        ("minimum_ns", "i8"),  # latencies; 0 when `timed` is 0
        ("median_ns", "i8"),
        ("p99_ns", "i8"),
        ("clock_error_ns", "i8"),  # half-width of the interval each latency must lie in; -1 not known
    ],
    align=True,
)
"""One leg of one way of one connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegEnd:
    """A capture point, and in which direction the packets pass it."""

    node: str
    netns: str
    interface: str
    container: str | None
    """At the far end of this port, or the one whose interface this is."""
    direction: str
    """`in`, `out`, or `unknown` where the capture does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What the packets of one way of a connection met between two capture points."""

    forward: bool
    """From the client to the server."""
    from_point: LegEnd
    to_point: LegEnd | None
    """None behind the last point that was reached."""
    packets: int
    """Seen at both ends."""
    lost: int
    """Dropped or lost behind `from_point`."""
    unknown: int
    """Last seen at `from_point`; what became of them is not known."""
    minimum_ns: int | None
    """Latencies; None where no packet has one."""
    median_ns: int | None
    p99_ns: int | None
    clock_error_ns: int | None
    """How far the latencies may be off for the clocks of two nodes; 0 on one machine, None where not known."""


def find_legs(result: Correlation, steps: Steps) -> npt.NDArray[np.void]:
    """LEG rows by connection and way, each in the order in which packets pass."""
    points = int(steps.point.max()) + 1 if steps.path.size else 1
    before = np.flatnonzero(~steps.new_path[1:])
    after = before + 1
    start = steps.way * points + steps.point
    passed, leg = distinct(start[before] * (points + 1) + steps.point[after] + 1)
    packets = np.bincount(leg, minlength=passed.size)
    outcome = outcomes_on_the_way(result)[steps.path[steps.last]]
    stopped = steps.last[outcome != Outcome.DELIVERED]
    onward = _onward(steps, before, after, stopped)
    missed = start[stopped] * (points + 1)
    missed[onward >= 0] = passed[leg[onward[onward >= 0]]]
    legs = np.union1d(passed, missed)
    table = np.zeros(legs.size, LEG)
    where, to = np.divmod(legs, points + 1)
    way, table["from_point"] = np.divmod(where, points)
    table["to_point"] = to - 1
    table["connection"], table["reply"] = np.divmod(way, 2)
    row = np.searchsorted(legs, passed)
    table["packets"][row] = packets
    unknown = outcome[outcome != Outcome.DELIVERED] == Outcome.UNKNOWN
    table["lost"] = np.bincount(np.searchsorted(legs, missed[~unknown]), minlength=legs.size)
    table["unknown"] = np.bincount(np.searchsorted(legs, missed[unknown]), minlength=legs.size)
    delay = steps.time_ns[after] - steps.time_ns[before]
    machine = machines(result)[steps.point >> 2]
    # Where one clock contradicts the order of two hops, the order is wrong, and no latency is known.
    clear = ~result.packets.ambiguous[steps.path[before]] & ((delay >= 0) | (machine[before] != machine[after]))
    _put_latencies(table, row[leg[clear]], delay[clear])
    table["clock_error_ns"] = -1
    table["clock_error_ns"][row] = _clock_errors(result, table.take(row), steps.time_ns[before], leg)
    return table.take(_in_order(steps, table, points))


def outcomes_on_the_way(result: Correlation) -> npt.NDArray[np.uint8]:
    """Per path: its Outcome. A super-packet whose pieces carry all its bytes on counts as delivered: what is
    lost of it behind that, is lost as one of those pieces."""
    outcome = result.outcomes.outcome.copy()
    packet, piece = result.segments.packet, result.segments.piece
    if packet.size:
        seen, head = result.sightings, result.head
        last = np.flatnonzero(np.append(packet[1:] != packet[:-1], True))
        packet, piece = packet[last], piece[last]
        end, reached = (
            result.shifts.numbers(seen, "sequence", head[path]).astype(np.int64) + seen["payload_length"][head[path]]
            for path in (packet, piece)
        )
        rest = (end - reached + 2**31) % 2**32 - 2**31  # sequence numbers wrap
        outcome[packet[rest <= 0]] = Outcome.DELIVERED
    return outcome


def _onward(
    steps: Steps, before: npt.NDArray[np.int64], after: npt.NDArray[np.int64], stopped: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """For each step in `stopped`, the last of a packet that went no further: a pair of steps (index into `before`)
    that shows where it was going, namely where more than half of the packets went on to; -1 for none."""
    if before.size == 0:
        return np.full(stopped.size, -1)
    ranks = int(steps.rank.max()) + 1
    pairs, example, packets = np.unique(
        steps.rank[before] * ranks + steps.rank[after], return_index=True, return_counts=True
    )
    source = pairs // ranks
    order = np.lexsort((packets, source))
    end_of_run = np.flatnonzero(np.append(source[order][1:] != source[order][:-1], True))
    most = order[end_of_run]
    total = np.diff(np.cumsum(packets[order])[end_of_run], prepend=0)
    at = np.minimum(np.searchsorted(source[most], steps.rank[stopped]), most.size - 1)
    found = (source[most[at]] == steps.rank[stopped]) & (2 * packets[most[at]] > total[at])
    return np.where(found, example[most[at]], -1)


def _put_latencies(table: npt.NDArray[np.void], leg: npt.NDArray[np.int64], delay: npt.NDArray[np.int64]) -> None:
    """Fill in minimum, median and 99th percentile of `delay` (ns) per row of the table."""
    if leg.size == 0:
        return
    order = np.lexsort((delay, leg))
    leg, delay = leg[order], delay[order]
    start = np.flatnonzero(np.append(True, leg[1:] != leg[:-1]))
    count = np.diff(np.append(start, leg.size))
    row = leg[start]
    table["timed"][row] = count
    table["minimum_ns"][row] = delay[start]
    table["median_ns"][row] = (delay[start + (count - 1) // 2] + delay[start + count // 2]) // 2
    # Nearest rank: the smallest latency that at least 99 % of the packets do not exceed, one that was measured.
    table["p99_ns"][row] = delay[start + (99 * count + 99) // 100 - 1]


def _in_order(steps: Steps, table: npt.NDArray[np.void], points: int) -> npt.NDArray[np.int64]:
    """The rows by connection, way, and then the order of their points; what leads nowhere behind the others."""
    if steps.path.size == 0:
        return np.arange(table.size)
    spots, inverse = distinct(steps.way * points + steps.point)
    rank = np.full(spots.size, np.iinfo(np.int64).max)
    np.minimum.at(rank, inverse, steps.rank)
    way = 2 * table["connection"] + table["reply"]
    begin = rank[np.searchsorted(spots, way * points + table["from_point"])]
    nowhere = table["to_point"] < 0
    end = rank[np.searchsorted(spots, way * points + np.where(nowhere, table["from_point"], table["to_point"]))]
    return np.lexsort((end, nowhere, begin, way))


def _clock_errors(
    result: Correlation, legs: npt.NDArray[np.void], times_ns: npt.NDArray[np.int64], leg: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """How far the difference of the clocks at the two points of each leg may be off, in ns; -1 not known. `times_ns`:
    when packets went there, `leg`: row of the leg of each."""
    machine = machines(result)
    start, end = legs["from_point"] >> 2, legs["to_point"] >> 2
    first_ns, last_ns = np.full(legs.size, np.iinfo(np.int64).max), np.full(legs.size, np.iinfo(np.int64).min)
    apart = np.flatnonzero((machine[start] != machine[end])[leg])
    np.minimum.at(first_ns, leg[apart], times_ns[apart])
    np.maximum.at(last_ns, leg[apart], times_ns[apart])
    clocks = {clock.node: clock.certainty for clock in result.clocks}
    certainty = [clocks[point.node] for point in result.topology.points]
    error = np.zeros(legs.size, np.int64)
    crossing = np.flatnonzero(machine[start] != machine[end])
    pairs, pair = np.unique(np.column_stack([start[crossing], end[crossing]]), axis=0, return_inverse=True)
    for number, (one, other) in enumerate(pairs.tolist()):
        rows = crossing[pair.reshape(-1) == number]
        both = certainty[one].beside(certainty[other])
        error[rows] = np.maximum(both.at(first_ns[rows]), both.at(last_ns[rows]))
    return error


def leg_values(legs: Iterable[tuple[int, ...]], ends: dict[int, LegEnd]) -> list[Leg]:
    """LEG rows, as numbers, as values; `ends` are those of `leg_ends`."""
    return [
        Leg(
            forward=not reply,
            from_point=ends[start],
            to_point=ends.get(stop),
            packets=packets,
            lost=lost,
            unknown=unknown,
            minimum_ns=minimum if timed else None,
            median_ns=median if timed else None,
            p99_ns=p99 if timed else None,
            clock_error_ns=error if error >= 0 else None,
        )
        for _, reply, start, stop, packets, lost, unknown, timed, minimum, median, p99, error in legs
    ]


def leg_ends(result: Correlation, legs: npt.NDArray[np.void]) -> dict[int, LegEnd]:
    """What each `from_point` and `to_point` of LEG rows is."""
    ends = {}
    for number in np.union1d(legs["from_point"], legs["to_point"][legs["to_point"] >= 0]).tolist():
        point = result.topology.points[number >> 2]
        ends[number] = LegEnd(
            node=point.node,
            netns=result.topology.namespaces[point.namespace].label,
            interface=point.interface,
            container=point.container,
            direction=DIRECTIONS[number & 3],
        )
    return ends
