"""Compiled reading of what stands before the network header: link layers, tags, labels, sessions.

Link types: tcpdump.org/linktypes.html. RFC 1661 and 1662 (PPP), 2516 (PPPoE), 3032 (MPLS), 1042 (SNAP); IEEE 802.1Q.
"""

from typing import Final

import numpy as np

from ...kernels.loads import be16, be32, load8
from ...kernels.njit import njit

LINK_TYPE_BASE: Final = 0x0400
"""`ethertype` of a frame whose link type is not decoded: this + the link type. EtherTypes begin at 0x0600."""
LLC: Final = 0x0004
"""`ethertype` of IEEE 802.3 frames with a length in its place (ETH_P_802_2 of linux/if_ether.h)."""
PPP: Final = 0x880B
"""`ethertype` of PPP frames that carry no IP (IANA: PPP)."""
_MOST_SHIMS: Final = 16


@njit(cache=True, inline="always")
def guess_ip(data, at, end):
    """EtherType by the version field; 0 when it is neither version of IP."""
    if at < end:
        if load8(data, at) >> 4 == 4:
            return 0x0800
        if load8(data, at) >> 4 == 6:
            return 0x86DD
    return 0


@njit(cache=True)
def _ppp(data, at, end, row):
    """Behind a PPP protocol field, which may be compressed to one byte (RFC 1661, 6.5)."""
    row.ethertype = PPP
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
    if protocol == 0x0021:
        row.ethertype = 0x0800
    elif protocol == 0x0057:
        row.ethertype = 0x86DD
    elif protocol == 0x0281:
        row.ethertype = 0x8847
    elif protocol == 0x0283:
        row.ethertype = 0x8848
    return at


@njit(cache=True)
def _ppp_frame(data, at, end, row):
    """PPP with or without the address and control fields of HDLC; 0x0F and 0x8F begin Cisco's HDLC with an
    EtherType."""
    if at + 4 <= end:
        if load8(data, at) == 0xFF and load8(data, at + 1) == 0x03:
            return _ppp(data, at + 2, end, row)
        if load8(data, at) == 0x0F or load8(data, at) == 0x8F:
            row.ethertype = be16(data, at + 2)
            return at + 4
    return _ppp(data, at, end, row)


@njit(cache=True)
def _pppoe(data, at, end, row):
    """Behind a PPPoE session header with IP in it; anything else of the session stays what it is."""
    if at + 8 > end or load8(data, at) != 0x11 or load8(data, at + 1) != 0:
        return at
    inner = _ppp(data, at + 6, end, row)
    if row.ethertype == PPP:
        row.ethertype = 0x8864
        return at
    return inner


@njit(cache=True)
def _mpls(data, at, end, row):
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
        if kind == 0x8100 or kind == 0x88A8 or kind == 0x9100:
            if at + 4 > end:
                break
            row.ethertype = be16(data, at + 2)
            at += 4
        elif kind == 0x8864:
            at = _pppoe(data, at, end, row)
        elif kind == 0x8847 or kind == 0x8848:
            at = _mpls(data, at, end, row)
        elif kind <= 1500 and kind > 0:
            row.ethertype = LLC
            if at + 8 <= end and be32(data, at) == 0xAAAA0300 and load8(data, at + 4) == 0:
                row.ethertype = be16(data, at + 6)
                at += 8
        if at == before:
            break
    return at


@njit(cache=True, inline="always")
def _behind_ethertype(data, at, end, row):
    if row.ethertype == 0x0800 or row.ethertype == 0x86DD:
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
    if link_type == 1:
        return ethernet_start(data, at, end, row)
    if link_type == 113 or link_type == 276:  # LINUX_SLL, LINUX_SLL2
        size = 16 if link_type == 113 else 20
        if at + size > end:
            return end
        kind = be16(data, at) if link_type == 113 else np.uint32(load8(data, at + 10))
        row.direction = 2 if kind == 4 else 1
        row.ethertype = be16(data, at + 14) if link_type == 113 else be16(data, at)
        return _behind_ethertype(data, at + size, end, row)
    if link_type == 9 or link_type == 50 or link_type == 51:
        if link_type == 51:  # PPP_ETHER: a session header and no Ethernet
            row.ethertype = 0x8864
        else:
            at = _ppp_frame(data, at, end, row)
        return _behind_ethertype(data, at, end, row)
    if link_type == 0 or link_type == 108:  # NULL, LOOP: an address family, whose numbers differ among systems
        at = min(at + 4, end)
    elif link_type not in (12, 14, 101, 228, 229):  # RAW, IPV4, IPV6
        row.ethertype = LINK_TYPE_BASE + (link_type if link_type < 512 else 0)
        return at
    row.ethertype = guess_ip(data, at, end)
    return at
