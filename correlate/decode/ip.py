"""Compiled dissection of IP: bytes of a datagram -> one SIGHTING row.

The same kernels read captured frames and the header copies in trace messages, so both get the same `flow` and
`content`. Header layouts: RFC 791 (IPv4), 8200 (IPv6), 9293 (TCP), 768 (UDP), 792 and 4443 (ICMP), 9260 (SCTP).
"""

import numpy as np

from ...kernels.loads import be16, be32, be64, load8
from ...kernels.njit import njit
from ..arrays.hashing import SEED, flow_hash, flow_hashes, hash_bytes, last_step, mix, step

__all__ = ["MAPPED", "be16", "be32", "be64", "flow_hash", "hash_bytes", "mix"]

MAPPED = np.uint64(0x0000FFFF00000000)
"""Upper part of the low half of an IPv4-mapped address."""

_TCP_REACH = 18
"""With a smaller reach (reach.py) flags and window do not count."""


@njit(cache=True)
def set_flow(row, protocol, s_high, s_low, d_high, d_low, s_port, d_port):
    """Set `flow` and `flow_reverse` of a row."""
    row.flow, row.flow_reverse = flow_hashes(protocol, s_high, s_low, d_high, d_low, s_port, d_port)


@njit(cache=True)
def payload_hash(data, start, end):
    """Hash of the first 96 and last 32 bytes: a segment of 64 KiB costs no more than a small one. Never 0."""
    if end - start <= 128:
        return hash_bytes(data, start, end, np.uint64(3)) | np.uint64(1)
    state = hash_bytes(data, start, start + 96, np.uint64(end - start))
    return hash_bytes(data, end - 32, end, state) | np.uint64(1)


@njit(cache=True, inline="always")
def _words(value):
    """What leaves the same remainder by 0xffff as the sum of the four 16-bit words of a 64-bit number, for 2^16 leaves
    1."""
    return (value & np.uint64(0xFFFFFFFF)) + (value >> np.uint64(32))


@njit(cache=True, inline="always")
def remainders_residue(field, addresses, others, ports):
    """See checksum_residue. `addresses`: the sum of their words, or what leaves the same remainder by 0xffff; `others`:
    of what else is in the pseudo header."""
    total = field + addresses + ports
    residue = np.uint16(total % np.uint64(0xFFFF) + np.uint64(1))
    absent = field == 0 or field % np.uint64(0xFFFF) == (addresses + others) % np.uint64(0xFFFF)
    return np.uint16(0) if absent else residue


@njit(cache=True)
def checksum_residue(field, row, length):
    """What NAT leaves of a TCP or UDP checksum: the sum over all but addresses and ports, so it stands for the whole
    payload, however little of it was captured. 1 to 65535; 0 when the field tells nothing.

    The field is the complement of a ones' complement sum (RFC 1071), in which 0 and 0xffff are the same. With checksum
    offload it holds the sum of the pseudo header only (`length`: bytes of header and payload), and 0 in UDP means none.
    """
    addresses = (
        _words(row.source_high) + _words(row.source_low) + _words(row.destination_high) + _words(row.destination_low)
    )
    ports = np.uint64(row.source_port) + np.uint64(row.destination_port)
    return remainders_residue(np.uint64(field), addresses, np.uint64(row.protocol) + np.uint64(length), ports)


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


@njit(cache=True, inline="always")
def contradict(payload, residue, other_payload, other_residue):
    """Equal content, but not the same packet: the payloads differ or, where one was cut, the checksums."""
    if payload != 0 and other_payload != 0:
        return payload != other_payload
    return residue != 0 and other_residue != 0 and residue != other_residue


@njit(cache=True)
def _behind_extensions(data, at, end, following):
    """What stands behind the extension headers in data[at:end] (RFC 8200, 4): hop-by-hop, routing, destination options,
    fragment. `following`: the type of the first.

    Returns (its protocol, where it begins, fragment flags and offset as IPv4 has them, identification).
    """
    fragment = np.uint16(0)
    ip_id = np.uint16(0)
    while at + 8 <= end:
        if following == 0 or following == 43 or following == 60:
            following, size = load8(data, at), np.int64(load8(data, at + 1)) * 8 + 8
        elif following == 44:
            offset = be16(data, at + 2)
            fragment = np.uint16((offset >> np.uint32(3)) | ((offset & np.uint32(1)) << np.uint32(13)))
            ip_id = np.uint16(be16(data, at + 6))
            following, size = load8(data, at), np.int64(8)
        else:
            break
        at += size
        if fragment & np.uint16(0x1FFF):
            break  # what follows in a later fragment is payload, whatever its type
    return following, at, fragment, ip_id


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
        protocol, transport, fragment, _ = _behind_extensions(data, at + 40, end, load8(data, at + 6))
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
def _dissect_icmp(data, at, end, row, state, stop, reach):
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
    as_whole = row.ip_version == 6 and row.fragment == np.uint16(0x2000) and protocol == 17 and at + 8 <= end
    whole = end == stop and not as_whole
    if protocol == 6 and reach >= _TCP_REACH:
        # No router changes the flow label (RFC 6437, 2), and IPv6 has no identification that would tell equal datagrams
        # apart; TCP has its sequence number.
        label = np.uint32(0)
    if as_whole:
        state = header_hash(protocol, label, np.uint64(40) + np.uint64(be16(data, at + 4)), 0, 0)
    else:
        state = header_hash(protocol, label, row.length, row.ip_id, row.fragment)
    if row.fragment & np.uint16(0x1FFF):
        row.notes |= np.uint8(2)
        state = hash_bytes(data, at, min(at + reach, end), state)
    elif protocol == 6:
        if at + min(reach, _TCP_REACH) > end:
            row.notes |= np.uint8(6)
        elif reach < _TCP_REACH:
            row.source_port = be16(data, at)
            row.destination_port = be16(data, at + 2)
            if at + 8 <= end:
                row.sequence = be32(data, at + 4)
            if at + 14 <= end:
                row.acknowledgment = be32(data, at + 8)
                row.tcp_flags = be16(data, at + 12) & np.uint32(0x1FF)
            # Sequence number, then as much as there is of acknowledgment, flags and window; the checksum follows.
            state = hash_bytes(data, at + 4, at + min(reach, 16), state)
        else:
            row.source_port = be16(data, at)
            row.destination_port = be16(data, at + 2)
            row.sequence = be32(data, at + 4)
            row.acknowledgment = be32(data, at + 8)
            row.tcp_flags = be16(data, at + 12) & np.uint32(0x1FF)
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
            if (row.tcp_flags & np.uint16(2)) == 0:
                row.residue = checksum_residue(be16(data, at + 16), row, stop - at)
    elif protocol == 17:
        if at + min(reach, 8) > end:
            row.notes |= np.uint8(6)
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
    elif protocol == 1 or protocol == 58:
        if at + 8 > end:
            row.notes |= np.uint8(6)
        else:
            row.content = _dissect_icmp(data, at, end, row, state, stop, reach)
            return
    elif protocol == 132 or protocol == 33 or protocol == 136:
        if at + 12 > end:
            row.notes |= np.uint8(6)
        else:
            row.source_port = be16(data, at)
            row.destination_port = be16(data, at + 2)
            # The checksum stays out, for it changes with the addresses: SCTP bytes 8-11, DCCP and UDP-Lite bytes 6-7.
            if protocol == 132:
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
        row.fragment = be16(data, at + 6) & np.uint32(0x3FFF)
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
        jumbo = load8(data, at + 6) == 0 and at + 48 <= end and be16(data, at + 42) == 0xC204
        if jumbo and row.length == 40:  # a super-packet beyond 64 KiB (BIG TCP) says its length there (RFC 2675, 2)
            row.length = be32(data, at + 44) + np.uint32(40)
        row.protocol, transport, row.fragment, row.ip_id = _behind_extensions(data, at + 40, end, load8(data, at + 6))
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
