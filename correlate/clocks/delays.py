"""Packets seen on two nodes -> bounds of the offset between their clocks."""

from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import Runs, group_ids
from ..nodes.topology import Topology
from ..schema import ONE_PACKET_NS
from .clouds import Cloud, Delays
from .seen_by_nodes import Flows, Seen, seen_by_nodes

_FEWEST_AGREEING: Final = 3
"""Packets: one or two of equal content may be others, sent at another time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What packets say of the second node's clock minus the first's, at times of the first's clock; all in ns."""

    upper_at_ns: npt.NDArray[np.int64]
    upper_ns: npt.NDArray[np.int64]
    lower_at_ns: npt.NDArray[np.int64]
    lower_ns: npt.NDArray[np.int64]
    packets: int
    """That they are of; of many packets only those are kept that can matter (clouds.py)."""


Pairs = dict[tuple[str, str], Delays]
"""By the names of two nodes, which are in the order of the files."""


def node_delays(observations: npt.NDArray[np.void], flows: Flows, topology: Topology, contents: Runs) -> Pairs:
    """What the packets that each two nodes share say of their clocks.

    Only unicast packets where they leave or enter a node count, and of those only the ones that every point of a node
    saw once: a repeated one could be matched with the wrong copy. Whole connections can be taken apart, and the results
    added up (add_delays). `contents`: those with equal content, maybe with other sightings behind them.
    """
    numbers = {name: i for i, name in enumerate(dict.fromkeys(topology.file_nodes))}
    seen = seen_by_nodes(observations, flows, topology, numbers, contents)
    return {
        (first, second): _between(seen, numbers[first], numbers[second]) for first, second in combinations(numbers, 2)
    }


def add_delays(some: Pairs, more: Pairs) -> Pairs:
    """Both together."""
    return {pair: delays.with_(more[pair]) if pair in more else delays for pair, delays in some.items()} | {
        pair: delays for pair, delays in more.items() if pair not in some
    }


def delay_bounds(pairs: Pairs, topology: Topology, first: str, second: str) -> Bounds:
    """The Bounds between the clocks of two nodes."""
    turned = (first, second) not in pairs
    delays = pairs[(second, first) if turned else (first, second)]
    toward, back = delays.toward, delays.back
    if _only_offset(delays):
        toward = delays.unknown
    upper_at, upper, lower_at, lower = toward.at_ns, toward.value_ns, back.at_ns, back.value_ns
    if turned:  # at times of the other clock, what was a lower bound is an upper one
        upper_at, upper, lower_at, lower = lower_at + lower, -lower, upper_at + upper, -upper
    # A timestamp is cut to the resolution of its file: the true time is up to so much later.
    return Bounds(
        upper_at_ns=upper_at,
        upper_ns=upper + _resolution_ns(topology, second),
        lower_at_ns=lower_at,
        lower_ns=lower - _resolution_ns(topology, first),
        packets=toward.packets + back.packets,
    )


def _resolution_ns(topology: Topology, node: str) -> int:
    return max((p.resolution_ns for p in topology.points if p.node == node), default=0)


@njit(cache=True, nogil=True)
def _on_both(identity, node, first, second):
    """Rows (i, j) of packets that were seen on both nodes."""
    i = np.empty(identity.size // 2, np.int64)
    j = np.empty(i.size, np.int64)
    count = 0
    at = 0
    while at < identity.size:
        a = b = -1
        packet = identity[at]
        while at < identity.size and identity[at] == packet:
            if node[at] == first:
                a = at
            elif node[at] == second:
                b = at
            at += 1
        if a >= 0 and b >= 0:
            i[count] = a
            j[count] = b
            count += 1
    return i[:count].copy(), j[:count].copy()


def _between(seen: Seen, first: int, second: int) -> Delays:
    i, j = _on_both(seen.identity, seen.node, first, second)
    toward = _goes_to_second(seen, i, j)
    go, come, unknown = toward > 0, toward < 0, toward == 0
    # Toward the second node: the last the first saw of it, and the first the second did; the other way round coming
    # back.
    first_ns, last_ns, earliest_ns = seen.first_ns[i], seen.last_ns[i], seen.earliest_ns()
    ahead, difference = seen.first_ns[j] - last_ns, (earliest_ns[j] - earliest_ns[i])[unknown]
    return Delays(
        toward=Cloud.of(last_ns[go], ahead[go], upper=True),
        back=Cloud.of(first_ns[come], (seen.last_ns[j] - first_ns)[come], upper=False),
        unknown=Cloud.of(last_ns[unknown], ahead[unknown], upper=True),
        least_ns=int(difference.min()) if difference.size else 2**62,
        most_ns=int(difference.max()) if difference.size else -(2**62),
    )


def _only_offset(delays: Delays) -> bool:
    """Nothing says from which node to which the common packets went, but several agree that the clocks are far apart.

    Then either is better than clocks taken as equal, by which they would not even be the same packets.
    """
    if delays.unknown.packets < _FEWEST_AGREEING or delays.toward.packets or delays.back.packets:
        return False
    middle = (delays.least_ns + delays.most_ns) // 2
    return abs(middle) > ONE_PACKET_NS and delays.most_ns - delays.least_ns < ONE_PACKET_NS


def _goes_to_second(seen: Seen, i: npt.NDArray[np.int64], j: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Per common packet (rows i on the first node, j on the second): 1 it went from the first node to the second, -1
    the other way round, 0 not known.

    A connection's packets tell together: by the kernel's word for the direction, by the times (the differences of its
    two ways lie on two sides of the offset), and by TTL, unless its two ways contradict: somebody rewrote it.
    """
    connection, examples = group_ids(seen.connection[i])
    toward = np.empty(i.size, np.int64)
    _tell_together(i, j, connection, examples.size, seen, seen.earliest_ns(), toward)
    return toward


@njit(cache=True, nogil=True)
def _tell_together(i, j, connection, connections, seen, first_ns, toward):
    forward, ttl = seen.forward, seen.ttl
    by_kernel = np.zeros(connections, np.int64)
    by_ttl = np.zeros((connections, 2), np.int64)
    # Differences of the times, of each of the two ways.
    least = np.full((connections, 2), np.int64(2**63 - 1))
    most = np.full((connections, 2), np.int64(-(2**63) + 1))
    for k in range(i.size):
        a, b, c = i[k], j[k], connection[k]
        sign = 1 if forward[a] else -1
        by_kernel[c] += sign * _sign(seen.direction[a] - seen.direction[b])
        side = np.int64(forward[a])
        by_ttl[c, side] += sign * _sign(ttl[a] - ttl[b])
        difference = first_ns[b] - first_ns[a]
        least[c, side] = min(least[c, side], difference)
        most[c, side] = max(most[c, side], difference)
    for k in range(i.size):
        c = connection[k]
        said = by_kernel[c]
        if said == 0 and least[c, 0] <= most[c, 0] and least[c, 1] <= most[c, 1]:
            said = np.int64(least[c, 1] > most[c, 0]) - np.int64(most[c, 1] < least[c, 0])
        if said == 0 and by_ttl[c, 0] * by_ttl[c, 1] >= 0:  # or it falls toward one node on both ways: it is set
            said = by_ttl[c, 0] + by_ttl[c, 1]
        sign = 1 if forward[i[k]] else -1
        toward[k] = sign * _sign(said)


@njit(cache=True, nogil=True)
def _sign(number):
    return np.int64(number > 0) - np.int64(number < 0)
