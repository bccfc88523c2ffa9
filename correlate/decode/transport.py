"""Compiled dissection of what an IP header carries: TCP, UDP and those with ports, one kernel each; ICMP in icmp.py.

Each puts into the content hash what NAT does not change, and leaves out ports and checksums, which it does. Header
layouts: RFC 9293 (TCP), 768 (UDP), 9260 (SCTP), 4340 (DCCP), 3828 (UDP-Lite). All are put into their only caller
(`forceinline`): a call with so many arguments takes a tenth of the time of a packet.
"""

from typing import Final

import numpy as np

from ...kernels.loads import be16, be32, load8
from ...kernels.njit import njit
from ..arrays.hashing import SEED, hash_bytes, last_step, mix, step
from ..protocols import (
    DCCP,
    FRAGMENT_OFFSET,
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
from ..schema import NOTE_CUT, NOTE_NO_FLAGS, NOTE_NO_FLOW
from .compared_bytes import ICMP_BYTES, SCTP_BYTES, SCTP_TAG, TCP_FLAGS_END, TCP_REACH, TCP_WINDOW_END, UDP_BYTES
from .flow_columns import set_flow
from .icmp import dissect_icmp
from .payload import checksum_residue, payload_hash

_UNREADABLE: Final = np.uint8(NOTE_NO_FLOW | NOTE_CUT)
_IPV6_BYTES: Final = 40
_LEAST_BY_PORTS: Final = 12
"""What must be there of SCTP, DCCP and UDP-Lite."""


@njit(cache=True, inline="always")
def header_hash(protocol, label, length, ip_id, fragment):
    """Hash of what no router changes of an IP header."""
    words = np.uint64(length) | (np.uint64(ip_id) << np.uint64(32)) | (np.uint64(fragment) << np.uint64(48))
    return step(SEED, words, np.uint64(protocol) | (np.uint64(label) << np.uint64(8)))


@njit(cache=True)
def dissect_transport(data, at, end, row, stop, label, reach):
    """What follows the IP header, in data[at:end], into `row`. `stop`: end of the datagram by its own length; `label`:
    flow label of IPv6; `reach`: bytes of the transport header that go into `content`."""
    protocol = row.protocol
    # IPv6 datagrams get another identification when they are put together and cut again: the first piece of one over
    # UDP has the content of the whole (fragments.py).
    first_piece = row.ip_version == 6 and row.fragment == np.uint16(MORE_FRAGMENTS)
    as_whole = first_piece and protocol == UDP and at + UDP_BYTES <= end
    if protocol == TCP and reach >= TCP_REACH:
        # No router changes the flow label (RFC 6437, 2), and IPv6 has no identification that would tell equal datagrams
        # apart; TCP has its sequence number.
        label = np.uint32(0)
    if as_whole:
        state = header_hash(protocol, label, np.uint64(_IPV6_BYTES) + np.uint64(be16(data, at + 4)), 0, 0)
    else:
        state = header_hash(protocol, label, row.length, row.ip_id, row.fragment)
    if row.fragment & np.uint16(FRAGMENT_OFFSET):
        row.notes |= np.uint8(NOTE_NO_FLOW)
        state = hash_bytes(data, at, min(at + reach, end), state)
    elif protocol == TCP:
        state = _dissect_tcp(data, at, end, row, stop, state, reach)
    elif protocol == UDP:
        state = _dissect_udp(data, at, end, row, stop, state, reach, end == stop and not as_whole)
    elif protocol in (ICMP, ICMPV6):
        if at + ICMP_BYTES <= end:
            row.content = dissect_icmp(data, at, end, row, state, stop, reach)
            return
        row.notes |= _UNREADABLE
    elif protocol in (SCTP, DCCP, UDP_LITE):
        state = _dissect_by_ports(data, at, end, row, stop, state, reach)
    else:
        state = hash_bytes(data, at, min(at + reach, end), state)
        if end == stop:
            row.payload = payload_hash(data, at, end)
    row.content = state
    set_flow(
        row, row.protocol, row.source_high, row.source_low, row.destination_high, row.destination_low,
        row.source_port, row.destination_port,
    )  # fmt: skip


@njit(cache=True, forceinline=True)
def _dissect_tcp(data, at, end, row, stop, state, reach):
    """Returns `state` with the TCP header in it, as the others do with theirs."""
    if at + min(reach, TCP_REACH) > end:
        row.notes |= _UNREADABLE
        return state
    row.source_port = be16(data, at)
    row.destination_port = be16(data, at + 2)
    if reach < TCP_REACH:
        if at + 8 <= end:
            row.sequence = be32(data, at + 4)
        if at + TCP_FLAGS_END <= end:
            row.acknowledgment = be32(data, at + 8)
            row.tcp_flags = be16(data, at + 12) & np.uint32(TCP_FLAGS)
        else:
            row.notes |= np.uint8(NOTE_NO_FLAGS)
        # Sequence number, then as much as there is of acknowledgment, flags and window.
        return hash_bytes(data, at + 4, at + min(reach, TCP_WINDOW_END), state)
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
    if end == stop and at + header <= end:
        row.payload = payload_hash(data, at + header, end)
    # A router may clamp the MSS option of a SYN, which changes the sum.
    if (row.tcp_flags & np.uint16(TCP_SYN)) == 0:
        row.residue = checksum_residue(be16(data, at + TCP_WINDOW_END), row, stop - at)
    return state


@njit(cache=True, forceinline=True)
def _dissect_udp(data, at, end, row, stop, state, reach, whole):
    """`whole`: all of the payload is there."""
    if at + min(reach, UDP_BYTES) > end:
        row.notes |= _UNREADABLE
        return state
    row.source_port = be16(data, at)
    row.destination_port = be16(data, at + 2)
    row.payload_length = max(0, stop - at - UDP_BYTES)
    if reach < UDP_BYTES:
        return state
    state = mix(state, np.uint64(be16(data, at + 4)))
    state = hash_bytes(data, at + UDP_BYTES, min(at + reach, end), state)
    if whole:
        row.payload = payload_hash(data, at + UDP_BYTES, end)
    if row.fragment == 0:
        row.residue = checksum_residue(be16(data, at + 6), row, stop - at)
    return state


@njit(cache=True, forceinline=True)
def _dissect_by_ports(data, at, end, row, stop, state, reach):
    """SCTP, DCCP and UDP-Lite. The checksum stays out, for it changes with the addresses: SCTP bytes 8-11, of the
    others bytes 6-7."""
    if at + _LEAST_BY_PORTS > end:
        row.notes |= _UNREADABLE
        return state
    row.source_port = be16(data, at)
    row.destination_port = be16(data, at + 2)
    if row.protocol == SCTP:
        state, begin = mix(state, np.uint64(be32(data, at + SCTP_TAG))), at + SCTP_BYTES
    else:
        state, begin = mix(state, np.uint64(be16(data, at + 4))), at + UDP_BYTES
    state = hash_bytes(data, begin, max(begin, min(at + reach, end)), state)
    if end == stop:
        row.payload = payload_hash(data, at + _LEAST_BY_PORTS, end)
    return state
