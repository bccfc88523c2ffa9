"""The order of the views of one way that contradicts least: what says which of two came first, and how much.

A view is a capture point, a direction and the addresses that a packet wears there. Weighed in this order: times of one
clock, times of two clocks that differ by more than the error between them at that time, TTL (unless it was rewritten,
as far as that shows), the order with the fewest rewrites, the times of both ways, then whatever times seem to say.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit, uncounted_njit
from .weights import DELAY, ERRORS, HIGHER, SHARED, ttl_is_set

MOST_VIEWS: Final = 24
"""Ways with more keep the order of their times."""
_MOST_TRIED: Final = 6
"""Of so many views all orders are tried; longer ways are sorted without looking at rewrites."""

ONE_CLOCK, TWO_CLOCKS, TTL, TWO_WAYS, GUESS, NOTHING = 5, 4, 3, 2, 1, 0
"""What says that one view comes before another; negative: the other way round. TWO_WAYS: as TWO_CLOCKS, but by the
answers to these packets (two_ways.py), which is tighter; where that contradicts TTL, TTL is forgotten, but who was
translated was not translated back and forth for some microseconds."""


class Views(NamedTuple):
    """What the views of a way are known by."""

    sightings: npt.NDArray[np.void]
    """SIGHTING rows of all ways."""
    node_of_namespace: npt.NDArray[np.int64]
    example: npt.NDArray[np.int64]
    """A sighting of each view."""
    weights: npt.NDArray[np.int64]
    """(WEIGHTS, views, views): see weights.py."""
    preferred: npt.NDArray[np.int64]
    """(views, views): see prefer_all."""


@uncounted_njit
def prefer_all(count, views):
    """Fill `preferred` for the first `count` views; returns whether better than times says nothing of some two."""
    undecided = False
    for a in range(count):
        for b in range(count):
            views.preferred[a, b] = _prefer(a, b, views)
            undecided |= views.weights[SHARED][a, b] > 0 and abs(views.preferred[a, b]) < TWO_CLOCKS
    return undecided


@njit(cache=True, inline="always")
def _any_evidence(count, views):
    """Whether anything better than a guess says something of the first `count` views."""
    for a in range(count):
        for b in range(count):
            if views.preferred[a, b] >= TWO_WAYS:
                return True
    return False


@njit(cache=True, inline="always")
def _prefer(a, b, views):
    """How much says that view a comes before b."""
    before, higher, delay, errors = views.weights[0], views.weights[HIGHER], views.weights[DELAY], views.weights[ERRORS]
    if a == b or views.weights[SHARED][a, b] == 0:
        return NOTHING
    one_node = _on_one_node(a, b, views)
    if one_node and before[a, b] != 0:
        return ONE_CLOCK if before[a, b] > 0 else -ONE_CLOCK
    if not one_node and errors[a, b] >= 0 and abs(delay[a, b]) >= errors[a, b] and delay[a, b] != 0:
        return TWO_CLOCKS if delay[a, b] > 0 else -TWO_CLOCKS
    if higher[a, b] != 0 and not ttl_is_set(a, b, views.weights):
        return TTL if higher[a, b] > 0 else -TTL
    return guessed(a, b, views)


@njit(cache=True, inline="always")
def guessed(a, b, views):
    """What times that prove nothing seem to say."""
    delay = views.weights[DELAY][a, b]
    if _on_one_node(a, b, views) or delay == 0:
        return NOTHING
    return GUESS if delay > 0 else -GUESS


@njit(cache=True, inline="always")
def _on_one_node(a, b, views):
    first, second = views.sightings[views.example[a]], views.sightings[views.example[b]]
    return views.node_of_namespace[first.namespace] == views.node_of_namespace[second.namespace]


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


@uncounted_njit
def _cost(way, preferred, rewrites, against):
    """Contradictions by weight, in the digits of one number: one clock, two clocks, TTL, rewrites, two ways, guess.
    `against`: room for how many there are of each."""
    against[:] = 0
    changes = 0
    for i in range(way.size):
        if i > 0:
            changes += rewrites[way[i - 1], way[i]]
        for j in range(i + 1, way.size):
            said = preferred[way[i], way[j]]
            if said < 0:
                against[-said] += 1
    against_times = (against[ONE_CLOCK] * 64 + against[TWO_CLOCKS]) * 64 + against[TTL]
    return ((against_times * 64 + changes) * 64 + against[TWO_WAYS]) * 64 + against[GUESS]


@njit(cache=True, inline="always")
def best_order(count, views):
    """The first `count` views in the order that contradicts least."""
    way = np.arange(count)
    _insert_each(way, views.preferred)
    if count == 1 or count > _MOST_TRIED:
        return way
    rewrites = np.empty((count, count), np.int64)
    _count_rewrites(views, rewrites)
    best, counter = way.copy(), np.zeros(count, np.int64)
    bound = _fewest_rewrites(count, views) * 64 * 64
    _find_least_cost(way, views.preferred, rewrites, bound, best, counter, np.empty(ONE_CLOCK + 1, np.int64))
    return best


@uncounted_njit
def _insert_each(way, preferred):
    """Put each view in front of those it is preferred to."""
    for i in range(1, way.size):
        j = i
        while j > 0 and preferred[way[j], way[j - 1]] > 0:
            way[j], way[j - 1] = way[j - 1], way[j]
            j -= 1


@uncounted_njit
def _count_rewrites(views, rewrites):
    """How many ends were rewritten between every two views."""
    for a in range(rewrites.shape[0]):
        for b in range(rewrites.shape[0]):
            rewrites[a, b] = _changes(views.sightings[views.example[a]], views.sightings[views.example[b]])


@uncounted_njit
def _fewest_rewrites(count, views):
    """No order can have fewer than there are other ends than the first."""
    bound = 0
    for a in range(1, count):
        new_source, new_destination = 1, 1
        for b in range(a):
            source, destination = _changed(views.sightings[views.example[a]], views.sightings[views.example[b]])
            new_source &= source
            new_destination &= destination
        bound += new_source + new_destination
    return bound


@uncounted_njit
def _find_least_cost(way, preferred, rewrites, bound, best, counter, against):
    """Put the cheapest order of `way`, which is shuffled, into `best`, where it stands as it is; the search ends where
    the cost is down to the bound. `counter`: zeros, one a view; `against`: room for `_cost`."""
    least = _cost(way, preferred, rewrites, against)
    # Heap's algorithm: every order once, each by one exchange.
    i = 1
    while i < way.size and least > bound:
        if counter[i] < i:
            k = 0 if i % 2 == 0 else counter[i]
            way[k], way[i] = way[i], way[k]
            cost = _cost(way, preferred, rewrites, against)
            if cost < least:
                least = cost
                for place in range(way.size):
                    best[place] = way[place]
            counter[i] += 1
            i = 1
        else:
            counter[i] = 0
            i += 1


@uncounted_njit
def find_sure(place, views, way, sure):
    """Of every two views: whether something says that the second comes behind the first, as they stand on the `way`;
    returns whether it is so of all."""
    evidence = _any_evidence(place.size, views)
    of_all = True
    for a in range(place.size):
        for b in range(place.size):
            sure[a, b] = place[a] >= place[b] or _certain(a, b, views, way, evidence)
            of_all &= sure[a, b]
    return of_all


@njit(cache=True, inline="always")
def _certain(a, b, views, way, evidence):
    """Of two views that stand in this order on the `way`: times or TTL say so, or the addresses: the order with the
    fewest rewrites, which has its direction from another pair, has more of them when these two are exchanged."""
    if views.preferred[a, b] >= TWO_WAYS:
        return True
    return evidence and _needs_fewer_rewrites(a, b, views, way)


@njit(cache=True, inline="always")
def _needs_fewer_rewrites(a, b, views, way):
    """Whether the addresses contradict more when views a and b of the `way` are exchanged."""
    now, then = 0, 0
    for i in range(1, way.size):
        before, behind = way[i - 1], way[i]
        now += _changes(views.sightings[views.example[before]], views.sightings[views.example[behind]])
        before = b if before == a else a if before == b else before
        behind = b if behind == a else a if behind == b else behind
        then += _changes(views.sightings[views.example[before]], views.sightings[views.example[behind]])
    return now < then
