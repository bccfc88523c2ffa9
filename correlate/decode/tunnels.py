"""Compiled recognition of tunnels: where in a datagram another packet begins.

RFC 7348 (VXLAN), 8926 (Geneve), 2003 (IPIP), 4213 (6in4), 2473 (in IPv6), 2784 and 2890 (GRE). VXLAN and Geneve are
found by content, for their ports are a matter of configuration (Docker and Linux: 4789 and 8472, others choose). At
ports that are said to be VXLAN's the content is not doubted.
"""

from collections.abc import Iterable
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ...errors import UsageError
from ...kernels.loads import be16, be32, load8
from ...kernels.njit import njit


class Tunnel(IntEnum):
    """Kinds of tunnels."""

    NONE = 0
    VXLAN = 1
    GENEVE = 2
    IPIP = 3
    SIX_IN_FOUR = 4
    FOUR_IN_SIX = 5
    SIX_IN_SIX = 6
    GRE = 7


def vxlan_at(ports: Iterable[int]) -> npt.NDArray[np.bool_]:
    """Per UDP port: what goes to or comes from it is VXLAN, whatever is inside. Raises UsageError for what is no
    port."""
    table = np.zeros(65536, np.bool_)
    for port in ports:
        if not 1 <= port <= 65535:
            raise UsageError(f"`{port}` is not a port number", "ports are 1 to 65535")
        table[port] = True
    return table


@njit(cache=True, inline="always")
def udp_may_be_tunnel(data, at, end, source_port, destination_port, vxlan):
    """may_be_tunnel of UDP."""
    if at + 28 > end:
        return False
    if load8(vxlan, destination_port) or load8(vxlan, source_port):
        return True
    word = be32(data, at + 8)
    kind = word & np.uint32(0xFFFF)
    return word & np.uint32(0x7F000000) == 0x08000000 or kind == 0x6558 or kind == 0x0800 or kind == 0x86DD


@njit(cache=True, inline="always")
def may_be_tunnel(data, at, end, row, vxlan):
    """A few compares that nearly every other packet fails; `at`: payload of the datagram, `end`: of its captured
    bytes, `vxlan`: see vxlan_at."""
    protocol = row.protocol
    if protocol == 17:
        return udp_may_be_tunnel(data, at, end, row.source_port, row.destination_port, vxlan)
    return protocol == 4 or protocol == 41 or protocol == 47


@njit(cache=True)
def sane_ip(data, at, end, stop, ethertype):
    """An IP header of the version of `ethertype`, whose datagram ends not behind `stop`."""
    if ethertype == 0x0800:
        if at + 20 > end or load8(data, at) >> 4 != 4:
            return False
        size = np.int64(be16(data, at + 2))
        header = np.int64(load8(data, at) & 15) * 4
        return header >= 20 and size >= header and at + size <= stop
    return at + 40 <= end and load8(data, at) >> 4 == 6 and at + 40 + np.int64(be16(data, at + 4)) <= stop


@njit(cache=True)
def _sane_ethernet(data, at, end, stop):
    """An Ethernet frame with IP or ARP in it, maybe tagged."""
    if at + 14 > end:
        return False
    ethertype = be16(data, at + 12)
    at += 14
    for _ in range(2):
        if (ethertype == 0x8100 or ethertype == 0x88A8) and at + 4 <= end:
            ethertype = be16(data, at + 2)
            at += 4
    if ethertype == 0x0806:
        return at + 28 <= end and be32(data, at) == 0x00010800 and be16(data, at + 4) == 0x0604
    return (ethertype == 0x0800 or ethertype == 0x86DD) and sane_ip(data, at, end, stop, ethertype)


@njit(cache=True)
def _what_vxlan_carries(word):
    """EtherType of what follows the first word of a VXLAN header, 0 when it cannot be told.

    Whoever receives it drops what has no valid identifier (RFC 7348, 5), and may ignore all other flags but that of
    the generic protocol extension (draft-ietf-nvo3-vxlan-gpe: P bit, next protocol).
    """
    if word & np.uint32(0x08000000) == 0:
        return 0
    following = word & np.uint32(0xFF)
    if word & np.uint32(0x04000000) == 0 or following == 3:
        return 0x6558
    return 0x0800 if following == 1 else 0x86DD if following == 2 else 0


@njit(cache=True)
def _in_udp(data, at, end, stop, row, vxlan):
    """VXLAN and Geneve; the group policy bits of VXLAN (draft-smith-vxlan-group-policy) only at its own ports."""
    header = at + 8
    if header + 8 > end:
        return 0, np.uint32(0), at, 0
    word = be32(data, header)
    key = be32(data, header + 4) >> np.uint32(8)
    if (load8(vxlan, row.destination_port) or load8(vxlan, row.source_port)) and header + 8 + 14 <= end:
        carried = _what_vxlan_carries(word)
        if carried:
            return 1, key, header + 8, carried
    if load8(data, header + 7) == 0:
        own_port = row.destination_port == 4789 or row.destination_port == 8472
        policy = word & np.uint32(0xFFB70000) == 0x88000000 and own_port
        if (word == 0x08000000 or policy) and _sane_ethernet(data, header + 8, end, stop):
            return 1, key, header + 8, 0x6558
        kind = np.int64(word & np.uint32(0xFFFF))
        if (
            load8(data, header) < 0x40
            and load8(data, header + 1) & 0x3F == 0
            and (kind == 0x6558 or kind == 0x0800 or kind == 0x86DD)
        ):
            inner = header + 8 + np.int64(load8(data, header) & 0x3F) * 4
            if _sane_ethernet(data, inner, end, stop) if kind == 0x6558 else sane_ip(data, inner, end, stop, kind):
                return 2, key, inner, kind
    return 0, np.uint32(0), at, 0


@njit(cache=True)
def _in_gre(data, at, end, stop):
    """GRE version 0, with any of checksum, key and sequence number; source routing is of the past (RFC 1701)."""
    if at + 4 > end:
        return 0, np.int64(-1), at, 0
    flags = be16(data, at)
    kind = np.int64(be16(data, at + 2))
    if flags & np.uint32(0x4FFF) or not (kind == 0x6558 or kind == 0x0800 or kind == 0x86DD):
        return 0, np.int64(-1), at, 0
    inner = at + 4
    if flags & np.uint32(0x8000):
        inner += 4
    key = np.int64(-1)
    if flags & np.uint32(0x2000):
        if inner + 4 > end:
            return 0, np.int64(-1), at, 0
        key = np.int64(be32(data, inner))
        inner += 4
    if flags & np.uint32(0x1000):
        inner += 4
    sane = _sane_ethernet(data, inner, end, stop) if kind == 0x6558 else sane_ip(data, inner, end, stop, kind)
    if not sane:
        return 0, np.int64(-1), at, 0
    return 7, key, inner, kind


@njit(cache=True)
def find_tunnel(data, at, end, stop, row, vxlan):
    """The packet inside a datagram whose payload is data[at:end], by its own length up to `stop`.

    `row`: its dissected header; `vxlan`: see vxlan_at. Returns (Tunnel, its network identifier or key or -1, start of
    the inner packet, its EtherType); Tunnel.NONE (0) when there is none. A fragment holds no whole packet.
    """
    nothing = (0, np.int64(-1), at, 0)
    if row.fragment != 0 or not may_be_tunnel(data, at, end, row, vxlan):
        return nothing
    if row.protocol == 17:
        kind, key, inner, ethertype = _in_udp(data, at, end, stop, row, vxlan)
        return kind, np.int64(key), inner, ethertype
    if row.protocol == 47:
        return _in_gre(data, at, end, stop)
    ethertype = 0x0800 if row.protocol == 4 else 0x86DD
    if not sane_ip(data, at, end, stop, ethertype):
        return nothing
    if row.ip_version == 4:
        return 3 if row.protocol == 4 else 4, np.int64(-1), at, ethertype
    return 5 if row.protocol == 4 else 6, np.int64(-1), at, ethertype
