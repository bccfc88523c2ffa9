"""What the file did not take although it was counted on the way there: taken back, so that it counts as lost."""

import struct
from collections.abc import Sequence

from ..kernels import columns
from ..kernels.layouts import EPB_DATA, EPB_TYPE, PSEUDO_HEADER_BYTES
from ..sockets.numbers import NFLOG_PACKET, NFNL_SUBSYS_CTNETLINK, NFT_TRACE, NLM_F_MULTI
from .loop_memory import Row

_HEAD = struct.Struct("=III")
"""Of a block: type, length, and for a packet its interface."""
_MESSAGE_KIND = struct.Struct("=HH")
"""nlmsg_type and nlmsg_flags, behind nlmsg_len (linux/netlink.h)."""
_KIND_OFFSET = EPB_DATA + PSEUDO_HEADER_BYTES + 4


def take_back(rings: Sequence[Row], inboxes: Sequence[Row], blocks: bytes) -> int:
    """Count what is in these blocks no more: packets of `rings`, messages of `inboxes`; returns how many packets.

    This is Python, and slow: it happens once, when nothing can be written any more.
    """
    packets, position = 0, 0
    while position + _HEAD.size <= len(blocks):
        kind, length, interface = _HEAD.unpack_from(blocks, position)
        if kind == EPB_TYPE:
            of_ring = [ring for ring in rings if ring[columns.RING_INTERFACE] == interface]
            of_inbox = [inbox for inbox in inboxes if inbox[columns.INBOX_INTERFACE] == interface]
            if of_ring:
                of_ring[0][columns.RING_PACKETS] -= 1
                packets += 1
            elif of_inbox:
                _take_back_message(of_inbox[0], blocks, position)
        position += length
    return packets


def _take_back_message(inbox: Row, blocks: bytes, position: int) -> None:
    """One netlink message less, as `messages.py` counted it."""
    kind, flags = _MESSAGE_KIND.unpack_from(blocks, position + _KIND_OFFSET)
    inbox[columns.INBOX_MESSAGES] -= 1
    if kind in (NFT_TRACE, NFLOG_PACKET):
        inbox[columns.INBOX_TRACE] -= 1
    elif kind >> 8 == NFNL_SUBSYS_CTNETLINK and not flags & NLM_F_MULTI:
        inbox[columns.INBOX_CONNTRACK] -= 1
