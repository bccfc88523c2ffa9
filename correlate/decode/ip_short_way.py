"""Compiled dissection of what nearly all packets are: TCP or UDP in IPv4, in Ethernet, without tags, options, fragments
or tunnels.

The result is that of ip.py, to the bit; a test compares them. All is computed in local variables and written to the row
at once, so the processor can work at the hashes side by side: a third of the time of the general way. What is called
here is put into the caller, for the same reason.
"""

from typing import Final, NamedTuple

import numpy as np

from ...kernels.loads import be16, be32
from ...kernels.njit import njit
from ..arrays.hashing import flow_hashes, hash_words, last_step, mix
from ..protocols import ETHERTYPE_IPV4, FRAGMENT_OFFSET, MORE_FRAGMENTS, TCP, TCP_FLAGS, TCP_SYN, UDP
from .compared_bytes import UDP_BYTES, WHOLE
from .flow_columns import MAPPED
from .payload import payload_hash, remainders_residue
from .transport import header_hash
from .tunnels import udp_may_be_tunnel

_ETHERNET_BYTES: Final = 14
_IPV4_BYTES: Final = 20
_LEAST: Final = _IPV4_BYTES + WHOLE
"""Bytes of the datagram that must be there."""
_PLAIN: Final = np.uint32(ETHERTYPE_IPV4 << 16 | 0x4500)
_PLAIN_MASK: Final = np.uint32(0xFFFFFF00)
"""EtherType, version and size of the header, and with the mask whatever type of service."""
_IN_PIECES: Final = np.uint32(MORE_FRAGMENTS | FRAGMENT_OFFSET)
_NOTHING: Final = np.uint32(0)


class _Transport(NamedTuple):
    """What a transport header says."""

    content: np.uint64
    """The hash, with it."""
    behind: np.int64
    """Where the payload begins."""
    checksum: np.uint32
    sequence: np.uint32
    acknowledgment: np.uint32
    flags: np.uint32
    window: np.uint32


@njit(cache=True, forceinline=True)
def dissect_plain(data, start, end, row, vxlan):
    """Dissect the Ethernet frame in data[start:end] into `row`, which is blank but for what the capture file says of
    the frame; False, and nothing done, when it is none of the above. With the whole reach (compared_bytes.py) only."""
    at = start + _ETHERNET_BYTES
    if end - at < _LEAST or be32(data, start + 12) & _PLAIN_MASK != _PLAIN:
        return False
    identity, kind = be32(data, at + 4), be32(data, at + 8)
    length = np.int64(be16(data, at + 2))
    protocol = (kind >> np.uint32(16)) & np.uint32(0xFF)
    stop = at + length
    captured = min(stop, end)
    if identity & _IN_PIECES != 0 or captured - at < _LEAST:
        return False
    transport = at + _IPV4_BYTES
    ports = be32(data, transport)
    source_port, destination_port = ports >> np.uint32(16), ports & np.uint32(0xFFFF)
    source, destination = np.uint64(be32(data, at + 12)), np.uint64(be32(data, at + 16))
    state = header_hash(protocol, _NOTHING, length, identity >> np.uint32(16), _NOTHING)
    if protocol == TCP:
        said = _read_tcp(data, transport, state)
    elif protocol == UDP and not udp_may_be_tunnel(data, transport, captured, source_port, destination_port, vxlan):
        said = _read_udp(data, transport, state)
    else:
        return False
    payload = np.uint64(0)
    if captured == stop and said.behind <= captured:
        payload = payload_hash(data, said.behind, captured)
    residue = remainders_residue(
        np.uint64(said.checksum), source + destination, np.uint64(protocol) + np.uint64(stop - transport),
        np.uint64(source_port) + np.uint64(destination_port),
    )  # fmt: skip
    _write_flow(row, protocol, MAPPED | source, MAPPED | destination, source_port, destination_port)
    _write_transport(row, said, payload, residue, max(0, stop - said.behind))
    row.ethertype = ETHERTYPE_IPV4
    row.ip_version = 4
    row.length = length
    row.ip_id = identity >> np.uint32(16)
    row.ttl = kind >> np.uint32(24)
    return True


@njit(cache=True, forceinline=True)
def _read_tcp(data, at, state):
    sequence, acknowledgment, word = be32(data, at + 4), be32(data, at + 8), be32(data, at + 12)
    flags, window = np.uint32((word >> np.uint32(16)) & np.uint32(TCP_FLAGS)), np.uint32(word & np.uint32(0xFFFF))
    content = last_step(
        state,
        (np.uint64(sequence) << np.uint64(32)) | np.uint64(acknowledgment),
        (np.uint64(flags) << np.uint64(16)) | np.uint64(window),
    )
    behind = at + np.int64(word >> np.uint32(28)) * 4
    return _Transport(content, behind, be16(data, at + 16), sequence, acknowledgment, flags, window)


@njit(cache=True, forceinline=True)
def _read_udp(data, at, state):
    behind, size = at + UDP_BYTES, be32(data, at + 4)
    content = hash_words(data, behind, at + WHOLE, mix(state, np.uint64(size >> np.uint32(16))))
    return _Transport(content, behind, np.uint32(size & np.uint32(0xFFFF)), _NOTHING, _NOTHING, _NOTHING, _NOTHING)


@njit(cache=True, forceinline=True)
def _write_flow(row, protocol, source, destination, source_port, destination_port):
    nothing = np.uint64(0)
    flow, flow_reverse = flow_hashes(protocol, nothing, source, nothing, destination, source_port, destination_port)
    row.source_low = source
    row.destination_low = destination
    row.flow = flow
    row.flow_reverse = flow_reverse
    row.source_port = source_port
    row.destination_port = destination_port
    row.protocol = protocol


@njit(cache=True, forceinline=True)
def _write_transport(row, said, payload, residue, payload_length):
    row.content = said.content
    row.payload = payload
    row.sequence = said.sequence
    row.acknowledgment = said.acknowledgment
    row.payload_length = payload_length
    row.tcp_flags = said.flags
    row.window = said.window
    # A router may clamp the MSS option of a SYN, which changes the sum.
    row.residue = np.uint16(0) if said.flags & np.uint32(TCP_SYN) else residue
