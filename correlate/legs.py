"""Paths -> legs: from one point to the next, how many packets of a connection went, how long they took, and how many
did not arrive."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .outcomes import OUTCOMES, Outcome
from .result import Correlation


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What one direction of a connection met between two capture points; latencies in ns."""

    forward: bool
    """From the client to the server."""
    from_point: str
    """`node/interface`, with the namespace where it is not the root."""
    to_point: str | None
    """None behind the last point that was reached."""
    packets: int
    """Packets that were seen at both ends."""
    lost: int
    """Packets that were dropped or lost behind `from_point`."""
    minimum_ns: int | None
    median_ns: int | None
    p99_ns: int | None


def connection_legs(result: Correlation, number: int) -> list[Leg]:
    """The legs of one connection (by its id), in the order of the way; those of the client's packets first."""
    paths = np.flatnonzero(result.connection_of_path == number - 1)
    legs: list[Leg] = []
    for forward in (True, False):
        mine = paths[result.forward_of_path[paths] == forward]
        if mine.size:
            legs += _legs(result, mine, forward=forward)
    return legs


def _legs(result: Correlation, paths: npt.NDArray[np.int64], *, forward: bool) -> list[Leg]:
    rows, path = _frames(result, paths)
    if rows.size == 0:
        return []
    place = result.sightings["place"][rows].astype(np.int64)
    times = result.times_ns[rows]
    same = path[1:] == path[:-1]
    first, second = place[:-1][same], place[1:][same]
    delay = (times[1:] - times[:-1])[same]
    last = np.append(~same, True)
    gone = np.isin(result.outcomes.outcome[path[last]], [OUTCOMES.index(Outcome.DROPPED), OUTCOMES.index(Outcome.LOST)])
    stopped = place[last][gone]
    pairs, inverse = np.unique(np.column_stack([first, second]), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    # In the order of the way: by the mean position of the leg in its paths.
    starts = np.flatnonzero(np.append(True, path[1:] != path[:-1]))
    position = np.arange(rows.size) - np.repeat(starts, np.diff(np.append(starts, rows.size)))
    order = np.argsort([position[:-1][same][inverse == i].mean() for i in range(len(pairs))], kind="stable")
    legs = []
    for index in order:
        a, b = pairs[index]
        delays = delay[inverse == index]
        legs.append(
            Leg(
                forward=forward,
                from_point=_name(result, int(a)),
                to_point=_name(result, int(b)),
                packets=int(delays.size),
                lost=int((stopped == a).sum()),
                minimum_ns=int(delays.min()),
                median_ns=int(np.median(delays)),
                p99_ns=int(np.percentile(delays, 99)),
            )
        )
        stopped = stopped[stopped != a]
    for place_number, count in zip(*np.unique(stopped, return_counts=True), strict=True):
        legs.append(
            Leg(
                forward=forward,
                from_point=_name(result, int(place_number)),
                to_point=None,
                packets=0,
                lost=int(count),
                minimum_ns=None,
                median_ns=None,
                p99_ns=None,
            )
        )
    return legs


def _frames(result: Correlation, paths: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(sighting, path) of the captured frames of these paths, in the order of their way."""
    chosen = np.zeros(result.packets.count, np.bool_)
    chosen[paths] = True
    hops = result.hops[chosen[result.hops["packet"]] & (result.hops["sighting"] < result.observed)]
    return hops["sighting"], hops["packet"]


def _name(result: Correlation, place: int) -> str:
    point = result.topology.points[place]
    label = result.topology.namespaces[point.namespace].label
    return f"{point.node}/{point.interface}" if label == "root" else f"{point.node}/{label}/{point.interface}"


def retransmissions(result: Correlation) -> npt.NDArray[np.bool_]:
    """Per path: a TCP packet whose bytes (or SYN, FIN) another packet of its direction had carried to the same point
    before."""
    first = result.hops["sighting"][result.first_hop[:-1]]
    head = result.sightings[first]
    flags = head["tcp_flags"]
    length = head["payload_length"].astype(np.int64) + ((flags & 1) > 0) + ((flags & 2) > 0)
    sent = np.flatnonzero((head["protocol"] == 6) & (length > 0) & ((head["notes"] & 1) == 0))
    group = result.connections.direction_group[first[sent]]
    order = sent[np.lexsort((result.times_ns[first[sent]], group))]
    found = np.zeros(result.packets.count, np.bool_)
    if order.size == 0:
        return found
    group = result.connections.direction_group[first[order]]
    start = np.append(True, group[1:] != group[:-1])
    origin = np.maximum.accumulate(np.where(start, np.arange(order.size), 0))
    sequence = head["sequence"][order].astype(np.int64)
    # Relative to the first packet of the direction, so that a wrap of the 32 bits does no harm.
    begin = (sequence - sequence[origin] + 2**31) % 2**32 - 2**31
    end = begin + length[order]
    number = np.cumsum(start)
    reached = np.maximum.accumulate(end + number * 2**34) - number * 2**34
    before = np.append(np.iinfo(np.int64).min, reached[:-1])
    before[start] = np.iinfo(np.int64).min
    # A packet that first appears where others end is a cut of a super-packet, not a second try.
    place = head["place"][order]
    found[order] = (end <= before) & (place == place[origin])
    return found
