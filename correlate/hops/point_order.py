"""In which order the packets of one direction pass its points, decided by all of them together.

For plain captures: nothing but times, TTL and addresses tells which of two points came first. Times of one packet may
tie within a microsecond, or come from two clocks that are known to some microseconds only; but the packets of a
connection go the same way one after the other, so together they tell (way_order.py), its answers come back the other
way (two_ways.py), and who was translated is not translated back and forth.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit, uncounted_njit
from ...kernels.threads import run_all
from ..arrays.grouping import Runs, runs_of_ids
from ..arrays.hashing import mix
from ..clocks.clock import Clock
from ..nodes.topology import Topology
from .order_in_doubt import find_doubtful, leave_others
from .two_ways import compare_ways
from .way_order import MOST_VIEWS, Views, best_order, prefer_all
from .weights import WEIGHTS, hops_left, weigh


class _Seen(NamedTuple):
    """Columns that are looked at again and again: of every sighting, or of those of one way by packet and time."""

    packet: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]
    key: npt.NDArray[np.uint64]
    """Of its view."""
    hops_left: npt.NDArray[np.int64]
    """What of its TTL is compared (weights.py)."""
    node: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PointOrder:
    """Per observation: its place on the way of its direction."""

    rank: npt.NDArray[np.int8]
    """Smaller comes first; -1 where the packet's own times (or the kernel's words) decide."""
    doubtful: npt.NDArray[np.bool_]
    """Nothing says that it comes behind the hop before it, and not before that."""


def order_points(
    observations: npt.NDArray[np.void],
    outers: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    packet: npt.NDArray[np.int64],
    way: npt.NDArray[np.int64],
    traced: npt.NDArray[np.int64],
    topology: Topology,
    clocks: list[Clock],
) -> PointOrder:
    """Rank the points of every direction that was only captured where no snapshot describes the namespace.

    `observations`: SIGHTING rows; `outers`: the OUTER rows they name; `times_ns` (on the reference clock), `packet`,
    `way`: theirs; `traced`: packets of the evaluations.
    """
    rank = np.full(observations.size, -1, np.int8)
    doubtful = np.zeros(observations.size, np.bool_)
    known = np.array([n.known for n in topology.namespaces] or [True], np.bool_)
    if known.all():
        return PointOrder(rank, doubtful)
    # A packet that was also seen where the kernel tells its way is ordered by that.
    mixed = np.zeros(int(packet.max(initial=-1)) + 1, np.bool_)
    mixed[traced[traced < mixed.size]] = True
    rows = _rows_without_order(observations, packet, known, mixed)
    if rows.size == 0:
        return PointOrder(rank, doubtful)
    by_packet = runs_of_ids(packet, mixed.size, rows).sorted_by(times_ns)
    ways = runs_of_ids(way, (int(way.max()) | 1) + 1, by_packet.rows)  # each beside the way of its answers
    certainty = np.array([clock.certainty for clock in clocks], np.float64)
    nodes = topology.node_numbers()
    # What is looked at again and again stands together: a sighting is 128 bytes, and those of a way are far apart.
    seen = _Seen(packet, times_ns, *_describe(observations, outers, nodes))

    def rank_ways(some: Runs) -> None:
        start = ways.start[2 * some.first : 2 * (some.first + some.start.size - 1) + 1]
        _rank(some.rows, start, seen, observations, nodes, certainty, rank, doubtful)

    run_all(rank_ways, Runs(ways.rows, ways.start[::2]).pieces())
    return PointOrder(rank, doubtful)


@njit(cache=True, nogil=True)
def _rows_without_order(observations, packet, known, mixed):
    """IP packets where nothing is `known` of the namespace, but those that are `mixed`, in which those are marked that
    were seen where something is."""
    for i in range(observations.size):
        if known[observations[i].namespace]:
            mixed[packet[i]] = True
    found = np.empty(observations.size, np.int64)
    count = 0
    for i in range(observations.size):
        row = observations[i]
        if row.ip_version > 0 and not known[row.namespace] and not mixed[packet[i]]:
            found[count] = i
            count += 1
    return found[:count].copy()


@njit(cache=True)
def _key(row):
    """Point, direction, addresses, in a tunnel or not: a hairpin passes one point under two."""
    way = (np.uint64(row.direction) << np.uint64(1)) | np.uint64(row.outer > 0)
    return mix(row.flow, (np.uint64(row.place) << np.uint64(3)) | way)


@njit(cache=True)
def _describe(sightings, outers, node_of_namespace):
    """What tells the views of a way apart, TTL and node of every sighting."""
    key = np.empty(sightings.size, np.uint64)
    left = np.empty(sightings.size, np.int64)
    node = np.empty(sightings.size, np.uint16)
    for i in range(sightings.size):
        row = sightings[i]
        key[i] = _key(row)
        left[i] = hops_left(row, outers)
        node[i] = node_of_namespace[row.namespace]
    return key, left, node


@njit(cache=True, nogil=True)
def _rank(order, start, seen, sightings, node_of_namespace, certainty, rank, doubtful):
    """`order`, `start`: the sightings of each direction, by packet and time; the two of a connection side by side."""
    largest = 0
    for way in range(0, start.size - 1, 2):
        largest = max(largest, start[way + 2] - start[way])
    room = _room(largest)
    view, found, doubt = np.empty(largest, np.int64), np.empty(largest, np.int8), np.empty(largest, np.bool_)
    sides = _views(sightings, node_of_namespace), _views(sightings, node_of_namespace)
    counts, keys = np.empty(2, np.int64), np.empty(MOST_VIEWS, np.uint64)
    for way in range(0, start.size - 1, 2):
        begin, size = start[way], start[way + 2] - start[way]
        middle = start[way + 1] - begin
        undecided = False
        for side in range(2):
            first, last = (0, middle) if side == 0 else (middle, size)
            rows = order[begin + first : begin + last]
            _gather(seen, rows, room, first)
            one = _part(room, first, last)
            counts[side] = _number_views(one, sightings, rows, view[first:last], sides[side].example, keys)
            if counts[side] > 1:
                weigh(one, view[first:last], counts[side], sides[side].weights, certainty)
                undecided |= prefer_all(counts[side], sides[side])
        if undecided and counts.min() > 1:
            ways = _part(room, 0, middle), _part(room, middle, size)
            compare_ways(ways, (view[:middle], view[middle:size]), counts, sides)
        for side in range(2):
            first, last = (0, middle) if side == 0 else (middle, size)
            if counts[side] < 1:
                continue
            one = _part(room, first, last)
            _rank_way(one, counts[side], sides[side], view[first:last], found[first:last], doubt[first:last])
            _put(order[begin + first : begin + last], found[first:last], rank)
            _put(order[begin + first : begin + last], doubt[first:last], doubtful)


@njit(cache=True)
def _views(sightings, node_of_namespace):
    weights = np.empty((WEIGHTS, MOST_VIEWS, MOST_VIEWS), np.int64)
    preferred = np.empty((MOST_VIEWS, MOST_VIEWS), np.int64)
    return Views(sightings, node_of_namespace, np.empty(MOST_VIEWS, np.int64), weights, preferred)


@njit(cache=True)
def _room(size):
    return _Seen(
        np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.uint64), np.empty(size, np.int64),
        np.empty(size, np.int64),
    )  # fmt: skip


@njit(cache=True, inline="always")
def _part(room, first, last):
    return _Seen(
        room.packet[first:last], room.times[first:last], room.key[first:last], room.hops_left[first:last],
        room.node[first:last],
    )  # fmt: skip


@uncounted_njit
def _gather(seen, rows, room, at):
    """The columns of some rows, close together, in the room from `at` on."""
    for i in range(rows.size):
        row = rows[i]
        room.packet[at + i] = seen.packet[row]
        room.times[at + i] = seen.times[row]
        room.key[at + i] = seen.key[row]
        room.hops_left[at + i] = seen.hops_left[row]
        room.node[at + i] = seen.node[row]


@uncounted_njit
def _put(rows, values, column):
    for i in range(rows.size):
        column[rows[i]] = values[i]


@njit(cache=True, inline="always")
def _rank_way(one, count, views, view, rank, doubtful):
    """One way: find the order that contradicts least."""
    doubtful[:] = False
    if count == 1:
        rank[:] = 0
        return
    way = best_order(count, views)
    place = np.empty(count, np.int64)
    for i in range(count):
        place[way[i]] = i
    _take(place, view, rank)
    find_doubtful(one.packet, view, way, place, views, doubtful)
    leave_others(one, rank, doubtful)


@uncounted_njit
def _take(values, index, out):
    for i in range(index.size):
        out[i] = values[index[i]]


@uncounted_njit
def _number_views(one, sightings, rows, view, example, keys):
    """Number the distinct keys, a repeated one of the same packet apart; -1 when they are more than there is room for
    in `keys`."""
    views = 0
    first = 0
    for i in range(rows.size):
        if one.packet[i] != one.packet[first]:
            first = i
        key = one.key[i]
        passes = 0
        for j in range(first, i):
            passes += one.key[j] == key
        if passes > 0 and sightings[rows[i]].fragment == 0:
            key = mix(key, np.uint64(passes))
        found = -1
        for v in range(views):
            if keys[v] == key:
                found = v
                break
        if found < 0:
            if views == keys.size:
                return -1
            found = views
            keys[views] = key
            example[views] = rows[i]
            views += 1
        view[i] = found
    return views
