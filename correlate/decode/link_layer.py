"""Compiled reading of what stands before the network header: link layers, tags, labels, sessions.

Link types: tcpdump.org/linktypes.html. RFC 1661 and 1662 (PPP), 2516 (PPPoE), 3032 (MPLS), 1042 (SNAP); IEEE 802.1Q.
"""

from typing import Final

import numpy as np

from ...kernels.loads import be16, be32, load8
from ...kernels.njit import njit
from ...pcapng.blocks import Direction, LinkType
from ..protocols import (
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_LLC,
    ETHERTYPE_MPLS,
    ETHERTYPE_MPLS_UPSTREAM,
    ETHERTYPE_OLD_VLAN,
    ETHERTYPE_PPP,
    ETHERTYPE_PPPOE,
    ETHERTYPE_SERVICE_VLAN,
    ETHERTYPE_VLAN,
)

LINK_TYPE_BASE: Final = 0x0400
"""`ethertype` of a frame whose link type is not decoded: this + the link type. EtherTypes begin at
ETHERTYPE_LEAST."""
_MOST_SHIMS: Final = 16
_MOST_LENGTH: Final = 1500
"""A field in the place of the EtherType that is no greater is a length (IEEE 802.3, 3.2.6)."""
_SNAP: Final = 0xAAAA0300
"""LLC header of SNAP, and the first byte of its organisation: an EtherType follows (RFC 1042)."""

# PPP: address and control field of its HDLC frames (RFC 1662, 3.1), and the protocols (IANA: PPP DLL Protocol Numbers).
_PPP_ADDRESS, _PPP_CONTROL = 0xFF, 0x03
_PPP_IPV4, _PPP_IPV6, _PPP_MPLS, _PPP_MPLS_UPSTREAM = 0x0021, 0x0057, 0x0281, 0x0283
_CISCO_UNICAST, _CISCO_MULTICAST = 0x0F, 0x8F
"""Address field of Cisco's HDLC, behind which an EtherType stands (RFC 1547, 4.3.1)."""
_PPPOE_SESSION: Final = 0x1100
"""Version, type and code of PPPoE session data (RFC 2516, 4)."""

_NULL, _LOOP = int(LinkType.NULL), int(LinkType.LOOP)
_ETHERNET: Final = int(LinkType.ETHERNET)
_PPP, _PPP_HDLC, _PPP_ETHER = int(LinkType.PPP), int(LinkType.PPP_HDLC), int(LinkType.PPP_ETHER)
_SLL, _SLL2 = int(LinkType.LINUX_SLL), int(LinkType.LINUX_SLL2)
_BARE_IP: Final = (12, 14, int(LinkType.RAW), int(LinkType.IPV4), int(LinkType.IPV6))
"""12 and 14 are what LINKTYPE_RAW is on some systems (DLT_RAW of libpcap)."""
_MOST_LINK_TYPES: Final = 512
"""Those beyond have no `ethertype` of their own."""
_SLL_BYTES, _SLL2_BYTES = 16, 20
_OUTGOING: Final = 4
"""Packet type in both headers: sent by this host (PACKET_OUTGOING of linux/if_packet.h)."""
_IN, _OUT = int(Direction.IN), int(Direction.OUT)


@njit(cache=True, inline="always")
def guess_ip(data, at, end):
    """EtherType by the version field; 0 when it is neither version of IP."""
    if at < end:
        if load8(data, at) >> 4 == 4:
            return ETHERTYPE_IPV4
        if load8(data, at) >> 4 == 6:
            return ETHERTYPE_IPV6
    return 0


@njit(cache=True)
def _behind_ppp(data, at, end, row):
    """Behind a PPP protocol field, which may be compressed to one byte (RFC 1661, 6.5)."""
    row.ethertype = ETHERTYPE_PPP
    if at >= end:
        return at
    if load8(data, at) & 1:
        protocol = np.uint32(load8(data, at))
        at += 1
    elif at + 2 <= end:
        protocol = be16(data, at)
        at += 2
    else:
        return at
    if protocol == _PPP_IPV4:
        row.ethertype = ETHERTYPE_IPV4
    elif protocol == _PPP_IPV6:
        row.ethertype = ETHERTYPE_IPV6
    elif protocol == _PPP_MPLS:
        row.ethertype = ETHERTYPE_MPLS
    elif protocol == _PPP_MPLS_UPSTREAM:
        row.ethertype = ETHERTYPE_MPLS_UPSTREAM
    return at


@njit(cache=True)
def _ppp_frame(data, at, end, row):
    """PPP with or without the address and control fields of HDLC, or Cisco's HDLC."""
    if at + 4 <= end:
        if load8(data, at) == _PPP_ADDRESS and load8(data, at + 1) == _PPP_CONTROL:
            return _behind_ppp(data, at + 2, end, row)
        if load8(data, at) == _CISCO_UNICAST or load8(data, at) == _CISCO_MULTICAST:
            row.ethertype = be16(data, at + 2)
            return at + 4
    return _behind_ppp(data, at, end, row)


@njit(cache=True)
def _behind_pppoe(data, at, end, row):
    """Behind a PPPoE session header with IP in it; anything else of the session stays what it is."""
    if at + 8 > end or be16(data, at) != _PPPOE_SESSION:
        return at
    inner = _behind_ppp(data, at + 6, end, row)
    if row.ethertype == ETHERTYPE_PPP:
        row.ethertype = ETHERTYPE_PPPOE
        return at
    return inner


@njit(cache=True)
def _behind_labels(data, at, end, row):
    """Behind a label stack. Nothing says what it carries: IP by its version field, or nothing that is known here."""
    inner = at
    for _ in range(_MOST_SHIMS):
        if inner + 4 > end:
            return at
        last = load8(data, inner + 2) & 1
        inner += 4
        if last:
            guess = guess_ip(data, inner, end)
            if guess:
                row.ethertype = guess
                return inner
            break
    return at


@njit(cache=True)
def _shims(data, at, end, row):
    """Skip what stands between an EtherType and the network header."""
    for _ in range(_MOST_SHIMS):
        before = at
        kind = row.ethertype
        if kind in (ETHERTYPE_VLAN, ETHERTYPE_SERVICE_VLAN, ETHERTYPE_OLD_VLAN):
            if at + 4 > end:
                break
            row.ethertype = be16(data, at + 2)
            at += 4
        elif kind == ETHERTYPE_PPPOE:
            at = _behind_pppoe(data, at, end, row)
        elif kind in (ETHERTYPE_MPLS, ETHERTYPE_MPLS_UPSTREAM):
            at = _behind_labels(data, at, end, row)
        elif kind <= _MOST_LENGTH and kind > 0:
            row.ethertype = ETHERTYPE_LLC
            if at + 8 <= end and be32(data, at) == _SNAP and load8(data, at + 4) == 0:
                row.ethertype = be16(data, at + 6)
                at += 8
        if at == before:
            break
    return at


@njit(cache=True, inline="always")
def _behind_ethertype(data, at, end, row):
    if row.ethertype == ETHERTYPE_IPV4 or row.ethertype == ETHERTYPE_IPV6:
        return at
    return _shims(data, at, end, row)


@njit(cache=True)
def ethernet_start(data, at, end, row):
    """Where the network header of an Ethernet frame is; sets `ethertype`."""
    if at + 14 > end:
        return end
    row.ethertype = be16(data, at + 12)
    return _behind_ethertype(data, at + 14, end, row)


@njit(cache=True)
def network_start(data, at, end, link_type, row):
    """Where the network header is; sets `ethertype` and, where the link header has it, the direction."""
    if link_type == _ETHERNET:
        return ethernet_start(data, at, end, row)
    if link_type in (_SLL, _SLL2):
        size = _SLL_BYTES if link_type == _SLL else _SLL2_BYTES
        if at + size > end:
            return end
        kind = be16(data, at) if link_type == _SLL else np.uint32(load8(data, at + 10))
        row.direction = _OUT if kind == _OUTGOING else _IN
        row.ethertype = be16(data, at + 14) if link_type == _SLL else be16(data, at)
        return _behind_ethertype(data, at + size, end, row)
    if link_type in (_PPP, _PPP_HDLC, _PPP_ETHER):
        if link_type == _PPP_ETHER:  # a session header and no Ethernet
            row.ethertype = ETHERTYPE_PPPOE
        else:
            at = _ppp_frame(data, at, end, row)
        return _behind_ethertype(data, at, end, row)
    if link_type in (_NULL, _LOOP):  # an address family, whose numbers differ among systems
        at = min(at + 4, end)
    elif link_type not in _BARE_IP:
        row.ethertype = LINK_TYPE_BASE + (link_type if link_type < _MOST_LINK_TYPES else 0)
        return at
    row.ethertype = guess_ip(data, at, end)
    return at
