"""Sightings -> sessions: one life of one address pair in one namespace. A reused port begins a new one."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import group_ids
from ..arrays.hashing import mix
from ..protocols import TCP, TCP_ACK, TCP_SYN
from ..schema import CONNTRACK_DESTROYED

_IDLE_NS: Final = 120_000_000_000
"""A flow without TCP's signs that is silent for so long is a new session (nf_conntrack_udp_timeout_stream: 120 s)."""


def orientation_of(flow: npt.NDArray[np.uint64], reverse: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """0 or 1: which of the two directions of its address pair a flow hash is."""
    return (flow > reverse).astype(np.int64)


@dataclass(slots=True, kw_only=True)
class Sessions:
    """The session of each sighting, and what is known of each session."""

    session: npt.NDArray[np.int64]
    """Per sighting; sessions are numbered by namespace, address pair and time."""
    orientation: npt.NDArray[np.uint8]
    """Per sighting, see orientation_of."""
    first: npt.NDArray[np.int64]
    """Per session: its earliest sighting; -1 for one of which only the end of a conntrack entry is known."""
    start_ns: npt.NDArray[np.int64]
    """Per session: time of its first and of its last sighting."""
    end_ns: npt.NDArray[np.int64]

    @property
    def ends(self) -> npt.NDArray[np.int64]:
        """Per sighting: session * 2 + orientation."""
        return 2 * self.session + self.orientation


def split_sessions(
    sightings: npt.NDArray[np.void], times_ns: npt.NDArray[np.int64], conntrack: npt.NDArray[np.void]
) -> Sessions:
    """The sessions of all sightings. The end of a conntrack entry ends the session of a flow that is not TCP."""
    ended = conntrack[(conntrack["event"] == CONNTRACK_DESTROYED) & (conntrack["protocol"] != TCP)]
    ended_pairs = np.concatenate(
        [np.minimum(ended["original"], ended["restored"]), np.minimum(ended["translated"], ended["reply"])]
    )
    size, count = sightings.size, sightings.size + ended_pairs.size
    key, facts = np.empty(count, np.uint64), np.empty(size, np.uint8)
    _note_facts(sightings, key, facts)
    pair, namespace = ended_pairs, np.tile(ended["namespace"], 2)
    _place_keys(pair, namespace, key[size:])
    times = np.concatenate([times_ns, ended["time_ns"], ended["time_ns"]]) if ended.size else times_ns
    group, example = group_ids(key)
    # Streams of time: every file is one, so this is a merge.
    order = np.argsort(times, kind="stable").astype(np.int32)
    session, of_group, first, start_ns, end_ns = _split(order, group, example.size, times, sightings, facts)
    # Numbered by namespace and address pair, however the files begin.
    frame = example < size
    known, message = example[frame], example[~frame] - size
    pair_of, namespace_of = np.empty(example.size, np.uint64), np.empty(example.size, np.uint16)
    pair_of[frame] = np.minimum(sightings["flow"][known], sightings["flow_reverse"][known])
    pair_of[~frame] = pair[message]
    namespace_of[frame], namespace_of[~frame] = sightings["namespace"][known], namespace[message]
    by_number = np.lexsort((pair_of[of_group], namespace_of[of_group]))
    number = np.empty(by_number.size, np.int64)
    number[by_number] = np.arange(by_number.size)
    return Sessions(
        session=number[session],
        orientation=facts & np.uint8(_SECOND),
        first=first[by_number],
        start_ns=start_ns[by_number],
        end_ns=end_ns[by_number],
    )


_SECOND, _IS_TCP, _OPENS = 1, 2, 4
"""Bits of what _split has to know of a sighting: its orientation, its protocol, whether it opens a connection."""


@njit(cache=True, nogil=True)
def opens_connection(row):
    """Whether a sighting is the client's SYN, for kernels."""
    return row.protocol == TCP and (row.tcp_flags & np.uint16(TCP_SYN | TCP_ACK)) == TCP_SYN


@njit(cache=True, nogil=True)
def _note_facts(sightings, key, facts):
    """Namespace and address pair in one number, and the bits, of every sighting."""
    for i in range(sightings.size):
        row = sightings[i]
        key[i] = mix(min(row.flow, row.flow_reverse), np.uint64(row.namespace))
        found = _SECOND if row.flow > row.flow_reverse else 0
        found |= _IS_TCP if row.protocol == TCP else 0
        found |= _OPENS if opens_connection(row) else 0
        facts[i] = found


@njit(cache=True, nogil=True)
def _place_keys(pair, namespace, key):
    for i in range(pair.size):
        key[i] = mix(pair[i], np.uint64(namespace[i]))


_LATEST: Final = np.dtype(
    [
        ("last_ns", "i8"),
        ("session", "i4"),  # -1 none yet
        ("first_sequence", "u4"),  # with which this session was opened, by orientation
        ("second_sequence", "u4"),
        ("opened", "u1"),  # bits: 1 in the first orientation, 2 in the second
        ("seen", "u1"),  # anything at all
        ("entry_ended", "u1"),  # its conntrack entry has ended since
    ],
    align=True,
)
"""What was last seen of an address pair in its namespace."""


@njit(cache=True, nogil=True)
def _split(order, group, groups, times, sightings, facts):
    """Sessions in order of their beginning: (that of each sighting; group, first sighting, first and last time of
    each). `order`: rows by time, behind the sightings the ends of conntrack entries."""
    session = np.empty(facts.size, np.int32)
    of_group = np.empty(order.size, np.int32)  # there are no more sessions than rows
    first = np.empty(order.size, np.int64)
    start_ns = np.empty(order.size, np.int64)
    end_ns = np.empty(order.size, np.int64)
    count = 0
    latest = np.zeros(groups, _LATEST)
    for g in range(groups):
        latest[g].session = -1
    for k in range(order.size):
        i = order[k]
        known = latest[group[i]]
        is_sighting = i < facts.size  # else the end of a conntrack entry
        if known.session < 0 or (is_sighting and _begins_another(known, sightings[i], facts[i], times[i])):
            known.session = count
            known.opened = 0
            of_group[count] = group[i]
            first[count] = -1
            count += 1
        known.entry_ended = not is_sighting
        if is_sighting:
            _note(known, sightings[i], facts[i], times[i])
            mine = known.session
            session[i] = mine
            if first[mine] < 0:
                first[mine] = i
                start_ns[mine] = times[i]
            end_ns[mine] = times[i]
    return session, of_group[:count], first[:count], start_ns[:count], end_ns[:count]


@njit(cache=True, nogil=True)
def _begins_another(known, row, facts, time_ns):
    """Whether a sighting is of another session than what is known of its address pair."""
    if not known.seen:
        return False
    if facts & _OPENS:
        second = facts & _SECOND
        if known.opened & (2 if second else 1):
            return row.sequence != (known.second_sequence if second else known.first_sequence)
        return known.opened == 0
    if facts & _IS_TCP:
        return False
    return known.entry_ended or time_ns - known.last_ns > _IDLE_NS


@njit(cache=True, nogil=True)
def _note(known, row, facts, time_ns):
    known.seen = True
    known.last_ns = time_ns
    if facts & _OPENS and facts & _SECOND:
        known.opened |= 2
        known.second_sequence = row.sequence
    elif facts & _OPENS:
        known.opened |= 1
        known.first_sequence = row.sequence
