"""Compiled: whether a packet or message is one that was waited for (`--freeze-on`), with nothing decoded beyond that.

What is seen is noted in the row of its ring or inbox, where Python finds it when it next looks.
"""

from typing import Final

import numpy as np

from ..sockets.numbers import (
    FREEZE_CHAIN,
    NFT_TRACETYPE_POLICY,
    NFT_TRACETYPE_RULE,
    NFTA_TRACE_CHAIN,
    NFTA_TRACE_POLICY,
    NFTA_TRACE_RULE_HANDLE,
    NFTA_TRACE_TABLE,
    NFTA_TRACE_TYPE,
    NFTA_TRACE_VERDICT,
    NFTA_VERDICT_CODE,
    NLA_TYPE_MASK,
    TRACING_TABLE,
)
from .columns import (
    INBOX_SEEN,
    INBOX_SEEN_FIRST_NS,
    INBOX_SEEN_LAST_NS,
    INBOX_WATCHED,
    RING_ETHERNET,
    RING_SEEN_FIRST_NS,
    RING_SEEN_LAST_NS,
    SEEN_DROP,
    SEEN_MATCH,
)
from .compiled import inlined_njit
from .intake import Bytes, Intake, Integer
from .layouts import (
    ETH_P_8021AD,
    ETH_P_8021Q,
    ETH_P_IP,
    ETH_P_IPV6,
    MESSAGE_HEADER_BYTES,
    NFGENMSG_BYTES,
    PACKET_CAPTURED_WORD,
    PACKET_DATA_HALFWORD,
    PACKET_NEXT_WORD,
)
from .rings import packet_time

_ATTRIBUTE: Final = 4  # struct nlattr: length and type
_ABSENT: Final = -1
_NF_DROP: Final = 0
_TABLE: Final = TRACING_TABLE.encode()
_CHAIN: Final = FREEZE_CHAIN.encode()
_TABLE_BYTES, _CHAIN_BYTES = len(_TABLE), len(_CHAIN)
_TABLE_SUM: Final = int.from_bytes(_TABLE, "big")
_CHAIN_SUM: Final = int.from_bytes(_CHAIN, "big")
_OWN_RULE: Final = 3  # our table, our chain, a rule of it
_MOST_TAGS: Final = 2
_TCP: Final = 6
_RST: Final = 0x04
_ETHERTYPE: Final = 12  # its offset, behind both addresses
_IPV6_BYTES: Final = 40
_FRAGMENT_OFFSET: Final = 0x1FFF  # RFC 791, of the halfword at byte 6


@inlined_njit
def look_at_message(intake: Intake, inbox: Integer, message: Integer, length: Integer, time_ns: Integer) -> None:
    """Look at a trace message: the verdict drop of a rule or a policy, or a rule of our own chain that matched."""
    octets, inboxes = intake.octets, intake.inboxes
    kind: Integer = _ABSENT
    verdict: Integer = _ABSENT
    policy: Integer = _ABSENT
    own = 0
    at, end = message + MESSAGE_HEADER_BYTES + NFGENMSG_BYTES, message + length
    while at + _ATTRIBUTE <= end:
        size, which = _halfword(octets, at), _halfword(octets, at + 2) & NLA_TYPE_MASK
        if size < _ATTRIBUTE or at + size > end:
            break
        value = at + _ATTRIBUTE
        if which == NFTA_TRACE_TYPE:
            kind = _big_word(octets, value, at + size)
        elif which == NFTA_TRACE_POLICY:
            policy = _big_word(octets, value, at + size)
        elif which == NFTA_TRACE_VERDICT and _halfword(octets, value + 2) & NLA_TYPE_MASK == NFTA_VERDICT_CODE:
            verdict = _big_word(octets, value + _ATTRIBUTE, at + size)
        elif which == NFTA_TRACE_RULE_HANDLE:
            own += 1  # where no rule of a chain matches, the kernel tells of a rule without a handle
        elif which == NFTA_TRACE_TABLE:
            own += size == _ATTRIBUTE + _TABLE_BYTES + 1 and _begin(octets, value, _TABLE_BYTES) == _TABLE_SUM
        elif which == NFTA_TRACE_CHAIN:
            own += size > _ATTRIBUTE + _CHAIN_BYTES and _begin(octets, value, _CHAIN_BYTES) == _CHAIN_SUM
        at += (size + 3) & ~3
    seen = 0
    if (kind == NFT_TRACETYPE_RULE and verdict == _NF_DROP) or (kind == NFT_TRACETYPE_POLICY and policy == _NF_DROP):
        seen = SEEN_DROP
    elif kind == NFT_TRACETYPE_RULE and own == _OWN_RULE:
        seen = SEEN_MATCH
    if seen & inboxes[inbox, INBOX_WATCHED]:
        inboxes[inbox, INBOX_SEEN] |= seen
        if inboxes[inbox, INBOX_SEEN_FIRST_NS] == 0:
            inboxes[inbox, INBOX_SEEN_FIRST_NS] = time_ns
        inboxes[inbox, INBOX_SEEN_LAST_NS] = time_ns


@inlined_njit
def look_at_packets(intake: Intake, ring: Integer, packet: Integer, count: Integer) -> None:
    """Look for a reset among `count` packets of a ring from the arena offset `packet` on."""
    rings = intake.rings
    for _ in range(count):
        if _is_reset(intake, packet, rings[ring, RING_ETHERNET]):
            time_ns = packet_time(intake.words, packet)
            if rings[ring, RING_SEEN_FIRST_NS] == 0:
                rings[ring, RING_SEEN_FIRST_NS] = time_ns
            rings[ring, RING_SEEN_LAST_NS] = time_ns
        packet += np.int64(intake.words[(packet >> 2) + PACKET_NEXT_WORD])


@inlined_njit
def _is_reset(intake: Intake, packet: Integer, ethernet: Integer) -> bool:
    """Whether it is TCP with RST, over IPv4 or IPv6, behind any VLAN tags; what is inside of a tunnel is not seen."""
    octets = intake.octets
    at = packet + np.int64(intake.halfwords[(packet >> 1) + PACKET_DATA_HALFWORD])
    end = at + np.int64(intake.words[(packet >> 2) + PACKET_CAPTURED_WORD])
    if ethernet == 1:
        at += _ETHERTYPE
        for _ in range(_MOST_TAGS):
            if at + 2 <= end and _big_halfword(octets, at) in (ETH_P_8021Q, ETH_P_8021AD):
                at += 4
        if at + 2 > end or _big_halfword(octets, at) not in (ETH_P_IP, ETH_P_IPV6):
            return False
        at += 2
    if at + _IPV6_BYTES > end:
        return False  # an IPv4 header with one of TCP has as many at least
    header: Integer = 0
    if octets[at] >> 4 == 4:
        if octets[at + 9] != _TCP or _big_halfword(octets, at + 6) & _FRAGMENT_OFFSET:
            return False
        header = 4 * np.int64(octets[at] & 15)
    elif octets[at] >> 4 == 6 and octets[at + 6] == _TCP:
        header = _IPV6_BYTES
    else:
        return False
    flags = at + header + 13
    return bool(flags < end and octets[flags] & _RST)


@inlined_njit
def _halfword(octets: Bytes, at: Integer) -> Integer:
    """In this machine's order, which is little-endian."""
    return np.int64(octets[at]) | np.int64(octets[at + 1]) << 8


@inlined_njit
def _big_halfword(octets: Bytes, at: Integer) -> Integer:
    return np.int64(octets[at]) << 8 | np.int64(octets[at + 1])


@inlined_njit
def _big_word(octets: Bytes, at: Integer, end: Integer) -> Integer:
    """A big-endian word; what ends before it is read as absent."""
    if at + 4 > end:
        return _ABSENT
    return np.int64(_big_halfword(octets, at)) << 16 | np.int64(_big_halfword(octets, at + 2))


@inlined_njit
def _begin(octets: Bytes, at: Integer, size: Integer) -> Integer:
    """The first bytes of a name, fewer than 8, as a number."""
    total: Integer = 0
    for number in range(size):
        total = total << 8 | np.int64(octets[at + number])
    return total
