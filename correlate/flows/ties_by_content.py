"""Flows on two sides of a translation, found from packet content alone: for captures without conntrack and trace.

A packet keeps its content hash through NAT, so two sessions that show the same contents are one flow under two address
pairs. One shared content of TCP (sequence, acknowledgment, IP id) is hardly chance; datagrams without an IP id may be
equal by nature. So every shared content is a vote, votes are compared with what could have been shared, and a session
that has two partners at the same place has none: then both are named as rivals.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import Runs, group_ids, hashed
from ..decode.link_scope import row_stays_on_link
from ..decode.payload import contradict
from ..protocols import FRAGMENT_OFFSET, TCP, TCP_ACK, TCP_SYN
from ..schema import NOTE_CUT, NOTE_ERROR, NOTE_NO_FLOW, ONE_PACKET_NS

_MOST_ENDS: Final = 16
"""A content shared by more flows than this tells nothing: a scanner's SYN, an empty datagram."""
_MOST_TRIES: Final = 256
"""Pairs of rows that are compared for one vote."""
_CLOCKS_APART_NS: Final = 60_000_000_000
"""Clocks that nothing compares are hardly further apart; beyond, one packet is not enough."""
_UNREADABLE: Final = NOTE_ERROR | NOTE_NO_FLOW | NOTE_CUT
_PLAIN, _UNDECIDED, _TURN = 0, 1, 2
"""What a shared content is worth: a vote; none, for others are equal at the same place; a vote that needs a second one,
for one place saw both with the same TTL, or clocks would be far apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentTies:
    """Which sessions are one flow, by their packets."""

    ties: npt.NDArray[np.int64]
    """(n, 2) session ends, as in ties.py."""
    votes: npt.NDArray[np.int64]
    """Per tie: contents that both sessions show."""
    rivals: npt.NDArray[np.int64]
    """(n, 2) session ends that could be one flow, but one of them has another candidate that fits as well."""
    rival_votes: npt.NDArray[np.int64]
    """Per pair of rivals: contents that both sessions show."""


def content_ties(
    sightings: npt.NDArray[np.void],
    session: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    times_ns: npt.NDArray[np.int64],
    clock: npt.NDArray[np.int64],
    uninformed: npt.NDArray[np.bool_],
    repeated: npt.NDArray[np.int64],
    contents: Runs,
) -> ContentTies:
    """Find the translations that no conntrack message tells of.

    `sightings`: SIGHTING rows of the observations; `session`, `ends`: theirs (sessions.py); `times_ns`: on the
    reference clock; `clock`: per namespace, the same number where times can be compared; `uninformed`: per namespace,
    the capture holds no conntrack of it; `repeated`: see repeated_sequences; `contents`: sightings with equal
    content, maybe with others behind the observations.
    """
    nobody, nothing = np.empty((0, 2), np.int64), np.empty(0, np.int64)
    none = ContentTies(ties=nobody, votes=nothing, rivals=nobody, rival_votes=nothing)
    if not uninformed.any():
        return none
    voters = np.zeros(contents.rows.size, np.bool_)
    voters[: sightings.size] = can_vote(sightings)
    order = contents.only(voters).sorted_by(times_ns, ends).rows
    if order.size == 0:
        return none
    common = np.zeros(sightings.size, np.bool_)
    _mark_repeated(sightings, repeated, common)
    pairs, total = _vote(order, sightings, session, ends, times_ns, clock, uninformed, common, int(session.max()) + 1)
    if pairs.shape[0] == 0:
        return none
    numbers = (pairs[:, 0] * total.size + pairs[:, 1]) * 2 + pairs[:, 2]
    undecided = pairs[:, 3] == _UNDECIDED
    number, votes = np.unique(numbers[~undecided], return_counts=True)
    turning, turns = np.unique(numbers[pairs[:, 3] == _TURN], return_counts=True)
    enough = ~np.isin(number, turning[turns < 2])
    found = _choose(_pairs(number[enough], total.size), votes[enough], total, sightings, session)
    return _with_undecided(found, numbers[undecided], total) if undecided.any() else found


def can_vote(sightings: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Per SIGHTING row: its content says something of its flow, and somebody may translate it."""
    found = np.empty(sightings.size, np.bool_)
    _mark_voters(sightings, found)
    return found


@njit(cache=True, nogil=True)
def _mark_voters(sightings, found):
    for i in range(sightings.size):
        row = sightings[i]
        readable = (row.notes & np.uint8(_UNREADABLE)) == 0 and (row.fragment & np.uint16(FRAGMENT_OFFSET)) == 0
        found[i] = readable and row.ip_version > 0 and not row_stays_on_link(row)


@njit(cache=True, nogil=True)
def _is_syn(row):
    return row.protocol == TCP and (row.tcp_flags & np.uint16(TCP_SYN | TCP_ACK)) == TCP_SYN


@njit(cache=True, nogil=True)
def _syn_key(row):
    """Place and sequence number in one."""
    return (np.int64(row.place) << 32) | np.int64(row.sequence)


@njit(cache=True, nogil=True)
def _mark_repeated(sightings, repeated, found):
    """Which SYNs have one of these sequence numbers; `repeated`: ascending."""
    for i in range(sightings.size if repeated.size else 0):
        if _is_syn(sightings[i]):
            key = _syn_key(sightings[i])
            at = np.searchsorted(repeated, key)
            found[i] = at < repeated.size and repeated[at] == key


@njit(cache=True, nogil=True)
def _find_syns(sightings):
    """(Place and sequence number in one, flow) of every SYN."""
    count = 0
    for i in range(sightings.size):
        count += _is_syn(sightings[i])
    keys = np.empty(count, np.int64)
    flows = np.empty(count, np.uint64)
    count = 0
    for i in range(sightings.size):
        if _is_syn(sightings[i]):
            keys[count] = _syn_key(sightings[i])
            flows[count] = sightings[i].flow
            count += 1
    return keys, flows


def begun_sequences(sightings: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """(place and sequence number in one, flow) of the SYNs among SIGHTING rows, each once."""
    return _once(*_find_syns(sightings))


def repeated_sequences(keys: npt.NDArray[np.int64], flows: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Places and sequence numbers that several flows begin with there, ascending; arguments: see begun_sequences.

    Scanners and floods do that; then 16 bits of IP id are all that tells their packets apart.
    """
    keys, _ = _once(keys, flows)
    found, count = np.unique(keys, return_counts=True)
    return found[count > 2]  # a hairpin shows one flow under two


def _once(
    keys: npt.NDArray[np.int64], flows: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    _, first = group_ids(hashed(keys, flows))
    return keys[first], flows[first]


def _pairs(numbers: npt.NDArray[np.int64], sessions: int) -> npt.NDArray[np.int64]:
    """(n, 3) sessions and difference of orientation of numbered pairs."""
    both, flip = np.divmod(numbers, 2)
    first, second = np.divmod(both, sessions)
    return np.column_stack([first, second, flip])


@njit(cache=True)
def _vote(order, sightings, session, ends, times, clock, uninformed, common, sessions):
    """((n, 4) votes: two sessions, the smaller first, whether their orientations differ, and what it is
    worth: _PLAIN, _UNDECIDED, _TURN; contents per session)."""
    capacity = 1024
    pairs = np.empty((capacity, 4), np.int64)
    count = 0
    total = np.zeros(sessions, np.int64)
    at = np.empty(_MOST_ENDS + 1, np.int64)  # where the rows of each end of this content begin
    start = 0
    while start < order.size:
        stop = start + 1
        while stop < order.size and sightings[order[stop]].content == sightings[order[start]].content:
            stop += 1
        known = 0
        for i in range(start, stop):
            if i > start and ends[order[i]] == ends[order[i - 1]]:
                continue
            total[session[order[i]]] += 1
            if known < _MOST_ENDS:
                at[known] = i
            known += 1
        if 2 <= known <= _MOST_ENDS:
            at[known] = stop
            tells = not common[order[start]] and _tells(_sample(order, at, known), sightings, ends)
            for i in range(known):
                for j in range(i):
                    a, b = order[at[j]], order[at[i]]
                    if session[a] == session[b] or not (
                        uninformed[sightings[a].namespace] or uninformed[sightings[b].namespace]
                    ):
                        continue
                    if sightings[a].flow == sightings[b].flow:
                        continue
                    comparable = clock[sightings[a].namespace] == clock[sightings[b].namespace]
                    near = _near(
                        order[at[j] : at[j + 1]],
                        order[at[i] : at[i + 1]],
                        sightings,
                        times,
                        ONE_PACKET_NS if comparable else _CLOCKS_APART_NS,
                    )
                    if not near and (
                        comparable
                        or not _near(
                            order[at[j] : at[j + 1]], order[at[i] : at[i + 1]], sightings, times, np.int64(2**61)
                        )
                    ):
                        continue
                    here = sightings[a].place == sightings[b].place
                    if here and not tells:
                        continue
                    if count == capacity:
                        capacity *= 2
                        grown = np.empty((capacity, 4), np.int64)
                        grown[:count] = pairs
                        pairs = grown
                    low, high = min(session[a], session[b]), max(session[a], session[b])
                    pairs[count, 0] = low
                    pairs[count, 1] = high
                    pairs[count, 2] = (ends[a] ^ ends[b]) & 1
                    turn = here and sightings[a].protocol != TCP and sightings[a].ttl == sightings[b].ttl
                    turn |= not near
                    pairs[count, 3] = _TURN if turn else _PLAIN if tells else _UNDECIDED
                    count += 1
        start = stop
    return pairs[:count], total


@njit(cache=True)
def _near(first, second, sightings, times, window):
    """Whether any of the first rows and any of the second, each in order of time, could be one packet: not further
    apart in time, and no payload against it."""
    low = 0
    tries = 0
    for i in first:
        while low < second.size and times[second[low]] < times[i] - window:
            low += 1
        for j in range(low, min(second.size, low + _MOST_ENDS)):
            if times[second[j]] > times[i] + window or tries > _MOST_TRIES:
                break
            tries += 1
            a, b = sightings[i], sightings[second[j]]
            if not contradict(a.payload, a.residue, b.payload, b.residue):
                return True
    return False


@njit(cache=True)
def _sample(order, at, known):
    """A few rows of each end, from all of its time: they may be of several places."""
    rows = np.empty(4 * known, np.int64)
    count = 0
    for end in range(known):
        size = at[end + 1] - at[end]
        for k in range(min(size, 4)):
            rows[count] = order[at[end] + (k if size <= 4 else k * (size - 1) // 3)]
            count += 1
    return rows[:count]


@njit(cache=True)
def _tells(rows, sightings, ends):
    """Whether equal content says something where one place saw it under several flows.

    A hairpin shows a packet at one point before and after: TCP is the same packet anyway (a scanner's aside), and so is
    what has an identification of its own; others have lost a hop in between. Equal datagrams of several senders have
    the same TTL there.
    """
    identified = sightings[rows[0]].protocol == TCP or sightings[rows[0]].ip_id != 0
    for i in range(rows.size):
        others = 0
        for j in range(i):
            a, b = sightings[rows[j]], sightings[rows[i]]
            if a.place == b.place and ends[rows[j]] != ends[rows[i]]:
                others += 1
                if others > 2 or (not identified and a.ttl == b.ttl):
                    return False
    return True


def _choose(
    keys: npt.NDArray[np.int64],
    votes: npt.NDArray[np.int64],
    total: npt.NDArray[np.int64],
    sightings: npt.NDArray[np.void],
    session: npt.NDArray[np.int64],
) -> ContentTies:
    """Accept a pair that shares enough and whose sessions have no other partner in the same namespace nearly as
    good."""
    first, second = keys[:, 0], keys[:, 1]
    protocol = np.zeros(total.size, np.uint8)
    namespace = np.zeros(total.size, np.int64)
    protocol[session] = sightings["protocol"]
    namespace[session] = sightings["namespace"]
    share = votes / np.maximum(np.minimum(total[first], total[second]), 1)
    tcp = (protocol[first] == TCP) & (protocol[second] == TCP)
    enough = (protocol[first] == protocol[second]) & np.where(tcp, share >= 0.05, share >= 0.5)
    # TCP contents are hardly equal by chance; others must have no other partner in the same namespace nearly as good.
    best_first, next_first = _best(first, namespace[second], votes, enough)
    best_second, next_second = _best(second, namespace[first], votes, enough)
    clear = (votes >= best_first) & (votes >= best_second) & (2 * next_first <= votes) & (2 * next_second <= votes)
    through = _through_one_point(keys, votes, enough, namespace)
    accepted = enough & (tcp | clear | through)
    contested = enough & ~accepted & (2 * votes >= np.maximum(best_first, best_second))
    pairs = np.column_stack([2 * first, 2 * second + keys[:, 2]])
    return ContentTies(
        ties=pairs[accepted], votes=votes[accepted], rivals=pairs[contested], rival_votes=votes[contested]
    )


def _with_undecided(found: ContentTies, numbers: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> ContentTies:
    """Add the flows that share much, but whose packets have equals at the same place, as rivals."""
    number, votes = np.unique(numbers, return_counts=True)
    keys = _pairs(number, total.size)
    joined = np.zeros(total.size, np.bool_)
    joined[found.ties >> 1] = True
    enough = votes >= 0.5 * np.minimum(total[keys[:, 0]], total[keys[:, 1]])
    rivals = enough & ~joined[keys[:, 0]] & ~joined[keys[:, 1]]
    ends = np.column_stack([2 * keys[:, 0], 2 * keys[:, 1] + keys[:, 2]])[rivals]
    return ContentTies(
        ties=found.ties,
        votes=found.votes,
        rivals=np.concatenate([found.rivals, ends]),
        rival_votes=np.concatenate([found.rival_votes, votes[rivals]]),
    )


def _through_one_point(
    keys: npt.NDArray[np.int64],
    votes: npt.NDArray[np.int64],
    enough: npt.NDArray[np.bool_],
    namespace: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Per pair: one of its sessions turns back where the other was seen, so that namespace has two partners rightly."""
    local = enough & (namespace[keys[:, 0]] == namespace[keys[:, 1]])
    turning = np.unique(keys[local, :2])
    strong = votes >= 2
    return strong & (np.isin(keys[:, 0], turning) | np.isin(keys[:, 1], turning))


def _best(
    mine: npt.NDArray[np.int64],
    place: npt.NDArray[np.int64],
    votes: npt.NDArray[np.int64],
    enough: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Per pair: most and second most votes of any pair of the same session with a partner in the same namespace."""
    order = np.lexsort((-np.where(enough, votes, 0), place, mine))
    start = np.ones(order.size, np.bool_)
    start[1:] = (mine[order][1:] != mine[order][:-1]) | (place[order][1:] != place[order][:-1])
    group = np.cumsum(start) - 1
    counted = np.where(enough, votes, 0)[order]
    firsts = np.flatnonzero(start)
    best = counted[firsts]
    second = np.zeros_like(best)
    has_second = np.append(firsts[1:], order.size) - firsts > 1
    second[has_second] = counted[firsts[has_second] + 1]
    most = np.empty(order.size, np.int64)
    runner_up = np.empty(order.size, np.int64)
    most[order] = best[group]
    runner_up[order] = second[group]
    return most, runner_up
