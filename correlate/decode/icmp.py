"""ICMP and ICMPv6: queries, whose identifier stands for a port, and errors, which belong to the packet they carry."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.loads import be16, be32, be64, load8
from ...kernels.njit import njit
from ..arrays.hashing import hash_bytes, mix
from ..protocols import (
    FRAGMENT_OFFSET,
    ICMP,
    ICMP_ECHO,
    ICMP_ECHO_REPLY,
    ICMP_FRAGMENTATION_NEEDED,
    ICMP_INFORMATION,
    ICMP_INFORMATION_REPLY,
    ICMP_MASK,
    ICMP_MASK_REPLY,
    ICMP_PARAMETER_PROBLEM,
    ICMP_REDIRECT,
    ICMP_SOURCE_QUENCH,
    ICMP_TIME_EXCEEDED,
    ICMP_TIMESTAMP,
    ICMP_TIMESTAMP_REPLY,
    ICMP_UNREACHABLE,
    ICMPV6,
    ICMPV6_ECHO,
    ICMPV6_ECHO_REPLY,
    ICMPV6_NEIGHBOUR_ADVERTISEMENT,
    ICMPV6_NEIGHBOUR_SOLICITATION,
    ICMPV6_TOO_BIG,
    TCP,
    WITH_PORTS,
)
from ..schema import NOTE_ERROR, NOTE_NO_FLOW
from .compared_bytes import ABOUT, ICMP_BYTES, WHOLE
from .extension_headers import behind_extensions
from .flow_columns import MAPPED, set_flow
from .payload import payload_hash

_ASKS: Final = (ICMP_ECHO, ICMP_TIMESTAMP, ICMP_INFORMATION, ICMP_MASK, ICMPV6_ECHO)
_ANSWERS: Final = (ICMP_ECHO_REPLY, ICMP_TIMESTAMP_REPLY, ICMP_INFORMATION_REPLY, ICMP_MASK_REPLY, ICMPV6_ECHO_REPLY)
_ERRORS: Final = (
    ICMP_UNREACHABLE,
    ICMP_SOURCE_QUENCH,
    ICMP_REDIRECT,
    ICMP_TIME_EXCEEDED,
    ICMP_PARAMETER_PROBLEM,
)
"""Of ICMP; in ICMPv6 all types below 128 are (RFC 4443, 2.1)."""
_ABOUT_A_NEIGHBOUR: Final = (ICMPV6_NEIGHBOUR_SOLICITATION, ICMPV6_NEIGHBOUR_ADVERTISEMENT)
_TARGET_END: Final = 24
"""Behind the address that they are about (RFC 4861, 4.3)."""
_IPV6_HEADER: Final = 40
"""Bytes, which the length in it does not count."""
_PROTOCOL_AT_4, _PROTOCOL_AT_6 = 9, 6
"""Where the header of IPv4 and that of IPv6 say what follows."""


@njit(cache=True)
def query_ports(kind, identifier):
    """The identifier of an ICMP query as a port of the side that asks, for the flow hash.

    So two hosts that ping each other with the same identifier are two flows. Types of ICMP and ICMPv6 alike, for none
    of the one means something else in the other.
    """
    if kind in _ASKS:
        return np.uint32(identifier), np.uint32(0)
    if kind in _ANSWERS:
        return np.uint32(0), np.uint32(identifier)
    return np.uint32(0), np.uint32(0)


@njit(cache=True)
def is_query(protocol, kind):
    """Echo and the like: the identifier changes with NAT, the sequence number does not. Takes the type of ICMP or
    ICMPv6."""
    if protocol == ICMP:
        return kind in (ICMP_ECHO_REPLY, ICMP_ECHO) or ICMP_TIMESTAMP <= kind <= ICMP_MASK_REPLY
    return kind in (ICMPV6_ECHO, ICMPV6_ECHO_REPLY)


def are_queries(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Per SIGHTING row of ICMP or ICMPv6: it is a query, see is_query."""
    found = np.empty(rows.size, np.bool_)
    _mark_queries(rows, found)
    return found


@njit(cache=True)
def _mark_queries(rows, found):
    for i in range(rows.size):
        found[i] = is_query(rows[i].protocol, rows[i].icmp_type)


@njit(cache=True)
def _note_quotation(data, at, transport, end, protocol, row):
    """What names the packet an ICMP error carries: its length, id and sequence number."""
    if load8(data, at) >> 4 == 4:
        row.acknowledgment = be32(data, at + ABOUT)
    else:
        row.acknowledgment = (np.uint32(be16(data, at + 4)) + np.uint32(_IPV6_HEADER)) << np.uint32(16)
    if protocol == TCP and transport + 8 <= end:
        row.sequence = be32(data, transport + 4)
    elif protocol in (ICMP, ICMPV6) and is_query(protocol, load8(data, transport)) and transport + 8 <= end:
        row.sequence = be16(data, transport + 6)


@njit(cache=True)
def _embedded_flow(data, at, end, row):
    """Flow of the packet an ICMP error carries; the error travels against it, so the directions are exchanged. False
    when its ports cannot be read."""
    version = load8(data, at) >> 4 if at < end else 0
    if version == 4 and at + 20 <= end:
        transport = at + np.int64(load8(data, at) & 15) * 4
        protocol = load8(data, at + 9)
        fragment = np.uint16(be16(data, at + 6))
        s_high = np.uint64(0)
        d_high = np.uint64(0)
        s_low = MAPPED | np.uint64(be32(data, at + 12))
        d_low = MAPPED | np.uint64(be32(data, at + 16))
    elif version == 6 and at + 40 <= end:
        protocol, transport, fragment, _ = behind_extensions(data, at + 40, end, load8(data, at + 6))
        s_high = be64(data, at + 8)
        s_low = be64(data, at + 16)
        d_high = be64(data, at + 24)
        d_low = be64(data, at + 32)
    else:
        return False
    if fragment & np.uint16(FRAGMENT_OFFSET):
        return False
    s_port = np.uint32(0)
    d_port = np.uint32(0)
    if protocol in WITH_PORTS:
        if transport + 4 > end:
            return False
        s_port = be16(data, transport)
        d_port = be16(data, transport + 2)
    elif protocol in (ICMP, ICMPV6):
        if transport + 6 > end:
            return False
        s_port, d_port = query_ports(load8(data, transport), be16(data, transport + 4))
    _note_quotation(data, at, transport, end, protocol, row)
    set_flow(row, protocol, d_high, d_low, s_high, s_low, d_port, s_port)
    return True


@njit(cache=True)
def dissect_icmp(data, at, end, row, state, stop, reach):
    """ICMP and ICMPv6 behind the IP header, of which `state` is the hash; returns the content. `stop` is the end of the
    datagram by its own length."""
    row.icmp_type = load8(data, at)
    row.icmp_code = load8(data, at + 1)
    kind = row.icmp_type
    state = mix(state, (np.uint64(kind) << np.uint64(8)) | np.uint64(row.icmp_code))
    if kind in _ERRORS if row.protocol == ICMP else kind < ICMPV6_ECHO:
        return _dissect_error(data, at, end, row, state, reach)
    if is_query(row.protocol, kind) and at + ICMP_BYTES <= end:
        row.source_port = be16(data, at + 4)
        row.destination_port = row.source_port
        row.sequence = be16(data, at + 6)
        state = mix(state, np.uint64(row.sequence))
        row.payload_length = max(0, stop - at - ICMP_BYTES)
    elif at + ICMP_BYTES <= end:
        state = mix(state, np.uint64(be32(data, at + 4)))
        if row.protocol == ICMPV6 and kind in _ABOUT_A_NEIGHBOUR and at + _TARGET_END <= end:
            row.sequence = be32(data, at + _TARGET_END - 4)
    state = hash_bytes(data, min(at + ICMP_BYTES, end), min(at + reach, end), state)
    asks, answers = query_ports(kind, row.source_port)
    set_flow(
        row, row.protocol, row.source_high, row.source_low, row.destination_high, row.destination_low, asks, answers,
    )  # fmt: skip
    if end == stop:
        row.payload = payload_hash(data, min(at + ICMP_BYTES, end), end)
    return state


@njit(cache=True, inline="always")
def _told_mtu(data, at, row):
    """The MTU of `fragmentation needed` (RFC 1191, 4) or `packet too big` (RFC 4443, 3.2), at most 65,535; else 0."""
    if row.protocol == ICMP and row.icmp_type == ICMP_UNREACHABLE and row.icmp_code == ICMP_FRAGMENTATION_NEEDED:
        return np.uint16(be16(data, at + 6))
    if row.protocol == ICMPV6 and row.icmp_type == ICMPV6_TOO_BIG:
        return np.uint16(min(int(be32(data, at + 4)), 65535))
    return np.uint16(0)


@njit(cache=True, forceinline=True)
def _dissect_error(data, at, end, row, state, reach):
    """An error has the flow of the packet that it carries."""
    row.notes |= np.uint8(NOTE_ERROR)
    if at + ICMP_BYTES <= end:
        row.window = _told_mtu(data, at, row)
    # NAT rewrites addresses, ports and checksums of the embedded packet as well: only length, id (or flow label) and
    # protocol stay.
    if reach >= WHOLE and at + WHOLE <= end:
        embedded = load8(data, at + ICMP_BYTES + (_PROTOCOL_AT_4 if row.protocol == ICMP else _PROTOCOL_AT_6))
        state = mix(state, np.uint64(be32(data, at + ICMP_BYTES + ABOUT)) ^ (np.uint64(embedded) << np.uint64(40)))
    if not _embedded_flow(data, at + ICMP_BYTES, end, row):
        # Whose ports were cut off belongs to no connection; NAT leaves it its content, so that stands for the flow.
        row.notes |= np.uint8(NOTE_NO_FLOW)
        row.flow = state
        row.flow_reverse = state
    return state
