"""What two views of one content are to each other: one packet under two flows, or two packets that are equal.

TCP's numbers are hardly equal by chance, nor is an IP id together with the rest. Where neither is there, or where many
flows begin with one sequence number, what a translation leaves alone has to say it: an address and port that both flows
have, and no other flow of either place. Of several that fit equally well, the order of time may tell.
"""

from typing import Final

import numpy as np

from ...kernels.njit import njit
from ..decode.payload import contradict
from ..protocols import TCP
from ..schema import ONE_PACKET_NS

PLAIN: Final = 0
"""What a content is worth: a vote."""
WEAK: Final = 1
"""A vote, but datagrams without an id say no more than that they are equal and have an end in common."""
TURNED: Final = 2
"""A vote that needs a second one: what could be chance, but hardly twice; or clocks would be far apart."""
FAINT: Final = 3
"""A vote that needs two more: datagrams without an id that have no end in common."""
UNDECIDED: Final = 4
"""None, for others are equal."""
_NOTHING: Final = -1

MOST_VIEWS: Final = 32
"""Of a content that more views show, only those are compared that have an end in common."""
BOTH: Final = 2
_MOST_TRIES: Final = 256
"""Pairs of rows that are compared for one vote."""
_MOST_NEAR: Final = 16
"""Rows of the other view that are compared with one of this."""
_MOST_EARLY: Final = 64
"""Rows of each view that are looked at for payloads they have in common."""
_CLOCKS_APART_NS: Final = 60_000_000_000
"""Clocks that nothing compares are hardly further apart; beyond, one packet is not enough."""
_EVER_NS: Final = 1 << 61
_NEARER: Final = 4
"""By the order of time two belong together if any other would be so many times further away."""

# How alike two views of different places are.
_UNLIKE: Final = 0
_LIKE: Final = 1
_ONE_END: Final = 2
"""They have an address and port in common."""
_SAME: Final = 3
"""They have both: the packet is there as it was."""
_FAR: Final = 4
"""Added where clocks that nothing compares would be far apart."""
# Of one place.
_ONCE_MORE: Final = 8
"""The packet came by once more, with a TTL lower by one: an id or TCP's numbers say so."""
_FURTHER: Final = 16
"""Added where only a second such content is enough."""


@njit(cache=True)
def liken(shown, at, chosen, like):
    """Fill in how alike each two of the `chosen` views are; those of one view begin at `at` in `shown`."""
    for i in range(chosen.size):
        like[i, i] = _UNLIKE
        for j in range(i):
            u, v = chosen[j], chosen[i]
            found = _likeness(shown, at[u], at[u + 1], at[v], at[v + 1])
            like[i, j] = found
            like[j, i] = found


@njit(cache=True)
def _likeness(shown, start, stop, other_start, other_stop):
    """Of the rows start:stop of one view, and those of other_start:other_stop of another, each in order of time."""
    one, other = shown[start], shown[other_start]
    if one.place == other.place:
        return _passed_again(shown, start, stop, other_start, other_stop)
    kind = _relation(one, other)
    if kind == _UNLIKE:
        return _UNLIKE
    comparable = one.clock == other.clock
    window = ONE_PACKET_NS if comparable else _CLOCKS_APART_NS
    if _distance(shown, start, stop, other_start, other_stop, window) <= window:
        return kind
    if not comparable and _distance(shown, start, stop, other_start, other_stop, _EVER_NS) <= _EVER_NS:
        return kind if _share_several(shown, start, stop, other_start, other_stop) else kind | _FAR
    return _UNLIKE


@njit(cache=True, inline="always")
def _relation(one, other):
    """How alike views of different places are by their flows."""
    kind = _ONE_END if one.source == other.source or one.destination == other.destination else _LIKE
    if one.flow == other.flow:
        return _SAME
    if one.end >> 1 == other.end >> 1 or not (one.uninformed or other.uninformed):
        return _UNLIKE
    return kind


@njit(cache=True)
def judge_single(one, other):
    """As judge_pair, of two views of one row each where no place has two: nobody else can fit."""
    kind = _relation(one, other)
    if kind in (_UNLIKE, _SAME) or contradict(one.payload, one.residue, other.payload, other.residue):
        return _NOTHING
    apart = abs(one.time_ns - other.time_ns)
    comparable = one.clock == other.clock
    if apart > (ONE_PACKET_NS if comparable else _EVER_NS):
        return _NOTHING
    return _alone(one, other, kind, _is_weak(one, other), not comparable and apart > _CLOCKS_APART_NS)


@njit(cache=True)
def _share_several(shown, start, stop, other_start, other_stop):
    """Whether two views show two payloads that differ: as good as two contents."""
    first = np.uint64(0)
    for i in range(start, min(stop, start + _MOST_EARLY)):
        payload = shown[i].payload
        if payload == 0 or payload == first:
            continue
        for j in range(other_start, min(other_stop, other_start + _MOST_EARLY)):
            if shown[j].payload == payload:
                if first != 0:
                    return True
                first = payload
                break
    return False


@njit(cache=True)
def _passed_again(shown, start, stop, other_start, other_stop):
    """How alike two views of one place are: a packet that comes by once more has lost a hop in between."""
    one, other = shown[start], shown[other_start]
    if one.flow == other.flow or one.end >> 1 == other.end >> 1 or not (one.uninformed or other.uninformed):
        return _UNLIKE
    numbered = one.numbered and one.acknowledges and not one.repeated
    numbered = numbered and other.numbered and other.acknowledges and not other.repeated
    if not (one.identified or numbered):
        return _UNLIKE
    further = False
    for i in range(start, min(stop, start + _MOST_NEAR)):
        for j in range(other_start, min(other_stop, other_start + _MOST_NEAR)):
            a, b = shown[i], shown[j]
            later = b.time_ns - a.time_ns
            lost = np.int64(a.ttl) - np.int64(b.ttl)
            if later < 0:
                later, lost = -later, -lost
            if lost <= 0 or later == 0 or later > ONE_PACKET_NS:
                continue  # whoever forwards it takes some time
            if contradict(a.payload, a.residue, b.payload, b.residue):
                continue
            if one.identified and lost == 1:
                return _ONCE_MORE
            further |= numbered
    return _ONCE_MORE | _FURTHER if further else _UNLIKE


@njit(cache=True)
def judge_pair(shown, at, chosen, like, i, j):
    """What a content is worth that the views i and j of the `chosen` show; below 0 nothing."""
    one, other = shown[at[chosen[i]]], shown[at[chosen[j]]]
    kind = like[i, j]
    if kind & _ONCE_MORE:
        alone = _turns(shown, at, chosen, like, i, j) == 1 and _turns(shown, at, chosen, like, j, i) == 1
        return UNDECIDED if not alone else TURNED if kind & _FURTHER else PLAIN
    far, kind = kind & _FAR, kind & _SAME
    if kind in (_UNLIKE, _SAME):
        return _NOTHING
    weak = _is_weak(one, other)
    there, here = _rivals(shown, at, chosen, like, i, j, weak), _rivals(shown, at, chosen, like, j, i, weak)
    if there < 0 or here < 0:
        return _NOTHING
    if there + here > 0 and not (kind == _ONE_END and _nearest(shown, at, chosen, i, j)):
        return UNDECIDED
    return _alone(one, other, kind, weak, far != 0)


@njit(cache=True, inline="always")
def _is_weak(one, other):
    """Whether equal contents could be chance."""
    return one.repeated or other.repeated or not (one.identified or (one.protocol == TCP and one.numbered))


@njit(cache=True)
def _alone(one, other, kind, weak, far):
    """What a content is worth where no others fit."""
    tcp = one.protocol == TCP
    if kind == _ONE_END:
        found = WEAK if weak else PLAIN
    elif weak and tcp:
        found = TURNED if one.identified else UNDECIDED
    elif weak:
        # The flow label of IPv6 is compared, and where a TTL fell there was a router.
        found = FAINT if one.ip_version == 6 or one.ttl != other.ttl else UNDECIDED
    else:
        found = PLAIN if tcp or one.ttl != other.ttl else TURNED
    return TURNED if far and found < TURNED else found


@njit(cache=True)
def _turns(shown, at, chosen, like, i, j):
    """How many views could be the packet of view i once more, on the side of j: before it, or behind it."""
    one, other = shown[at[chosen[i]]], shown[at[chosen[j]]]
    count = 0
    for k in range(chosen.size):
        third = shown[at[chosen[k]]]
        if like[i, k] & _ONCE_MORE and third.place == one.place and (third.ttl < one.ttl) == (other.ttl < one.ttl):
            count += like[i, k] & _FURTHER == like[i, j] & _FURTHER
    return count


@njit(cache=True)
def _rivals(shown, at, chosen, like, i, j, weak):
    """How many other views of the place of j fit view i as well as j does; -1 when one fits better.

    Where the content is weak, whoever has the end that the two have in common counts, even if it is explained
    otherwise. Two views of one packet that came by twice are one.
    """
    one, other = shown[at[chosen[i]]], shown[at[chosen[j]]]
    kind = like[i, j] & _SAME
    count = 0
    for k in range(chosen.size):
        third = shown[at[chosen[k]]]
        if k == j or third.place != other.place:
            continue
        if k != i and like[i, k] & _SAME > kind:
            return -1
        if like[j, k] & _ONCE_MORE:
            continue
        carries = weak and kind == _ONE_END and _carries(one, other, third)
        count += like[i, k] & _SAME == kind or carries
    return count


@njit(cache=True)
def _carries(one, other, third):
    """Whether a third view has the end that two have in common, and could be their packet."""
    if contradict(one.payload, one.residue, third.payload, third.residue):
        return False
    if one.source == other.source and third.source == one.source:
        return True
    return one.destination == other.destination and third.destination == one.destination


@njit(cache=True)
def _nearest(shown, at, chosen, i, j):
    """Whether no other view that has the end they have in common is nearly as near in time to either."""
    u, v = chosen[i], chosen[j]
    one, other = shown[at[u]], shown[at[v]]
    if one.clock != other.clock:
        return False
    apart = _distance(shown, at[u], at[u + 1], at[v], at[v + 1], ONE_PACKET_NS)
    for w in chosen:
        third = shown[at[w]]
        if w in (u, v) or not _carries(one, other, third):
            continue
        beside = v if third.place == one.place else u
        there = third.place in (one.place, other.place)
        if there and _gap(shown, at[beside], at[beside + 1], at[w], at[w + 1]) < _NEARER * apart:
            return False
    return True


@njit(cache=True)
def _gap(shown, start, stop, other_start, other_stop):
    """The least time between any of the rows start:stop and any of other_start:other_stop, each in order of time."""
    least = np.int64(_EVER_NS)
    i, j = start, other_start
    while i < stop and j < other_stop:
        later = shown[j].time_ns - shown[i].time_ns
        least = min(least, abs(later))
        if later > 0:
            i += 1
        else:
            j += 1
    return least


@njit(cache=True)
def _distance(shown, start, stop, other_start, other_stop, window):
    """The least time between any of the rows start:stop and any of other_start:other_stop, each in order of time, that
    could be one packet: no payload is against it. More than the window where there is none."""
    least = window + 1
    low = other_start
    tries = 0
    for i in range(start, stop):
        one = shown[i]
        while low < other_stop and shown[low].time_ns < one.time_ns - window:
            low += 1
        for j in range(low, min(other_stop, low + _MOST_NEAR)):
            other = shown[j]
            if other.time_ns > one.time_ns + window or tries > _MOST_TRIES:
                break
            tries += 1
            if not contradict(one.payload, one.residue, other.payload, other.residue):
                least = min(least, abs(other.time_ns - one.time_ns))
    return least
