"""Compiled decoding of one conntrack message (linux/netfilter/nfnetlink_conntrack.h, CTA_*). Values are big-endian."""

import numpy as np

from ...kernels.loads import be16, be32, be64
from ...kernels.njit import njit
from ..arrays.hashing import flow_hash
from ..decode.icmp import query_ports
from .attributes import attribute


@njit(cache=True)
def _decode_tuple(data, at, end, out):
    """CTA_TUPLE_*: out[0:6] = source high, low, destination high, low, source port, destination port; out[6] =
    protocol."""
    out[:] = 0
    identifier = np.uint32(0)
    icmp_type = np.int64(-1)
    while at < end:
        kind, value, stop = attribute(data, at, end)
        if kind < 0:
            return False
        inner = value if kind <= 2 else stop  # CTA_TUPLE_ZONE is no nest
        while inner < stop:
            part, start, finish = attribute(data, inner, stop)
            if part < 0:
                return False
            size = finish - start
            if kind == 1:
                if (part == 1 or part == 2) and size == 4:
                    out[part * 2 - 1] = np.uint64(0x0000FFFF00000000) | np.uint64(be32(data, start))
                elif (part == 3 or part == 4) and size == 16:
                    out[part * 2 - 6] = be64(data, start)
                    out[part * 2 - 5] = be64(data, start + 8)
            elif part == 1 and size == 1:
                out[6] = data[start]
            elif part == 2 and size == 2:
                out[4] = be16(data, start)
            elif part == 3 and size == 2:
                out[5] = be16(data, start)
            elif (part == 4 or part == 7) and size == 2:  # ICMP and ICMPv6 identifier
                identifier = be16(data, start)
            elif (part == 5 or part == 8) and size == 1:
                icmp_type = np.int64(data[start])
            inner += (size + 7) & ~np.int64(3)
        at += ((stop - at) + 3) & ~np.int64(3)
    if icmp_type >= 0:
        out[4], out[5] = query_ports(icmp_type, identifier)
    return True


@njit(cache=True)
def _flows_of(original, reply, row):
    row.protocol = original[6]
    o, r, protocol = original, reply, original[6]
    row.original = flow_hash(protocol, o[0], o[1], o[2], o[3], o[4], o[5])
    row.restored = flow_hash(protocol, o[2], o[3], o[0], o[1], o[5], o[4])
    row.reply = flow_hash(protocol, r[0], r[1], r[2], r[3], r[4], r[5])
    row.translated = flow_hash(protocol, r[2], r[3], r[0], r[1], r[5], r[4])
    row.original_source_high, row.original_source_low, row.original_source_port = o[0], o[1], o[4]
    row.original_destination_high, row.original_destination_low, row.original_destination_port = o[2], o[3], o[5]
    row.reply_source_high, row.reply_source_low, row.reply_source_port = r[0], r[1], r[4]
    row.reply_destination_high, row.reply_destination_low, row.reply_destination_port = r[2], r[3], r[5]


@njit(cache=True)
def decode_conntrack(data, at, end, row, original, reply):
    """Fill a CONNTRACK row from the attributes data[at:end]; False when a tuple is missing or malformed.

    `original`, `reply`: scratch for the tuples, 7 numbers each.
    """
    found = 0
    while at < end:
        kind, value, stop = attribute(data, at, end)
        if kind < 0:
            return False
        if kind == 1 and _decode_tuple(data, value, stop, original):
            found |= 1
        elif kind == 2 and _decode_tuple(data, value, stop, reply):
            found |= 2
        elif kind == 3 and stop - value == 4:
            row.status = be32(data, value)
        elif kind == 12 and stop - value == 4:
            row.id = be32(data, value)
        elif kind == 27 and stop - value == 8:  # CTA_TIMESTAMP_EVENT
            row.time_ns = np.int64(be64(data, value))
        at += ((stop - at) + 3) & ~np.int64(3)
    if found != 3:
        return False
    _flows_of(original, reply, row)
    return True
