"""Which end of a connection is the client.

A SYN says it, or a SYN-ACK, or a conntrack entry. Of a connection that began before its capture, that its end listens
(servers.py) or has others that talk to it, and the ports. Where nothing says it, whoever is seen first is taken for
the client.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..protocols import (
    ICMP,
    ICMP_ECHO,
    ICMP_ECHO_REPLY,
    ICMPV6,
    ICMPV6_ECHO,
    ICMPV6_ECHO_REPLY,
    TCP,
    TCP_ACK,
    TCP_RST,
    TCP_SYN,
    UDP,
)
from ..schema import NOTE_ERROR
from .servers import Servers, destination_key, source_key
from .sessions import opens_connection

# How sure a sighting is of which end is the client: the least counts most.
_SYN: Final = 0
_ANSWER: Final = 1
"""A SYN-ACK, or the answer to an ICMP echo."""
_CONNTRACK: Final = 2
_LISTENS: Final = 3
_MANY_ASK: Final = 4
_SERVICE: Final = 5
"""The port of a known service, and another that is none."""
_SEVERAL_ASK: Final = 6
_PORTS: Final = 7
_NOTHING: Final = 8

_MANY: Final = 3
"""So many others talk to a server alone. Two may be one: before and after its translation, at one point."""
_EPHEMERAL: Final = 32768
"""Ports from here on are lent to clients (net.ipv4.ip_local_port_range; from 49152 on in RFC 6335, 6)."""
_SYSTEM: Final = 1024
"""Ports below are for services (RFC 6335, 6), and for clients of NFS and the r commands."""
_ACTIVE_FTP: Final = 20
"""From there a server connects to its client (RFC 959, 3.3)."""
_SERVICES: Final = (
    21, 22, 23, 25, 53, 67, 69, 80, 88, 110, 111, 123, 135, 137, 138, 139, 143, 161, 162, 179, 389, 443, 445, 465, 500,
    514, 515, 554, 587, 631, 636, 853, 873, 989, 990, 993, 995, 1080, 1194, 1433, 1521, 1812, 1813, 1883, 2049, 2375,
    2376, 2379, 2380, 3128, 3260, 3268, 3306, 3389, 3478, 4500, 5060, 5061, 5222, 5353, 5432, 5671, 5672, 5900, 5984,
    6379, 6443, 6667, 8000, 8008, 8080, 8086, 8443, 8888, 9000, 9042, 9090, 9092, 9100, 9200, 9300, 10250, 11211,
    15672, 27017, 50051,
)  # fmt: skip
"""Ports of services that are met often (IANA: Service Name and Transport Protocol Port Number Registry, and habit)."""


def _ranks() -> npt.NDArray[np.uint8]:
    ranks = np.zeros(1 << 16, np.uint8)
    ranks[:_EPHEMERAL] = 1
    ranks[:_SYSTEM] = 2
    ranks[list(_SERVICES)] = _KNOWN
    ranks[[0, _ACTIVE_FTP]] = 0
    return ranks


_KNOWN: Final = 3
_RANKS: Final = _ranks()
"""Of each port: the higher, the more likely a server has it."""


class Claims(NamedTuple):
    """What sessions say of their client, where no packet and no conntrack entry does."""

    doubt: npt.NDArray[np.int8]
    """Per session: _LISTENS to _NOTHING."""
    client: npt.NDArray[np.int8]
    """Which orientation is that of the client's packets, where the doubt is not _NOTHING."""


def client_ways(
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    roots: npt.NDArray[np.int64],
    original: npt.NDArray[np.int8],
    servers: Servers,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(which way goes from the client to the server, earliest time) of each connection; -1 where there is none.

    A connection's number is the lesser of the `roots` of its two ways (of each end, as from find_all). `ends`:
    session * 2 + orientation, of each sighting; `original`: 1 where it goes in the original direction of a conntrack
    entry, -1 in the other, 0 not known; `times_ns`: on the reference clock.
    """
    leader, doubt, earliest = _leaders(sightings, times_ns, ends, roots, original)
    leading = np.full(roots.size, -1, np.int64)
    keys = np.flatnonzero(leader >= 0)
    of_leader = ends[leader[keys]]
    turned = _is_answer(sightings.take(leader[keys]), original[leader[keys]], doubt[keys])
    leading[keys] = np.where(turned, roots[of_leader ^ 1], roots[of_leader])
    open_ = np.zeros(roots.size, np.bool_)
    open_[keys] = doubt[keys] >= 2 * _LISTENS
    if open_.any():
        claims = _claims(sightings, ends, roots, open_, servers.listening, servers.asked, servers.by, _RANKS)
        _follow_claims(roots, open_, claims.doubt, claims.client, leading)
    return leading, earliest


def _is_answer(
    leader: npt.NDArray[np.void], original: npt.NDArray[np.int8], doubt: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Per leading sighting: all that is known is that it goes to the client."""
    how = doubt >> 1
    return ((how == _ANSWER) & ~_asks(leader)) | ((how == _CONNTRACK) & (original < 0))


def _asks(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    asks = (rows["protocol"] == ICMP) & (rows["icmp_type"] == ICMP_ECHO)
    return asks | ((rows["protocol"] == ICMPV6) & (rows["icmp_type"] == ICMPV6_ECHO))


@njit(cache=True, nogil=True)
def _leaders(sightings, times, ends, roots, original):
    """Per connection: the sighting that tells best which direction is the client's (-1 none), twice its doubt, and one
    more if it is an ICMP error, and the earliest time."""
    leader = np.full(roots.size, np.int64(-1))
    doubt = np.empty(roots.size, np.int64)
    earliest = np.empty(roots.size, np.int64)
    for i in range(sightings.size):
        row = sightings[i]
        key = min(roots[ends[i]], roots[ends[i] ^ 1])
        error = (row.notes & np.uint8(NOTE_ERROR)) != 0
        mine = np.int64(_SYN) if opens_connection(row) and not error else _doubt(row, original[i], error)
        mine = 2 * mine + np.int64(error)
        if leader[key] < 0:
            earliest[key] = times[i]
        else:
            earliest[key] = min(earliest[key], times[i])
            if mine > doubt[key] or (mine == doubt[key] and times[i] >= times[leader[key]]):
                continue
        leader[key] = i
        doubt[key] = mine
    return leader, doubt, earliest


@njit(cache=True, nogil=True, inline="always")
def _doubt(row, original, error):
    """Of a sighting that is no SYN, by itself."""
    found = np.int64(_NOTHING) if original == 0 else np.int64(_CONNTRACK)
    if row.protocol == TCP:
        if not error and (row.tcp_flags & np.uint16(TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN | TCP_ACK:
            found = np.int64(_ANSWER)
    elif row.protocol == ICMP:
        if row.icmp_type == ICMP_ECHO or row.icmp_type == ICMP_ECHO_REPLY:
            found = np.int64(_ANSWER)
    elif row.protocol == ICMPV6 and (row.icmp_type == ICMPV6_ECHO or row.icmp_type == ICMPV6_ECHO_REPLY):
        found = np.int64(_ANSWER)
    return found


@njit(cache=True, nogil=True)
def _claims(sightings, ends, roots, undecided, listening, asked, by, ranks):
    """What the sessions of undecided connections say, each by its first sighting that has their ports."""
    doubt = np.full(roots.size >> 1, np.int8(_NOTHING))
    client = np.zeros(roots.size >> 1, np.int8)
    done = np.zeros(roots.size >> 1, np.bool_)
    for i in range(sightings.size):
        session = ends[i] >> 1
        row = sightings[i]
        if done[session] or (row.notes & np.uint8(NOTE_ERROR)) or (row.protocol != TCP and row.protocol != UDP):
            continue
        done[session] = True
        if undecided[min(roots[ends[i]], roots[ends[i] ^ 1])]:
            how, from_client = _by_ends(row, listening, asked, by, ranks)
            doubt[session] = how
            client[session] = (ends[i] & 1) ^ np.int64(not from_client)
    return Claims(doubt, client)


@njit(cache=True, nogil=True)
def _by_ends(row, listening, asked, by, ranks):
    """(doubt, whether the packet goes from client to server) by the two ends of a packet."""
    source, destination = source_key(row), destination_key(row)
    listens = np.int64(_at(listening, destination) >= 0) - np.int64(_at(listening, source) >= 0)
    if listens != 0:
        return _LISTENS, listens > 0
    at, here = _at(asked, destination), _at(asked, source)
    others = (by[at] if at >= 0 else np.int64(1)) - (by[here] if here >= 0 else np.int64(1))
    one_sided = others != 0 and (at < 0 or here < 0)
    tcp = row.protocol == TCP
    if tcp and one_sided and abs(others) >= _MANY - 1:
        return _MANY_ASK, others > 0
    to, out = np.int64(ranks[row.destination_port]), np.int64(ranks[row.source_port])
    if to != out and max(to, out) == _KNOWN:
        return _SERVICE, to > out
    # One that talks with two from a port that is lent may be a client whose packets are there before and behind a
    # translation; and who sends datagrams may talk to many from any port, so there the ports must say the same.
    asked_rank, asking_rank = (to, out) if others > 0 else (out, to)
    if one_sided and (asked_rank > asking_rank or (tcp and asked_rank > 0)):
        return _SEVERAL_ASK, others > 0
    if tcp and to != out:
        return _PORTS, to > out
    return _NOTHING, True


@njit(cache=True, nogil=True)
def _at(keys, key):
    at = np.searchsorted(keys, key)
    return at if at < keys.size and keys[at] == key else -1


@njit(cache=True, nogil=True)
def _follow_claims(roots, undecided, doubt, client, leading):
    """Of each undecided connection, what the least doubtful of its sessions say; nothing where they disagree."""
    least = np.full(roots.size, np.int8(_NOTHING))
    for step in range(2):
        total = np.zeros(roots.size, np.int64)
        for session in range(doubt.size):
            key = min(roots[2 * session], roots[2 * session + 1])
            if not undecided[key] or doubt[session] == _NOTHING:
                continue
            if step == 0:
                least[key] = min(least[key], doubt[session])
            elif doubt[session] == least[key]:
                total[key] += 1 if roots[2 * session + client[session]] == key else -1
        for key in range(roots.size if step == 1 else 0):
            if total[key] != 0:
                other = _other_way(roots, key)
                leading[key] = key if total[key] > 0 else other


@njit(cache=True, nogil=True)
def _other_way(roots, key):
    """The root of the other way: that of the other end of the session whose end the root is."""
    return roots[key ^ 1]
