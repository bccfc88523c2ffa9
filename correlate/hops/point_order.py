"""In which order the packets of one direction pass its points, decided by all of them together.

For plain captures: nothing but times, TTL and addresses tells which of two points came first. Times of one packet may
tie within a microsecond, or come from two clocks that are known to some microseconds only; but the packets of a
connection go the same way one after the other, so together they tell. Weighed in this order: times of one clock,
times of two clocks that differ by more than the error between them, TTL (which somebody may have rewritten), then the
order with the fewest rewrites (who was translated is not translated back and forth), then whatever the times seem to
say.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...kernels.threads import run_all
from ..arrays.grouping import Runs, runs_of_ids
from ..arrays.hashing import mix
from ..clocks.align import Clock
from ..nodes.topology import Topology

_MOST_VIEWS: Final = 24
"""Ways with more points keep the order of their times."""
_COARSE_NS: Final = 2_000
"""Two times of one clock tell an order when they are further apart: tcpdump cuts to microseconds, and several CPUs take
them."""
_MOST_TRIED: Final = 6
"""Of so many points all orders are tried; longer ways are sorted without looking at rewrites."""


@dataclass(frozen=True, slots=True)
class PointOrder:
    """Per observation: its place on the way of its direction."""

    rank: npt.NDArray[np.int8]
    """Smaller comes first; -1 where the packet's own times (or the kernel's words) decide."""
    doubtful: npt.NDArray[np.bool_]
    """Nothing says that it comes behind the hop before it, and not before that."""


def order_points(
    observations: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    packet: npt.NDArray[np.int64],
    direction_group: npt.NDArray[np.int64],
    traced: npt.NDArray[np.int64],
    topology: Topology,
    clocks: list[Clock],
) -> PointOrder:
    """Rank the points of every direction that was only captured where no snapshot describes the namespace.

    `observations`: SIGHTING rows; `times_ns` (on the reference clock), `packet`, `direction_group`: theirs;
    `traced`: packets of the evaluations.
    """
    rank = np.full(observations.size, -1, np.int8)
    doubtful = np.zeros(observations.size, np.bool_)
    known = np.array([n.known for n in topology.namespaces] or [True], np.bool_)
    rows = np.flatnonzero(~known[observations["namespace"]] & (observations["ip_version"] > 0))
    if rows.size == 0:
        return PointOrder(rank, doubtful)
    # A packet that was also seen where the kernel tells its way is ordered by that.
    mixed = np.zeros(int(packet.max()) + 1, np.bool_)
    mixed[packet[known[observations["namespace"]]]] = True
    mixed[traced[traced < mixed.size]] = True
    rows = rows[~mixed[packet[rows]]]
    by_packet = runs_of_ids(packet, mixed.size, rows).sorted_by(times_ns)
    ways = runs_of_ids(direction_group, int(direction_group.max()) + 1, by_packet.rows)
    error = np.array([-1 if c.error_ns is None else c.error_ns for c in clocks], np.int64)
    nodes = topology.node_numbers()
    # What is looked at again and again stands together: a sighting is 160 bytes, and those of a way are far apart.
    key, ttl, node = _describe(observations, nodes)

    def rank_ways(some: Runs) -> None:
        _rank(some.rows, some.start, packet, times_ns, key, ttl, node, observations, nodes, error, rank, doubtful)

    run_all(rank_ways, ways.pieces())
    return PointOrder(rank, doubtful)


@njit(cache=True)
def _key(row):
    """Point, direction, addresses, in a tunnel or not: a hairpin passes one point under two."""
    way = (np.uint64(row.direction) << np.uint64(1)) | np.uint64(row.outer > 0)
    return mix(row.flow, (np.uint64(row.place) << np.uint64(3)) | way)


@njit(cache=True)
def _describe(sightings, node_of_namespace):
    """What tells the views of a way apart, TTL and node of every sighting."""
    key = np.empty(sightings.size, np.uint64)
    ttl = np.empty(sightings.size, np.uint8)
    node = np.empty(sightings.size, np.uint16)
    for i in range(sightings.size):
        row = sightings[i]
        key[i] = _key(row)
        ttl[i] = row.ttl
        node[i] = node_of_namespace[row.namespace]
    return key, ttl, node


@njit(cache=True, nogil=True)
def _rank(order, start, packet, times, keys, ttls, nodes, sightings, node_of_namespace, error, rank, doubtful):
    """`order`, `start`: the sightings of each direction, by packet and time; `keys`, `ttls`, `nodes`: of every
    sighting."""
    largest = 0
    for way in range(start.size - 1):
        largest = max(largest, start[way + 1] - start[way])
    key = np.empty(largest, np.uint64)
    ttl = np.empty(largest, np.int64)
    node = np.empty(largest, np.int64)
    of_packet = np.empty(largest, np.int64)
    time = np.empty(largest, np.int64)
    view = np.empty(largest, np.int64)
    found = np.empty(largest, np.int8)
    doubt = np.empty(largest, np.bool_)
    example = np.empty(_MOST_VIEWS, np.int64)
    weights = np.empty((4, _MOST_VIEWS, _MOST_VIEWS), np.int64)
    preferred = np.empty((_MOST_VIEWS, _MOST_VIEWS), np.int64)
    for way in range(start.size - 1):
        rows = order[start[way] : start[way + 1]]
        if rows.size == 0:
            continue
        size = rows.size
        for i in range(size):
            row = rows[i]
            key[i] = keys[row]
            ttl[i] = ttls[row]
            node[i] = nodes[row]
            of_packet[i] = packet[row]
            time[i] = times[row]
        views = _number_views(key[:size], sightings, rows, of_packet[:size], view[:size], example)
        if views < 0:
            continue
        doubt[:size] = False
        _weigh(of_packet[:size], time[:size], ttl[:size], view[:size], views, weights)
        _rank_way(
            of_packet[:size], time[:size], node[:size], sightings, node_of_namespace, error, views, view[:size],
            example, weights, preferred, found[:size], doubt[:size],
        )  # fmt: skip
        for i in range(size):
            rank[rows[i]] = found[i]
            doubtful[rows[i]] = doubt[i]


@njit(cache=True)
def _rank_way(
    packet, times, node, sightings, node_of_namespace, error, views, view, example, weights, preferred, rank, doubtful
):
    """One direction: prefer one or the other view of every pair, and find the order that contradicts least."""
    evidence = False
    for a in range(views):
        for b in range(views):
            preferred[a, b] = _prefer(a, b, example, sightings, node_of_namespace, error, weights)
            evidence |= preferred[a, b] >= 2
    way = _best_order(views, preferred, example, sightings)
    place = np.empty(views, np.int64)
    for i in range(views):
        place[way[i]] = i
    for i in range(view.size):
        rank[i] = place[view[i]]
    _doubt(packet, sightings, view, place, example, preferred, evidence, doubtful)
    _leave_others(packet, times, node, rank, doubtful)


@njit(cache=True)
def _number_views(keys_of_rows, sightings, rows, packet, view, example):
    """Number the distinct keys, a repeated one of the same packet apart; -1 when they are too many."""
    keys = np.empty(_MOST_VIEWS, np.uint64)
    views = 0
    first = 0
    for i in range(rows.size):
        if packet[i] != packet[first]:
            first = i
        key = keys_of_rows[i]
        passes = 0
        for j in range(first, i):
            passes += keys_of_rows[j] == key
        if passes > 0 and sightings[rows[i]].fragment == 0:
            key = mix(key, np.uint64(passes))
        found = -1
        for v in range(views):
            if keys[v] == key:
                found = v
                break
        if found < 0:
            if views == _MOST_VIEWS:
                return -1
            found = views
            keys[views] = key
            example[views] = rows[i]
            views += 1
        view[i] = found
    return views


@njit(cache=True)
def _weigh(packet, times, ttl, view, views, weights):
    """Per pair of views: packets that were earlier at the first, minus later; that had the higher TTL there, minus the
    lower; the sum of their delays from the first to the second; packets seen at both."""
    weights[:, :views, :views] = 0
    before, higher, delay, shared = weights[0], weights[1], weights[2], weights[3]
    first = 0
    for i in range(packet.size):
        if packet[i] != packet[first]:
            first = i
        for j in range(first, i):
            a, b = view[j], view[i]
            if a == b:
                continue
            took = times[i] - times[j]
            drop = ttl[j] - ttl[i]
            earlier = np.int64(took > 0) - np.int64(took < 0)
            higher_there = np.int64(drop > 0) - np.int64(drop < 0)
            before[a, b] += earlier
            before[b, a] -= earlier
            higher[a, b] += higher_there
            higher[b, a] -= higher_there
            delay[a, b] += took
            delay[b, a] -= took
            shared[a, b] += 1
            shared[b, a] += 1


@njit(cache=True)
def _prefer(a, b, example, sightings, node, error, weights):
    """How much says that view a comes before b: 4 the times of one clock, 3 those of two, 2 TTL, 1 a guess; 0 nothing;
    negative: the other way round."""
    before, higher, delay, shared = weights[0], weights[1], weights[2], weights[3]
    if a == b or shared[a, b] == 0:
        return 0
    first, second = node[sightings[example[a]].namespace], node[sightings[example[b]].namespace]
    if first == second and before[a, b] != 0:
        return 4 if before[a, b] > 0 else -4
    mean = delay[a, b] / shared[a, b]
    bounded = first != second and error[first] >= 0 and error[second] >= 0
    if bounded and abs(mean) >= error[first] + error[second] and mean != 0:
        return 3 if mean > 0 else -3
    if higher[a, b] != 0:
        return 2 if higher[a, b] > 0 else -2
    if first == second:
        return 0
    return 1 if mean > 0 else -1 if mean < 0 else 0


@njit(cache=True)
def _changed(a, b):
    """Whether (source, destination) was rewritten between two sightings."""
    source = a.source_low != b.source_low or a.source_high != b.source_high or a.source_port != b.source_port
    destination = (
        a.destination_low != b.destination_low
        or a.destination_high != b.destination_high
        or a.destination_port != b.destination_port
    )
    return np.int64(source), np.int64(destination)


@njit(cache=True)
def _changes(a, b):
    """How many of its ends were rewritten between two sightings."""
    source, destination = _changed(a, b)
    return source + destination


@njit(cache=True)
def _cost(way, preferred, rewrites):
    """Contradictions by weight, in the digits of one number: one clock, two clocks, TTL, rewrites, guesses."""
    against = np.zeros(5, np.int64)
    changes = 0
    for i in range(way.size):
        if i > 0:
            changes += rewrites[way[i - 1], way[i]]
        for j in range(i + 1, way.size):
            said = preferred[way[i], way[j]]
            if said < 0:
                against[-said] += 1
    return (((against[4] * 64 + against[3]) * 64 + against[2]) * 64 + changes) * 64 + against[1]


@njit(cache=True)
def _best_order(views, preferred, example, sightings):
    way = np.arange(views)
    # Insertion: each view in front of those it is preferred to.
    for i in range(1, views):
        j = i
        while j > 0 and preferred[way[j], way[j - 1]] > 0:
            way[j], way[j - 1] = way[j - 1], way[j]
            j -= 1
    if views == 1 or views > _MOST_TRIED:
        return way
    rewrites = np.zeros((views, views), np.int64)
    for a in range(views):
        for b in range(views):
            rewrites[a, b] = _changes(sightings[example[a]], sightings[example[b]])
    best = way.copy()
    least = _cost(way, preferred, rewrites)
    # No order can have fewer rewrites than there are other ends than the first.
    bound = 0
    for a in range(1, views):
        new_source, new_destination = 1, 1
        for b in range(a):
            source, destination = _changed(sightings[example[a]], sightings[example[b]])
            new_source &= source
            new_destination &= destination
        bound += new_source + new_destination
    # Heap's algorithm: every order once, each by one exchange.
    counter = np.zeros(views, np.int64)
    i = 1
    while i < views and least > bound * 64:
        if counter[i] < i:
            k = 0 if i % 2 == 0 else counter[i]
            way[k], way[i] = way[i], way[k]
            cost = _cost(way, preferred, rewrites)
            if cost < least:
                least = cost
                best[:] = way
            counter[i] += 1
            i = 1
        else:
            counter[i] = 0
            i += 1
    return best


@njit(cache=True)
def _doubt(packet, sightings, view, place, example, preferred, evidence, doubtful):
    """Mark the hops of each packet that nothing but a guess puts behind the hop before."""
    certain = np.empty((place.size, place.size), np.bool_)
    for a in range(place.size):
        for b in range(place.size):
            certain[a, b] = a == b or _certain(a, b, example, sightings, preferred, evidence)
    if certain.all():
        return
    latest = np.full(place.size, -1, np.int64)  # row of the current packet, by place on the way
    first = 0
    for i in range(packet.size + 1):
        if i == packet.size or packet[i] != packet[first]:
            last = -1
            for p in range(place.size):
                if latest[p] < 0:
                    continue
                if last >= 0 and not certain[view[last], view[latest[p]]]:
                    for k in range(first, i):  # all pieces of a datagram
                        doubtful[k] |= view[k] == view[latest[p]]
                last = latest[p]
            latest[:] = -1
            first = i
        if i < packet.size:
            latest[place[view[i]]] = i


@njit(cache=True)
def _leave_others(packet, times, node, rank, doubtful):
    """A packet that the times of one clock show on another way (a route changed) is ordered by its own times."""
    first = 0
    for i in range(packet.size + 1):
        if i < packet.size and packet[i] == packet[first]:
            continue
        other_way = False
        for j in range(first, i):  # in order of time
            for k in range(first, j):
                later = times[j] - times[k] > _COARSE_NS
                other_way |= node[j] == node[k] and later and rank[j] < rank[k]
        if other_way:
            rank[first:i] = -1
            doubtful[first:i] = False
        first = i


@njit(cache=True)
def _certain(a, b, example, sightings, preferred, evidence):
    """Times or TTL say it, or the addresses: the order with the fewest rewrites has its direction from another pair."""
    if abs(preferred[a, b]) >= 2:
        return True
    return evidence and _changes(sightings[example[a]], sightings[example[b]]) > 0
