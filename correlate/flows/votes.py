"""What the contents say that two sessions show: each is a vote for their being one flow, or is none.

A content that several ends of sessions show is one packet under several flows, or several packets that are equal. What
it is worth depends on whether one place saw it under both, and on the clocks.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.growing import doubled
from ..decode.payload import contradict
from ..protocols import TCP
from ..schema import ONE_PACKET_NS

PLAIN: Final = 0
"""What a content is worth: a vote."""
UNDECIDED: Final = 1
"""None, for others are equal at the same place."""
TURNED: Final = 2
"""A vote that needs a second one: one place saw both with the same TTL, or clocks would be far apart."""
_NOTHING: Final = -1

_MOST_ENDS: Final = 16
"""A content shared by more flows than this tells nothing: a scanner's SYN, an empty datagram."""
_MOST_TRIES: Final = 256
"""Pairs of rows that are compared for one vote."""
_CLOCKS_APART_NS: Final = 60_000_000_000
"""Clocks that nothing compares are hardly further apart; beyond, one packet is not enough."""
_EVER_NS: Final = 1 << 61


class Voters(NamedTuple):
    """The sightings that vote, and what is known of them."""

    rows: npt.NDArray[np.int32]
    """Theirs, by content, end of session and time."""
    start: npt.NDArray[np.int64]
    """Where in `rows` those of each content begin, and one more."""
    sightings: npt.NDArray[np.void]
    """SIGHTING rows, as all that follows per sighting."""
    ends: npt.NDArray[np.int64]
    """session * 2 + orientation."""
    times_ns: npt.NDArray[np.int64]
    """On the reference clock."""
    repeated: npt.NDArray[np.bool_]
    """A SYN whose sequence number is one of many flows there."""
    clock: npt.NDArray[np.int64]
    """Per namespace, the same number where times can be compared."""
    uninformed: npt.NDArray[np.bool_]
    """Per namespace, the capture holds no conntrack of it."""


_SHOWN: Final = np.dtype(
    [
        ("time_ns", "i8"),
        ("flow", "u8"),
        ("payload", "u8"),
        ("end", "i8"),
        ("clock", "i8"),
        ("place", "u4"),
        ("residue", "u2"),
        ("ip_id", "u2"),
        ("protocol", "u1"),
        ("ttl", "u1"),
        ("repeated", "u1"),
        ("uninformed", "u1"),
    ],
    align=True,
)
"""What matters of a sighting of one content. Those of one content stand together, and kernels take no more than that:
numba passes each array of a named tuple on in seven words, and counts who uses it."""


@njit(cache=True)
def cast_votes(voters, sessions):
    """((n, 4) votes: two sessions, the smaller first, whether their orientations differ, and what it is worth; contents
    of each of the `sessions`)."""
    votes = np.empty((1024, 4), np.int64)
    count = 0
    total = np.zeros(sessions, np.int64)
    shown = np.empty(_most_rows(voters.start), _SHOWN)
    at = np.empty(_MOST_ENDS + 1, np.int64)
    for g in range(voters.start.size - 1):
        rows = voters.rows[voters.start[g] : voters.start[g + 1]]
        ends = _find_ends(rows, voters.ends, at, total)
        if 2 <= ends <= _MOST_ENDS and _may_be_translated(rows, at[:ends], voters.sightings, voters.uninformed):
            if count + ends * ends > votes.shape[0]:
                votes = doubled(votes)
            _gather(voters, rows, shown)
            count = _vote_by_content(shown, at[: ends + 1], votes, count)
    return votes[:count], total


@njit(cache=True)
def _most_rows(start):
    most = np.int64(0)
    for g in range(start.size - 1):
        most = max(most, start[g + 1] - start[g])
    return most


@njit(cache=True, forceinline=True)
def _find_ends(rows, ends, at, total):
    """How many ends show a content, which are these rows; fills in `at` which of the rows the first of each is, and how
    many rows there are, as far as there is room, and adds the content to the `total` of their sessions."""
    found = 0
    for i in range(rows.size):
        if i == 0 or ends[rows[i]] != ends[rows[i - 1]]:
            total[ends[rows[i]] >> 1] += 1
            if found < at.size:
                at[found] = i
            found += 1
    if found < at.size:
        at[found] = rows.size
    return found


@njit(cache=True, forceinline=True)
def _may_be_translated(rows, at, sightings, uninformed):
    """Whether the ends that begin `at` are of several flows, and some of them where nothing tells of translations."""
    flow = sightings[rows[0]].flow
    several = False
    some = False
    for k in at:
        row = sightings[rows[k]]
        several |= row.flow != flow
        some |= uninformed[row.namespace]
    return several and some


@njit(cache=True, forceinline=True)
def _gather(voters, rows, shown):
    for i in range(rows.size):
        row, one = voters.sightings[rows[i]], shown[i]
        one.time_ns = voters.times_ns[rows[i]]
        one.flow = row.flow
        one.payload = row.payload
        one.end = voters.ends[rows[i]]
        one.clock = voters.clock[row.namespace]
        one.place = row.place
        one.residue = row.residue
        one.ip_id = row.ip_id
        one.protocol = row.protocol
        one.ttl = row.ttl
        one.repeated = voters.repeated[rows[i]]
        one.uninformed = voters.uninformed[row.namespace]


@njit(cache=True, forceinline=True)
def _vote_by_content(shown, at, votes, count):
    """Append the votes of one content; returns how many there are now. `at`: where in `shown` each end begins."""
    tells = not shown[0].repeated and _tells(shown, _sample(at))
    for i in range(at.size - 1):
        for j in range(i):
            worth = _worth(shown, at[j], at[j + 1], at[i], at[i + 1], tells)
            if worth != _NOTHING:
                a, b = shown[at[j]].end, shown[at[i]].end
                votes[count, 0] = min(a >> 1, b >> 1)
                votes[count, 1] = max(a >> 1, b >> 1)
                votes[count, 2] = (a ^ b) & 1
                votes[count, 3] = worth
                count += 1
    return count


@njit(cache=True, forceinline=True)
def _worth(shown, start, stop, other_start, other_stop, tells):
    """What a content says that the rows start:stop show of one end, and those of other_start:other_stop of another."""
    one, other = shown[start], shown[other_start]
    if one.end >> 1 == other.end >> 1 or one.flow == other.flow or not (one.uninformed or other.uninformed):
        return _NOTHING
    here = one.place == other.place
    if here and not tells:
        return _NOTHING
    comparable = one.clock == other.clock
    window = ONE_PACKET_NS if comparable else _CLOCKS_APART_NS
    near = _near(shown, start, stop, other_start, other_stop, window)
    if not near and (comparable or not _near(shown, start, stop, other_start, other_stop, _EVER_NS)):
        return _NOTHING
    if not near or (here and one.protocol != TCP and one.ttl == other.ttl):
        return TURNED
    return PLAIN if tells else UNDECIDED


@njit(cache=True)
def _near(shown, start, stop, other_start, other_stop, window):
    """Whether any of the rows start:stop and any of other_start:other_stop, each in order of time, could be one packet:
    not further apart in time, and no payload against it."""
    low = other_start
    tries = 0
    for i in range(start, stop):
        one = shown[i]
        while low < other_stop and shown[low].time_ns < one.time_ns - window:
            low += 1
        for j in range(low, min(other_stop, low + _MOST_ENDS)):
            other = shown[j]
            if other.time_ns > one.time_ns + window or tries > _MOST_TRIES:
                break
            tries += 1
            if not contradict(one.payload, one.residue, other.payload, other.residue):
                return True
    return False


@njit(cache=True, forceinline=True)
def _sample(at):
    """A few rows of each end, from all of its time: they may be of several places."""
    rows = np.empty(4 * (at.size - 1), np.int64)
    count = 0
    for end in range(at.size - 1):
        size = at[end + 1] - at[end]
        for k in range(min(size, 4)):
            rows[count] = at[end] + (k if size <= 4 else k * (size - 1) // 3)
            count += 1
    return rows[:count]


@njit(cache=True, forceinline=True)
def _tells(shown, rows):
    """Whether equal content says something where one place saw it under several flows.

    A hairpin shows a packet at one point before and after: TCP is the same packet anyway (a scanner's aside), and so is
    what has an identification of its own; others have lost a hop in between. Equal datagrams of several senders have
    the same TTL there.
    """
    identified = shown[0].protocol == TCP or shown[0].ip_id != 0
    for i in range(rows.size):
        one = shown[rows[i]]
        others = 0
        for j in range(i):
            other = shown[rows[j]]
            if other.place == one.place and other.end != one.end:
                others += 1
                if others > 2 or (not identified and other.ttl == one.ttl):
                    return False
    return True
