"""What the two ways of a connection say together of the order of points: answers come back the way that questions went.

Of two points the packets there pass one first, and those back the other. Two clocks may be wrong against each other,
but then the same way for both: by how much the second point shows packets there later is more than that of the packets
back, by the time of both passages. So the two ways lie apart, and to which side tells the order, whatever the clocks
are off by.

A TTL that somebody sets or adds to on the way is found out here, as far as anything tells: it says that both ways pass
the same point first, or falls on one way alone. Then it says nothing.
"""

from typing import Final

import numpy as np

from ...kernels.njit import njit, uncounted_njit
from ..clocks.line import STEEPEST
from .way_order import TTL, TWO_WAYS, guessed
from .weights import ERRORS, HIGHER, SHARED

_COARSE_NS: Final = 2_000
"""Four times are compared, each cut to microseconds: the difference of their differences is wrong by less."""
_NEVER: Final = 1 << 62


@njit(cache=True)
def compare_ways(ways, views_of, counts, sides):
    """Change what is preferred of the views of two ways that are each other's answers, where better than TTL says
    nothing.

    Pairs, of the two ways: `ways`: their sightings by packet and time; `views_of`: the view of each; `counts`: how many
    views there are; `sides`: what these are known by.
    """
    there, back = sides
    twin = np.empty(counts[0], np.int64)
    forth = np.empty((4, counts[0], counts[0]), np.int64)
    answers = np.empty((4, counts[1], counts[1]), np.int64)
    _find_delays(ways[0], views_of[0], forth)
    _find_delays(ways[1], views_of[1], answers)
    _find_twins(there, back, counts, twin)
    _compare(there, back, twin, forth, answers)


@uncounted_njit
def _find_twins(there, back, counts, twin):
    for a in range(counts[0]):
        twin[a] = _twin(a, there, counts[1], back)
        if twin[a] >= 0 and _twin(twin[a], back, counts[0], there) != a:
            twin[a] = -1


@uncounted_njit
def _compare(there, back, twin, forth, answers):
    for a in range(twin.size):
        for b in range(a):
            x, y = twin[a], twin[b]
            if x < 0 or y < 0 or there.weights[SHARED][a, b] == 0 or back.weights[SHARED][x, y] == 0:
                continue
            known = there.weights[ERRORS][a, b] >= 0 and back.weights[ERRORS][x, y] >= 0
            said = _by_times(forth[:, a, b], answers[:, x, y], known)
            _say(a, b, said, there)
            _say(x, y, -said, back)
            if said == 0 and _contradict(there.weights[HIGHER][a, b], back.weights[HIGHER][x, y]):
                _forget_ttl(a, b, there)
                _forget_ttl(x, y, back)


@uncounted_njit
def _twin(a, here, count, there):
    """The view of the other way at the point of view a, with its addresses exchanged; -1 where there is none, or
    several are."""
    mine = here.sightings[here.example[a]]
    found = -1
    for b in range(count):
        other = there.sightings[there.example[b]]
        if other.place != mine.place or other.flow != mine.flow_reverse or (other.outer > 0) != (mine.outer > 0):
            continue
        if found >= 0:
            return -1
        found = b
    return found


@uncounted_njit
def _find_delays(one, view, found):
    """Of every two views: the least and the most by which the second shows a packet later, and when the first and the
    last of these packets was there."""
    found[0::2] = _NEVER
    found[1::2] = -_NEVER
    first = 0
    for i in range(one.packet.size):
        if one.packet[i] != one.packet[first]:
            first = i
        for j in range(first, i):
            if one.node[i] == one.node[j]:
                continue
            took = one.times[i] - one.times[j]
            for a, b, later in ((view[j], view[i], took), (view[i], view[j], -took)):
                found[0, a, b] = min(found[0, a, b], later)
                found[1, a, b] = max(found[1, a, b], later)
                found[2, a, b] = min(found[2, a, b], one.times[i])
                found[3, a, b] = max(found[3, a, b], one.times[i])


@uncounted_njit
def _by_times(forth, back, known):
    """1 where the packets there pass the first of two points first, -1 the other way round, 0 where times do not tell;
    `known`: how wrong the two clocks are at most."""
    if forth[0] > forth[1] or back[0] > back[1]:
        return 0  # of one clock, which says it alone or not at all
    first, second = forth[0] - back[1], back[0] - forth[1]
    apart = max(first, second)
    # One question and one answer also lie apart by what the clocks drift in between; packets in turn cannot.
    pause = max(forth[2] - back[3], back[2] - forth[3], 0)
    if apart < _COARSE_NS or (pause > 0 and not (known and apart > STEEPEST * pause)):
        return 0
    return 1 if first > second else -1


@njit(cache=True)
def _contradict(there, back):
    """Whether the TTL falls on one of the two ways alone, or toward the same point on both: `there`, `back` are packets
    that had the higher one at the first of two points, minus those that had it at the second."""
    return (there > 0) - (there < 0) != (back < 0) - (back > 0)


@uncounted_njit
def _say(a, b, said, views):
    """By the times of both ways view a comes first (1), or b (-1), or that is not known (0)."""
    before = views.preferred[a, b]
    if said == 0 or abs(before) > TTL or before == said * TTL:
        return
    views.preferred[a, b] = said * TWO_WAYS
    views.preferred[b, a] = -said * TWO_WAYS


@uncounted_njit
def _forget_ttl(a, b, views):
    if abs(views.preferred[a, b]) == TTL:
        views.preferred[a, b] = guessed(a, b, views)
        views.preferred[b, a] = guessed(b, a, views)
