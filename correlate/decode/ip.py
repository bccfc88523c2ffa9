"""Compiled dissection of IP: bytes of a datagram -> one SIGHTING row.

The same kernels read captured frames and the header copies in trace messages, so both get the same `flow` and
`content`. Header layouts: RFC 791 (IPv4), 8200 (IPv6).
"""

from typing import Final

import numpy as np

from ...kernels.loads import be16, be32, be64, load8
from ...kernels.njit import njit
from ..protocols import FRAGMENT_OFFSET, HOP_BY_HOP, MORE_FRAGMENTS
from .compared_bytes import FLOW_LABEL
from .extension_headers import behind_extensions
from .flow_columns import MAPPED
from .transport import dissect_transport

_IPV4_BYTES: Final = 20
_IPV6_BYTES: Final = 40
_JUMBO: Final = 0xC204
"""Type and length of the jumbo payload option (RFC 2675, 2)."""
_NONE: Final = np.int64(-1)


@njit(cache=True, forceinline=True)
def _read_ipv4(data, at, row):
    """The columns of an IPv4 header; returns its size, -1 when it is none."""
    header = np.int64(load8(data, at) & 15) * 4
    if header < _IPV4_BYTES:
        return _NONE
    row.ip_version = 4
    row.length = be16(data, at + 2)
    row.ip_id = be16(data, at + 4)
    row.fragment = be16(data, at + 6) & np.uint32(MORE_FRAGMENTS | FRAGMENT_OFFSET)
    row.ttl = load8(data, at + 8)
    row.protocol = load8(data, at + 9)
    row.source_low = MAPPED | np.uint64(be32(data, at + 12))
    row.destination_low = MAPPED | np.uint64(be32(data, at + 16))
    return header


@njit(cache=True, forceinline=True)
def _read_ipv6(data, at, end, row):
    """The columns of an IPv6 header; returns its size with the extension headers."""
    row.ip_version = 6
    following = load8(data, at + 6)
    row.length = be16(data, at + 4) + np.uint32(_IPV6_BYTES)
    row.ttl = load8(data, at + 7)
    row.source_high = be64(data, at + 8)
    row.source_low = be64(data, at + 16)
    row.destination_high = be64(data, at + 24)
    row.destination_low = be64(data, at + 32)
    jumbo = following == HOP_BY_HOP and at + 48 <= end and be16(data, at + 42) == _JUMBO
    if jumbo and row.length == _IPV6_BYTES:  # a super-packet beyond 64 KiB (BIG TCP) says its length there
        row.length = be32(data, at + 44) + np.uint32(_IPV6_BYTES)
    row.protocol, transport, row.fragment, row.ip_id = behind_extensions(data, at + _IPV6_BYTES, end, following)
    return transport - at


@njit(cache=True)
def dissect_network(data, at, end, row, reach):
    """Dissect the IP datagram in data[at:end] into `row`; `reach`: bytes of the transport header that count, per IP
    version (compared_bytes.py).

    Returns (start of its payload, end of its captured bytes, end of the datagram by its own length); the first is -1
    when it is none.
    """
    if at + _IPV4_BYTES > end:
        return _NONE, end, end
    version = load8(data, at) >> 4
    label = np.uint32(0)
    header = _NONE
    if version == 4:
        header = _read_ipv4(data, at, row)
    elif version == 6 and at + _IPV6_BYTES <= end:
        header = _read_ipv6(data, at, end, row)
        label = be32(data, at) & np.uint32(FLOW_LABEL)
    if header < 0:
        return _NONE, end, end
    stop = at + np.int64(row.length)
    captured = min(stop, end) if row.length else end  # length 0: the same super-packet of IPv4
    payload = min(at + header, captured)
    dissect_transport(data, payload, captured, row, stop, label, reach[np.int64(version == 6)])
    return payload, captured, stop


@njit(cache=True)
def dissect_ip(data, at, end, row, reach):
    """The same for a header alone; False when it is none."""
    return dissect_network(data, at, end, row, reach)[0] >= 0
