"""Compiled dissection of what nearly all packets are: TCP or UDP in IPv4, in Ethernet, without tags, options, fragments
or tunnels.

The result is that of ip.py, to the bit; a test compares them. All is computed in local variables and written to
the row at once, so the processor can work at the hashes side by side: a third of the time of the general way.
"""

from typing import Final

import numpy as np

from ...kernels.loads import be16, be32
from ...kernels.njit import njit
from ..arrays.hashing import flow_hashes, hash_words, last_step, mix
from ..protocols import ETHERTYPE_IPV4, FRAGMENT_OFFSET, MORE_FRAGMENTS, TCP, TCP_FLAGS, TCP_SYN, UDP
from .compared_bytes import WHOLE
from .flow_columns import MAPPED
from .ip import header_hash
from .payload import payload_hash, remainders_residue
from .tunnels import udp_may_be_tunnel

_LEAST: Final = 40
"""Bytes of the datagram that must be there: its header, and WHOLE bytes behind it."""
_SYN: Final = np.uint32(TCP_SYN)
_PLAIN: Final = np.uint32(ETHERTYPE_IPV4 << 16 | 0x4500)
_PLAIN_MASK: Final = np.uint32(0xFFFFFF00)
"""EtherType, version and size of the header, and with the mask whatever type of service."""
_IN_PIECES: Final = np.uint32(MORE_FRAGMENTS | FRAGMENT_OFFSET)


@njit(cache=True, forceinline=True)
def dissect_plain(data, start, end, row, vxlan):
    """Dissect the Ethernet frame in data[start:end] into `row`, which is blank but for what the capture file says of
    the frame; False, and nothing done, when it is none of the above. With the whole reach (reach.py) only."""
    at = start + 14
    if end - at < _LEAST:
        return False
    if be32(data, start + 12) & _PLAIN_MASK != _PLAIN:
        return False
    identity, kind = be32(data, at + 4), be32(data, at + 8)
    length = np.int64(be16(data, at + 2))
    protocol = (kind >> np.uint32(16)) & np.uint32(0xFF)
    stop = at + length
    captured = min(stop, end)
    if identity & _IN_PIECES != 0 or captured - at < _LEAST:
        return False
    transport = at + 20
    ports = be32(data, transport)
    source_port, destination_port = ports >> np.uint32(16), ports & np.uint32(0xFFFF)
    source, destination = np.uint64(be32(data, at + 12)), np.uint64(be32(data, at + 16))
    state = header_hash(protocol, np.uint32(0), length, identity >> np.uint32(16), np.uint32(0))
    sequence = acknowledgment = tcp_flags = window = np.uint32(0)
    if protocol == TCP:
        sequence, acknowledgment = be32(data, transport + 4), be32(data, transport + 8)
        word = be32(data, transport + 12)
        tcp_flags, window = (word >> np.uint32(16)) & np.uint32(TCP_FLAGS), word & np.uint32(0xFFFF)
        behind = transport + np.int64(word >> np.uint32(28)) * 4
        state = last_step(
            state,
            (np.uint64(sequence) << np.uint64(32)) | np.uint64(acknowledgment),
            (np.uint64(tcp_flags) << np.uint64(16)) | np.uint64(window),
        )
        field = be16(data, transport + 16)
    elif protocol == UDP:
        if udp_may_be_tunnel(data, transport, captured, source_port, destination_port, vxlan):
            return False
        behind = transport + 8
        size = be32(data, transport + 4)
        state = hash_words(data, behind, transport + WHOLE, mix(state, np.uint64(size >> np.uint32(16))))
        field = size & np.uint32(0xFFFF)
    else:
        return False
    payload = np.uint64(0)
    if captured == stop and behind <= captured:
        payload = payload_hash(data, behind, captured)
    residue = remainders_residue(
        np.uint64(field), source + destination, np.uint64(protocol) + np.uint64(stop - transport),
        np.uint64(source_port) + np.uint64(destination_port),
    )  # fmt: skip
    source |= MAPPED
    destination |= MAPPED
    nothing = np.uint64(0)
    flow, flow_reverse = flow_hashes(protocol, nothing, source, nothing, destination, source_port, destination_port)
    row.source_low = source
    row.destination_low = destination
    row.flow = flow
    row.flow_reverse = flow_reverse
    row.content = state
    row.payload = payload
    row.length = length
    row.sequence = sequence
    row.acknowledgment = acknowledgment
    row.payload_length = max(0, stop - behind)
    row.ethertype = ETHERTYPE_IPV4
    row.source_port = source_port
    row.destination_port = destination_port
    row.ip_id = identity >> np.uint32(16)
    row.tcp_flags = tcp_flags
    row.window = window
    # A router may clamp the MSS option of a SYN, which changes the sum.
    row.residue = np.uint16(0) if tcp_flags & _SYN else residue
    row.ip_version = 4
    row.protocol = protocol
    row.ttl = kind >> np.uint32(24)
    return True
