"""The conntrack messages of a file: events and dumped entries (linux/netfilter/nfnetlink_conntrack.h, CTA_*).

Values are big-endian.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.loads import be16, be32, be64
from ...kernels.njit import njit, uncounted_njit
from ..arrays.hashing import flow_hash
from ..decode.flow_columns import MAPPED
from ..decode.icmp import query_ports
from ..schema import CONNTRACK, CONNTRACK_DESTROYED, CONNTRACK_DUMPED, CONNTRACK_NEW, CONNTRACK_UPDATED
from .attributes import attribute, behind
from .messages import RawMessages
from .numbers import (
    CT_DELETE,
    CT_NEW,
    CTA_ID,
    CTA_IP_V4_DST,
    CTA_IP_V4_SRC,
    CTA_IP_V6_DST,
    CTA_IP_V6_SRC,
    CTA_MARK,
    CTA_PROTO_DST_PORT,
    CTA_PROTO_ICMP_ID,
    CTA_PROTO_ICMP_TYPE,
    CTA_PROTO_ICMPV6_ID,
    CTA_PROTO_ICMPV6_TYPE,
    CTA_PROTO_NUM,
    CTA_PROTO_SRC_PORT,
    CTA_STATUS,
    CTA_TIMESTAMP_EVENT,
    CTA_TUPLE_IP,
    CTA_TUPLE_ORIG,
    CTA_TUPLE_PROTO,
    CTA_TUPLE_REPLY,
    NLM_F_CREATE,
    NLM_F_MULTI,
)

TYPES = (CT_NEW, CT_DELETE)
_TUPLE: Final = 7
"""Numbers of a tuple: source high, low, destination high, low, source port, destination port, protocol."""
_SOURCE, _DESTINATION, _SOURCE_PORT, _DESTINATION_PORT, _PROTOCOL = 0, 2, 4, 5, 6
_HAS_ORIGINAL, _HAS_REPLY = 1, 2


def decode_conntrack(raw: RawMessages) -> tuple[npt.NDArray[np.void], int]:
    """(CONNTRACK rows in order, number of malformed messages, which are left out)."""
    entries = np.zeros(raw.which.size + 1, CONNTRACK)
    if raw.which.size == 0:
        return entries[:0], 0
    count = _decode(raw.data, raw.rows, raw.which, entries)
    return entries[:count], raw.which.size - count


@njit(cache=True, nogil=True)
def _decode(data, messages, which, entries):
    """Fill the rows, of which there is one more than messages; returns how many."""
    original = np.zeros(_TUPLE, np.uint64)
    reply = np.zeros(_TUPLE, np.uint64)
    echo = np.zeros(2, np.int64)
    count = 0
    for i in which:
        message = messages[i]
        row = entries[count]
        row.time_ns = message.time_ns
        row.namespace = message.namespace
        row.frame = message.frame
        if message.type == CT_DELETE:
            row.event = CONNTRACK_DESTROYED
        elif message.flags & NLM_F_MULTI:
            row.event = CONNTRACK_DUMPED
        elif message.flags & NLM_F_CREATE:
            row.event = CONNTRACK_NEW
        else:
            row.event = CONNTRACK_UPDATED
        if _decode_entry(data, message.start, message.end, row, original, reply, echo):
            count += 1
        else:
            entries[count] = np.zeros(1, entries.dtype)[0]
    return count


@uncounted_njit
def _decode_entry(data, at, end, row, original, reply, echo):
    """Fill a CONNTRACK row from the attributes data[at:end]; False when a tuple is missing or malformed.

    `original`, `reply`, `echo`: room for the tuples.
    """
    found = 0
    while at < end:
        kind, value, stop = attribute(data, at, end)
        if kind < 0:
            return False
        if kind == CTA_TUPLE_ORIG and _decode_tuple(data, value, stop, original, echo):
            found |= _HAS_ORIGINAL
        elif kind == CTA_TUPLE_REPLY and _decode_tuple(data, value, stop, reply, echo):
            found |= _HAS_REPLY
        elif kind == CTA_STATUS and stop - value == 4:
            row.status = be32(data, value)
        elif kind == CTA_MARK and stop - value == 4:
            row.mark = be32(data, value)
        elif kind == CTA_ID and stop - value == 4:
            row.id = be32(data, value)
        elif kind == CTA_TIMESTAMP_EVENT and stop - value == 8:
            row.time_ns = np.int64(be64(data, value))
        at = behind(at, stop)
    if found != _HAS_ORIGINAL | _HAS_REPLY:
        return False
    _flows_of(original, reply, row)
    return True


@uncounted_njit
def _decode_tuple(data, at, end, out, echo):
    """CTA_TUPLE_ORIG or _REPLY into `out`; False when it is malformed. `echo`: room for identifier and type of an ICMP
    query."""
    out[:] = 0
    echo[0], echo[1] = 0, -1
    while at < end:
        kind, value, stop = attribute(data, at, end)
        if kind < 0:
            return False
        # Others, like CTA_TUPLE_ZONE, are no nests.
        inner = value if kind <= CTA_TUPLE_PROTO else stop
        while inner < stop:
            part, start, finish = attribute(data, inner, stop)
            if part < 0:
                return False
            if kind == CTA_TUPLE_IP:
                _set_address(data, part, start, finish - start, out)
            else:
                _set_protocol(data, part, start, finish - start, out, echo)
            inner = behind(inner, finish)
        at = behind(at, stop)
    if echo[1] >= 0:
        out[_SOURCE_PORT], out[_DESTINATION_PORT] = query_ports(echo[1], np.uint32(echo[0]))
    return True


@uncounted_njit
def _set_address(data, part, at, size, out):
    if size == 4 and part == CTA_IP_V4_SRC:
        out[_SOURCE + 1] = MAPPED | np.uint64(be32(data, at))
    elif size == 4 and part == CTA_IP_V4_DST:
        out[_DESTINATION + 1] = MAPPED | np.uint64(be32(data, at))
    elif size == 16 and part in (CTA_IP_V6_SRC, CTA_IP_V6_DST):
        end = _SOURCE if part == CTA_IP_V6_SRC else _DESTINATION
        out[end] = be64(data, at)
        out[end + 1] = be64(data, at + 8)


@uncounted_njit
def _set_protocol(data, part, at, size, out, echo):
    """`echo`: identifier and type of an ICMP query, filled where the protocol has them."""
    if size == 1 and part == CTA_PROTO_NUM:
        out[_PROTOCOL] = data[at]
    elif size == 2 and part == CTA_PROTO_SRC_PORT:
        out[_SOURCE_PORT] = be16(data, at)
    elif size == 2 and part == CTA_PROTO_DST_PORT:
        out[_DESTINATION_PORT] = be16(data, at)
    elif size == 2 and part in (CTA_PROTO_ICMP_ID, CTA_PROTO_ICMPV6_ID):
        echo[0] = be16(data, at)
    elif size == 1 and part in (CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMPV6_TYPE):
        echo[1] = data[at]


@uncounted_njit
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
