"""ICMP and ICMPv6: queries, whose identifier stands for a port, and errors, which belong to the packet they carry."""

import numpy as np

from ...kernels.loads import be16, be32, be64, load8
from ...kernels.njit import njit
from ..arrays.hashing import hash_bytes, mix
from .extension_headers import behind_extensions
from .flow_columns import MAPPED, set_flow
from .payload import payload_hash


@njit(cache=True)
def query_ports(kind, identifier):
    """The identifier of an ICMP query as a port of the side that asks, for the flow hash.

    So two hosts that ping each other with the same identifier are two flows. Types 0 and 8, 13 to 18 of ICMP (RFC 792,
    950), 128 and 129 of ICMPv6 (RFC 4443).
    """
    if kind in (8, 13, 15, 17, 128):
        return np.uint32(identifier), np.uint32(0)
    if kind in (0, 14, 16, 18, 129):
        return np.uint32(0), np.uint32(identifier)
    return np.uint32(0), np.uint32(0)


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
    if fragment & np.uint16(0x1FFF):
        return False
    s_port = np.uint32(0)
    d_port = np.uint32(0)
    if protocol == 6 or protocol == 17 or protocol == 132 or protocol == 33 or protocol == 136:
        if transport + 4 > end:
            return False
        s_port = be16(data, transport)
        d_port = be16(data, transport + 2)
    elif protocol == 1 or protocol == 58:
        if transport + 6 > end:
            return False
        s_port, d_port = query_ports(load8(data, transport), be16(data, transport + 4))
    set_flow(row, protocol, d_high, d_low, s_high, s_low, d_port, s_port)
    return True


@njit(cache=True)
def dissect_icmp(data, at, end, row, state, stop, reach):
    """ICMP and ICMPv6 behind the IP header; `stop` is the end of the datagram by its own length."""
    row.icmp_type = load8(data, at)
    row.icmp_code = load8(data, at + 1)
    kind = row.icmp_type
    if row.protocol == 1:
        error = kind == 3 or kind == 4 or kind == 5 or kind == 11 or kind == 12
        query = kind == 0 or kind == 8 or 13 <= kind <= 18
    else:
        error = kind < 128
        query = kind == 128 or kind == 129
    state = mix(state, (np.uint64(kind) << np.uint64(8)) | np.uint64(row.icmp_code))
    if error:
        row.notes |= np.uint8(1)
        # NAT rewrites addresses, ports and checksums of the embedded packet as well: only length, id (or flow label)
        # and protocol stay.
        if reach >= 20 and at + 20 <= end:
            embedded = load8(data, at + 8 + (9 if row.protocol == 1 else 6))
            state = mix(state, np.uint64(be32(data, at + 8 + 2)) ^ (np.uint64(embedded) << np.uint64(40)))
        if not _embedded_flow(data, at + 8, end, row):
            # Whose ports were cut off belongs to no connection; NAT leaves it its content, so that stands for the flow.
            row.notes |= np.uint8(2)
            row.flow = state
            row.flow_reverse = state
        return state
    if query and at + 8 <= end:
        row.source_port = be16(data, at + 4)
        row.destination_port = row.source_port
        row.sequence = be16(data, at + 6)
        state = mix(state, np.uint64(row.sequence))
        row.payload_length = max(0, stop - at - 8)
    elif at + 8 <= end:
        state = mix(state, np.uint64(be32(data, at + 4)))
    state = hash_bytes(data, min(at + 8, end), min(at + reach, end), state)
    asks, answers = query_ports(kind, row.source_port)
    set_flow(
        row,
        row.protocol,
        row.source_high,
        row.source_low,
        row.destination_high,
        row.destination_low,
        asks,
        answers,
    )
    if end == stop:
        row.payload = payload_hash(data, min(at + 8, end), end)
    return state
