"""Compiled recognition of tunnels: where in a datagram another packet begins.

RFC 7348 (VXLAN), 8926 (Geneve), 2003 (IPIP), 4213 (6in4), 2473 (in IPv6), 2784 and 2890 (GRE). VXLAN and Geneve are
found by content, for their ports are a matter of configuration (Docker and Linux: 4789 and 8472, others choose). At
ports that are said to be VXLAN's the content is not doubted.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ...errors import UsageError
from ...kernels.loads import be16, be32, load8
from ...kernels.njit import njit
from ..protocols import (
    ETHERTYPE_ARP,
    ETHERTYPE_ETHERNET,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_SERVICE_VLAN,
    ETHERTYPE_VLAN,
    GRE,
    IPV4_INSIDE,
    IPV6_INSIDE,
    UDP,
)


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


_NONE, _VXLAN, _GENEVE, _GRE = int(Tunnel.NONE), int(Tunnel.VXLAN), int(Tunnel.GENEVE), int(Tunnel.GRE)
_IPIP, _SIX_IN_FOUR = int(Tunnel.IPIP), int(Tunnel.SIX_IN_FOUR)
_FOUR_IN_SIX, _SIX_IN_SIX = int(Tunnel.FOUR_IN_SIX), int(Tunnel.SIX_IN_SIX)

_UDP_BYTES: Final = 8
_VXLAN_BYTES: Final = 8
"""Also those of a Geneve header without options."""
_ETHERNET_BYTES: Final = 14
_VXLAN_PORTS: Final = (4789, 8472)
"""IANA's, and what Linux takes without being told."""
_VXLAN_VALID: Final = np.uint32(0x08000000)
"""First word of VXLAN: there is a network identifier (RFC 7348, 5)."""
_VXLAN_GENERIC: Final = np.uint32(0x04000000)
"""There is a next protocol (draft-ietf-nvo3-vxlan-gpe, 3.1)."""
_NEXT_IPV4, _NEXT_IPV6, _NEXT_ETHERNET = 1, 2, 3
_POLICY: Final = np.uint32(0x88000000)
_POLICY_MASK: Final = np.uint32(0xFFB70000)
"""A group policy, whatever its bits and its group (draft-smith-vxlan-group-policy, 2.1)."""
_FLAGS_BUT_POLICY: Final = np.uint32(0x7F000000)
_GENEVE_VERSION: Final = 0x40
"""First byte of Geneve: version 0 is below it, and the length of the options in words (RFC 8926, 3.4)."""
_GENEVE_OPTIONS: Final = 0x3F
_GENEVE_RESERVED: Final = 0x3F
_GRE_CHECKSUM, _GRE_KEY, _GRE_SEQUENCE = np.uint32(0x8000), np.uint32(0x2000), np.uint32(0x1000)
_GRE_OTHERS: Final = np.uint32(0x4FFF)
"""Flags and version that a header of version 0 without source routing does not have (RFC 2784, 2.1; 2890, 2)."""
_ARP_BYTES: Final = 28
_ARP_KIND: Final = 0x00010800
"""Of Ethernet and IPv4 (RFC 826)."""
_ARP_SIZES: Final = 0x0604


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
    if word & _FLAGS_BUT_POLICY == _VXLAN_VALID:
        return True
    return kind == ETHERTYPE_ETHERNET or kind == ETHERTYPE_IPV4 or kind == ETHERTYPE_IPV6  # of Geneve


@njit(cache=True, inline="always")
def may_be_tunnel(data, at, end, row, vxlan):
    """A few compares that nearly every other packet fails; `at`: payload of the datagram, `end`: of its captured
    bytes, `vxlan`: see vxlan_at."""
    protocol = row.protocol
    if protocol == UDP:
        return udp_may_be_tunnel(data, at, end, row.source_port, row.destination_port, vxlan)
    return protocol in (IPV4_INSIDE, IPV6_INSIDE, GRE)


@njit(cache=True)
def sane_ip(data, at, end, stop, ethertype):
    """An IP header of the version of `ethertype`, whose datagram ends not behind `stop`."""
    if ethertype == ETHERTYPE_IPV4:
        if at + 20 > end or load8(data, at) >> 4 != 4:
            return False
        size = np.int64(be16(data, at + 2))
        header = np.int64(load8(data, at) & 15) * 4
        return header >= 20 and size >= header and at + size <= stop
    return at + 40 <= end and load8(data, at) >> 4 == 6 and at + 40 + np.int64(be16(data, at + 4)) <= stop


@njit(cache=True)
def _sane_ethernet(data, at, end, stop):
    """An Ethernet frame with IP or ARP in it, maybe tagged."""
    if at + _ETHERNET_BYTES > end:
        return False
    ethertype = be16(data, at + 12)
    at += _ETHERNET_BYTES
    for _ in range(2):
        if ethertype in (ETHERTYPE_VLAN, ETHERTYPE_SERVICE_VLAN) and at + 4 <= end:
            ethertype = be16(data, at + 2)
            at += 4
    if ethertype == ETHERTYPE_ARP:
        return at + _ARP_BYTES <= end and be32(data, at) == _ARP_KIND and be16(data, at + 4) == _ARP_SIZES
    return ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6) and sane_ip(data, at, end, stop, ethertype)


@njit(cache=True)
def _is_sane(data, at, end, stop, ethertype):
    """What Geneve or GRE says to carry: Ethernet or IP."""
    if ethertype == ETHERTYPE_ETHERNET:
        return _sane_ethernet(data, at, end, stop)
    return ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6) and sane_ip(data, at, end, stop, ethertype)


@njit(cache=True)
def _what_vxlan_carries(word):
    """EtherType of what follows the first word of a VXLAN header, 0 when it cannot be told.

    Whoever receives it drops what has no valid identifier (RFC 7348, 5), and may ignore all other flags but that of
    the generic protocol extension.
    """
    if word & _VXLAN_VALID == 0:
        return 0
    following = word & np.uint32(0xFF)
    if word & _VXLAN_GENERIC == 0 or following == _NEXT_ETHERNET:
        return ETHERTYPE_ETHERNET
    return ETHERTYPE_IPV4 if following == _NEXT_IPV4 else ETHERTYPE_IPV6 if following == _NEXT_IPV6 else 0


@njit(cache=True)
def _in_udp(data, at, end, stop, row, vxlan):
    """VXLAN and Geneve; the group policy bits of VXLAN only at its own ports."""
    header = at + _UDP_BYTES
    inner = header + _VXLAN_BYTES
    if inner > end:
        return _NONE, np.uint32(0), at, 0
    word = be32(data, header)
    key = be32(data, header + 4) >> np.uint32(8)
    if (load8(vxlan, row.destination_port) or load8(vxlan, row.source_port)) and inner + _ETHERNET_BYTES <= end:
        carried = _what_vxlan_carries(word)
        if carried:
            return _VXLAN, key, inner, carried
    if load8(data, header + 7) == 0:  # behind the identifier, in both
        policy = word & _POLICY_MASK == _POLICY and row.destination_port in _VXLAN_PORTS
        if (word == _VXLAN_VALID or policy) and _sane_ethernet(data, inner, end, stop):
            return _VXLAN, key, inner, ETHERTYPE_ETHERNET
        kind = np.int64(word & np.uint32(0xFFFF))
        if load8(data, header) < _GENEVE_VERSION and load8(data, header + 1) & _GENEVE_RESERVED == 0:
            inner += np.int64(load8(data, header) & _GENEVE_OPTIONS) * 4
            if _is_sane(data, inner, end, stop, kind):
                return _GENEVE, key, inner, kind
    return _NONE, np.uint32(0), at, 0


@njit(cache=True)
def _in_gre(data, at, end, stop):
    """GRE version 0, with any of checksum, key and sequence number; source routing is of the past (RFC 1701)."""
    nothing = (_NONE, np.int64(-1), at, 0)
    if at + 4 > end:
        return nothing
    flags = be16(data, at)
    kind = np.int64(be16(data, at + 2))
    if flags & _GRE_OTHERS:
        return nothing
    inner = at + 4
    if flags & _GRE_CHECKSUM:
        inner += 4
    key = np.int64(-1)
    if flags & _GRE_KEY:
        if inner + 4 > end:
            return nothing
        key = np.int64(be32(data, inner))
        inner += 4
    if flags & _GRE_SEQUENCE:
        inner += 4
    return (_GRE, key, inner, kind) if _is_sane(data, inner, end, stop, kind) else nothing


@njit(cache=True)
def find_tunnel(data, at, end, stop, row, vxlan):
    """The packet inside a datagram whose payload is data[at:end], by its own length up to `stop`.

    `row`: its dissected header; `vxlan`: see vxlan_at. Returns (Tunnel, its network identifier or key or -1, start of
    the inner packet, its EtherType); Tunnel.NONE when there is none. A fragment holds no whole packet.
    """
    nothing = (_NONE, np.int64(-1), at, 0)
    if row.fragment != 0 or not may_be_tunnel(data, at, end, row, vxlan):
        return nothing
    if row.protocol == UDP:
        kind, key, inner, ethertype = _in_udp(data, at, end, stop, row, vxlan)
        return kind, np.int64(key), inner, ethertype
    if row.protocol == GRE:
        return _in_gre(data, at, end, stop)
    four = row.protocol == IPV4_INSIDE
    ethertype = ETHERTYPE_IPV4 if four else ETHERTYPE_IPV6
    if not sane_ip(data, at, end, stop, ethertype):
        return nothing
    if row.ip_version == 4:
        return _IPIP if four else _SIX_IN_FOUR, np.int64(-1), at, ethertype
    return _FOUR_IN_SIX if four else _SIX_IN_SIX, np.int64(-1), at, ethertype
