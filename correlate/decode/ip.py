"""Compiled dissection of IP: bytes of a datagram -> one SIGHTING row.

The same kernels read captured frames and the header copies in trace messages, so both get the same `flow` and
`content`. Header layouts: RFC 791 (IPv4), 8200 (IPv6), 9293 (TCP), 768 (UDP), 792 and 4443 (ICMP), 9260 (SCTP).
"""

from typing import Final

import numpy as np

from ...kernels.loads import be16, be32, be64, load8
from ...kernels.njit import njit
from ..arrays.hashing import SEED, hash_bytes, last_step, mix, step
from ..protocols import (
    DCCP,
    FRAGMENT_OFFSET,
    HOP_BY_HOP,
    ICMP,
    ICMPV6,
    MORE_FRAGMENTS,
    SCTP,
    TCP,
    TCP_FLAGS,
    TCP_SYN,
    UDP,
    UDP_LITE,
)
from ..schema import NOTE_CUT, NOTE_NO_FLOW
from .extension_headers import behind_extensions
from .flow_columns import MAPPED, set_flow
from .icmp import dissect_icmp
from .payload import checksum_residue, payload_hash

_UNREADABLE: Final = np.uint8(NOTE_NO_FLOW | NOTE_CUT)
_JUMBO: Final = 0xC204
"""Type and length of the jumbo payload option (RFC 2675, 2)."""
_TCP_REACH: Final = 18
"""With a smaller reach (reach.py) flags and window do not count."""


@njit(cache=True, inline="always")
def header_hash(protocol, label, length, ip_id, fragment):
    """Hash of what no router changes of an IP header."""
    words = np.uint64(length) | (np.uint64(ip_id) << np.uint64(32)) | (np.uint64(fragment) << np.uint64(48))
    return step(SEED, words, np.uint64(protocol) | (np.uint64(label) << np.uint64(8)))


@njit(cache=True)
def _dissect_transport(data, at, end, row, stop, label, reach):
    """What follows the IP header. `end` bounds the captured bytes, `stop` the datagram; `label`: flow label of IPv6;
    `reach`: bytes of the transport header that go into `content`."""
    protocol = row.protocol
    # IPv6 datagrams get another identification when they are put together and cut again: the first piece of one over
    # UDP has the content of the whole (fragments.py).
    as_whole = row.ip_version == 6 and row.fragment == np.uint16(MORE_FRAGMENTS) and protocol == UDP and at + 8 <= end
    whole = end == stop and not as_whole
    if protocol == TCP and reach >= _TCP_REACH:
        # No router changes the flow label (RFC 6437, 2), and IPv6 has no identification that would tell equal datagrams
        # apart; TCP has its sequence number.
        label = np.uint32(0)
    if as_whole:
        state = header_hash(protocol, label, np.uint64(40) + np.uint64(be16(data, at + 4)), 0, 0)
    else:
        state = header_hash(protocol, label, row.length, row.ip_id, row.fragment)
    if row.fragment & np.uint16(FRAGMENT_OFFSET):
        row.notes |= np.uint8(NOTE_NO_FLOW)
        state = hash_bytes(data, at, min(at + reach, end), state)
    elif protocol == TCP:
        if at + min(reach, _TCP_REACH) > end:
            row.notes |= _UNREADABLE
        elif reach < _TCP_REACH:
            row.source_port = be16(data, at)
            row.destination_port = be16(data, at + 2)
            if at + 8 <= end:
                row.sequence = be32(data, at + 4)
            if at + 14 <= end:
                row.acknowledgment = be32(data, at + 8)
                row.tcp_flags = be16(data, at + 12) & np.uint32(TCP_FLAGS)
            # Sequence number, then as much as there is of acknowledgment, flags and window; the checksum follows.
            state = hash_bytes(data, at + 4, at + min(reach, 16), state)
        else:
            row.source_port = be16(data, at)
            row.destination_port = be16(data, at + 2)
            row.sequence = be32(data, at + 4)
            row.acknowledgment = be32(data, at + 8)
            row.tcp_flags = be16(data, at + 12) & np.uint32(TCP_FLAGS)
            row.window = be16(data, at + 14)
            header = np.int64(load8(data, at + 12) >> 4) * 4
            row.payload_length = max(0, stop - at - header)
            state = last_step(
                state,
                (np.uint64(row.sequence) << np.uint64(32)) | np.uint64(row.acknowledgment),
                (np.uint64(row.tcp_flags) << np.uint64(16)) | np.uint64(row.window),
            )
            if whole and at + header <= end:
                row.payload = payload_hash(data, at + header, end)
            # A router may clamp the MSS option of a SYN, which changes the sum.
            if (row.tcp_flags & np.uint16(TCP_SYN)) == 0:
                row.residue = checksum_residue(be16(data, at + 16), row, stop - at)
    elif protocol == UDP:
        if at + min(reach, 8) > end:
            row.notes |= _UNREADABLE
        elif reach < 8:
            row.source_port = be16(data, at)
            row.destination_port = be16(data, at + 2)
        else:
            row.source_port = be16(data, at)
            row.destination_port = be16(data, at + 2)
            row.payload_length = max(0, stop - at - 8)
            state = hash_bytes(data, at + 8, min(at + reach, end), mix(state, np.uint64(be16(data, at + 4))))
            if whole:
                row.payload = payload_hash(data, at + 8, end)
            if row.fragment == 0:
                row.residue = checksum_residue(be16(data, at + 6), row, stop - at)
    elif protocol in (ICMP, ICMPV6):
        if at + 8 > end:
            row.notes |= _UNREADABLE
        else:
            row.content = dissect_icmp(data, at, end, row, state, stop, reach)
            return
    elif protocol in (SCTP, DCCP, UDP_LITE):
        if at + 12 > end:
            row.notes |= _UNREADABLE
        else:
            row.source_port = be16(data, at)
            row.destination_port = be16(data, at + 2)
            # The checksum stays out, for it changes with the addresses: SCTP bytes 8-11, DCCP and UDP-Lite bytes 6-7.
            if protocol == SCTP:
                state = hash_bytes(
                    data, at + 12, max(at + 12, min(at + reach, end)), mix(state, np.uint64(be32(data, at + 4)))
                )
            else:
                state = hash_bytes(data, at + 8, min(at + reach, end), mix(state, np.uint64(be16(data, at + 4))))
            if whole:
                row.payload = payload_hash(data, at + 12, end)
    else:
        state = hash_bytes(data, at, min(at + reach, end), state)
        if whole:
            row.payload = payload_hash(data, at, end)
    row.content = state
    set_flow(
        row, row.protocol, row.source_high, row.source_low, row.destination_high, row.destination_low,
        row.source_port, row.destination_port,
    )  # fmt: skip


@njit(cache=True)
def dissect_network(data, at, end, row, reach):
    """Dissect the IP datagram in data[at:end] into `row`; `reach`: bytes that count, per
    IP version (reach.py).

    Returns (start of its payload, end of its captured bytes, end of the datagram by its own length); the first is -1
    when it is none.
    """
    if at + 20 > end:
        return np.int64(-1), end, end
    version = load8(data, at) >> 4
    label = np.uint32(0)
    if version == 4:
        header = np.int64(load8(data, at) & 15) * 4
        if header < 20:
            return np.int64(-1), end, end
        row.ip_version = 4
        row.length = be16(data, at + 2)
        row.ip_id = be16(data, at + 4)
        row.fragment = be16(data, at + 6) & np.uint32(MORE_FRAGMENTS | FRAGMENT_OFFSET)
        row.ttl = load8(data, at + 8)
        row.protocol = load8(data, at + 9)
        row.source_low = MAPPED | np.uint64(be32(data, at + 12))
        row.destination_low = MAPPED | np.uint64(be32(data, at + 16))
    elif version == 6 and at + 40 <= end:
        row.ip_version = 6
        label = be32(data, at) & np.uint32(0xFFFFF)
        row.length = be16(data, at + 4) + np.uint32(40)
        row.ttl = load8(data, at + 7)
        row.source_high = be64(data, at + 8)
        row.source_low = be64(data, at + 16)
        row.destination_high = be64(data, at + 24)
        row.destination_low = be64(data, at + 32)
        jumbo = load8(data, at + 6) == HOP_BY_HOP and at + 48 <= end and be16(data, at + 42) == _JUMBO
        if jumbo and row.length == 40:  # a super-packet beyond 64 KiB (BIG TCP) says its length there (RFC 2675, 2)
            row.length = be32(data, at + 44) + np.uint32(40)
        row.protocol, transport, row.fragment, row.ip_id = behind_extensions(data, at + 40, end, load8(data, at + 6))
        header = transport - at
    else:
        return np.int64(-1), end, end
    stop = at + np.int64(row.length)
    captured = min(stop, end) if row.length else end  # length 0: the same super-packet of IPv4
    payload = min(at + header, captured)
    _dissect_transport(data, payload, captured, row, stop, label, reach[np.int64(version == 6)])
    return payload, captured, stop


@njit(cache=True)
def dissect_ip(data, at, end, row, reach):
    """The same for a header alone; False when it is none."""
    return dissect_network(data, at, end, row, reach)[0] >= 0
