"""Where the fields lie of what the kernel hands over, and of what is written.

Constants alone, as in `columns.py`. Positions are in bytes; those of fields that are read as words (32 bits)
or halfwords (16 bits) are in these, and are named so.
"""

from struct import unpack
from typing import Final

from ...pcapng.blocks import DROP_HEADER, NETLINK_HEADER, BlockType, Direction, Option

NANOSECONDS: Final = 1_000_000_000
"""Of a second."""

# struct tpacket_block_desc, version 3 (linux/if_packet.h): its head, struct tpacket_hdr_v1, stands behind two words.
BLOCK_STATUS_WORD: Final = 2
BLOCK_PACKETS_WORD: Final = 3  # num_pkts
BLOCK_FIRST_WORD: Final = 4  # offset_to_first_pkt
BLOCK_OPENED_WORD: Final = 8  # ts_first_pkt: seconds, then nanoseconds, of when the kernel began to fill the block
TP_STATUS_USER: Final = 1  # the block is ours

# struct tpacket3_hdr (linux/if_packet.h).
PACKET_NEXT_WORD: Final = 0  # tp_next_offset, from this packet
PACKET_SECONDS_WORD: Final = 1
PACKET_NANOSECONDS_WORD: Final = 2
PACKET_CAPTURED_WORD: Final = 3  # tp_snaplen
PACKET_LENGTH_WORD: Final = 4  # tp_len, on the wire
PACKET_STATUS_WORD: Final = 5
PACKET_DATA_HALFWORD: Final = 12  # tp_mac: offset of the packet's first byte
PACKET_TAG_WORD: Final = 8  # hv1.tp_vlan_tci
PACKET_TAG_PROTOCOL_HALFWORD: Final = 18  # hv1.tp_vlan_tpid
TP_STATUS_VLAN_VALID: Final = 0x10
TP_STATUS_VLAN_TPID_VALID: Final = 0x40
PACKET_TYPE_BYTE: Final = 48 + 10
"""sll_pkttype of the struct sockaddr_ll behind the header, which takes TPACKET_ALIGN(sizeof(struct tpacket3_hdr))."""
PACKET_OUTGOING: Final = 4

# Ethernet (linux/if_ether.h, linux/if_vlan.h).
ADDRESSES_BYTES: Final = 2 * 6  # ETH_ALEN each: the tag stands behind both
TAG_BYTES: Final = 4  # VLAN_HLEN
ETH_P_8021Q: Final = 0x8100
ETH_P_8021AD: Final = 0x88A8
ETH_P_IP: Final = 0x0800
ETH_P_IPV6: Final = 0x86DD

# Enhanced packet block (draft-ietf-opsawg-pcapng, section 4.3), from its begin; words in this machine's order.
EPB_TYPE_WORD: Final = 0
EPB_TOTAL_WORD: Final = 1  # length of the block, repeated in its last word
EPB_INTERFACE_WORD: Final = 2
EPB_TIME_HIGH_WORD: Final = 3
EPB_TIME_LOW_WORD: Final = 4
EPB_CAPTURED_WORD: Final = 5
EPB_LENGTH_WORD: Final = 6
EPB_DATA: Final = 28  # bytes in front of the packet's data
EPB_TRAILER: Final = 4  # behind everything: the length again
EPB_TYPE: Final = int(BlockType.ENHANCED_PACKET)

# Its option epb_flags with a direction, and the end of the options.
EPB_OPTIONS: Final = 12
"""Bytes: code and length, value, end."""
EPB_FLAGS_HEAD: Final = Option.EPB_FLAGS | 4 << 16
"""Code, and the length of the value, 4 bytes."""
DIRECTION_IN: Final = int(Direction.IN)
DIRECTION_OUT: Final = int(Direction.OUT)
OPTIONS_END: Final = int(Option.END)

# Netlink: struct nlmsghdr (linux/netlink.h), and the pseudo-header that stands in front of it in the file.
MESSAGE_LENGTH_WORD: Final = 0
MESSAGE_TYPE_HALFWORD: Final = 2
MESSAGE_FLAGS_HALFWORD: Final = 3
MESSAGE_HEADER_BYTES: Final = 16
NFGENMSG_BYTES: Final = 4  # struct nfgenmsg (linux/netfilter/nfnetlink.h), behind it
PSEUDO_HEADER_BYTES: Final = len(NETLINK_HEADER)
PSEUDO_HEADER_0, PSEUDO_HEADER_1, PSEUDO_HEADER_2, PSEUDO_HEADER_3 = unpack("=4I", NETLINK_HEADER)
"""Its bytes as words: big-endian fields, as they lie in memory."""
DROP_HEADER_3: Final = unpack("=4I", DROP_HEADER)[3]
"""The word in which that of a drop is another."""

# Ring buffers of BPF (Documentation/bpf/ringbuf.rst).
BPF_RINGBUF_BUSY_BIT: Final = 1 << 31  # of a record's length: it is not complete yet
BPF_RINGBUF_DISCARD_BIT: Final = 1 << 30  # there is nothing in it
STAMP_TIME: Final = 8  # bytes in front of the time, in a stamp
