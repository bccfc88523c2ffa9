"""The numbers of netfilter's messages, by their names in the kernel's headers.

Plain numbers, not enumerations, where compiled kernels compare them.
"""

from enum import IntEnum
from typing import Final

# linux/netlink.h: struct nlmsghdr is 16 bytes, attributes are aligned to 4.
NLMSG_HDRLEN: Final = 16
NLMSG_TYPE_OFFSET: Final = 4
NLMSG_FLAGS_OFFSET: Final = 6
NLM_F_MULTI: Final = 0x2
"""Part of an answer to a dump."""
NLM_F_CREATE: Final = 0x400
NLA_HDRLEN: Final = 4
NLA_TYPE_MASK: Final = 0x3FFF

# linux/netfilter/nfnetlink.h: a message type is the subsystem in the upper byte, then the message of that.
NFGENMSG_BYTES: Final = 4
"""struct nfgenmsg behind the netlink header: family, version, resource id."""
NFNL_SUBSYS_CTNETLINK: Final = 1 << 8
NFNL_SUBSYS_ULOG: Final = 4 << 8
NFNL_SUBSYS_NFTABLES: Final = 10 << 8

# linux/netfilter/nfnetlink_conntrack.h
CT_NEW: Final = NFNL_SUBSYS_CTNETLINK | 0
"""IPCTNL_MSG_CT_NEW: also of an update, and of each entry of a dump; the flags tell."""
CT_DELETE: Final = NFNL_SUBSYS_CTNETLINK | 2
CTA_TUPLE_ORIG: Final = 1
CTA_TUPLE_REPLY: Final = 2
CTA_STATUS: Final = 3
CTA_MARK: Final = 8
CTA_ID: Final = 12
CTA_TIMESTAMP_EVENT: Final = 27
"""When the event was raised, in ns of CLOCK_REALTIME."""
CTA_TUPLE_IP: Final = 1
CTA_TUPLE_PROTO: Final = 2
CTA_IP_V4_SRC: Final = 1
CTA_IP_V4_DST: Final = 2
CTA_IP_V6_SRC: Final = 3
CTA_IP_V6_DST: Final = 4
CTA_PROTO_NUM: Final = 1
CTA_PROTO_SRC_PORT: Final = 2
CTA_PROTO_DST_PORT: Final = 3
CTA_PROTO_ICMP_ID: Final = 4
CTA_PROTO_ICMP_TYPE: Final = 5
CTA_PROTO_ICMPV6_ID: Final = 7
CTA_PROTO_ICMPV6_TYPE: Final = 8

# linux/netfilter/nfnetlink_log.h
ULOG_PACKET: Final = NFNL_SUBSYS_ULOG | 0
NFULA_PACKET_HDR: Final = 1
"""struct nfulnl_msg_packet_hdr: protocol (2 bytes), hook (1), padding."""
NFULA_MARK: Final = 2
NFULA_IFINDEX_INDEV: Final = 4
NFULA_IFINDEX_OUTDEV: Final = 5
NFULA_PAYLOAD: Final = 9
NFULA_PREFIX: Final = 10

# linux/netfilter/nf_tables.h
NFT_DELTABLE: Final = NFNL_SUBSYS_NFTABLES | 2
NFT_DELCHAIN: Final = NFNL_SUBSYS_NFTABLES | 5
NFT_NEWRULE: Final = NFNL_SUBSYS_NFTABLES | 6
NFT_DELRULE: Final = NFNL_SUBSYS_NFTABLES | 8
NFT_NEWGEN: Final = NFNL_SUBSYS_NFTABLES | 15
"""The ruleset has a new generation: its rules have changed. It comes behind the messages that say how."""
NFT_DESTROYTABLE: Final = NFNL_SUBSYS_NFTABLES | 26
"""Since Linux 6.3: like NFT_DELTABLE, of `nft destroy`; so are the next two."""
NFT_DESTROYCHAIN: Final = NFNL_SUBSYS_NFTABLES | 27
NFT_DESTROYRULE: Final = NFNL_SUBSYS_NFTABLES | 28
NFTA_TABLE_NAME: Final = 1
NFTA_CHAIN_TABLE: Final = 1
NFTA_CHAIN_NAME: Final = 3
NFTA_RULE_TABLE: Final = 1
NFTA_RULE_CHAIN: Final = 2
NFTA_RULE_HANDLE: Final = 3
NFTA_RULE_EXPRESSIONS: Final = 4
NFTA_GEN_ID: Final = 1
NFT_TRACE: Final = NFNL_SUBSYS_NFTABLES | 17
NFTA_TRACE_TABLE: Final = 1
NFTA_TRACE_CHAIN: Final = 2
NFTA_TRACE_RULE_HANDLE: Final = 3
NFTA_TRACE_TYPE: Final = 4
NFTA_TRACE_VERDICT: Final = 5
NFTA_TRACE_ID: Final = 6
NFTA_TRACE_NETWORK_HEADER: Final = 8
NFTA_TRACE_TRANSPORT_HEADER: Final = 9
NFTA_TRACE_IIF: Final = 10
NFTA_TRACE_OIF: Final = 12
NFTA_TRACE_MARK: Final = 14
NFTA_TRACE_POLICY: Final = 16
NFTA_TRACE_CT_ID: Final = 18
NFTA_TRACE_CT_DIRECTION: Final = 19
NFTA_TRACE_CT_STATUS: Final = 20
NFTA_TRACE_CT_STATE: Final = 21
NFTA_VERDICT_CODE: Final = 1
NFTA_VERDICT_CHAIN: Final = 2
NFT_TRACETYPE_POLICY: Final = 1
NFT_TRACETYPE_RETURN: Final = 2
NFT_TRACETYPE_RULE: Final = 3
NFT_TRACE_NETWORK_BYTES: Final = 40
"""So much of the network header is copied (NFT_TRACETYPE_NETWORK_HSIZE of net/netfilter/nf_tables_trace.c),"""
NFT_TRACE_TRANSPORT_BYTES: Final = 20
"""and of the transport header: TCP without its options (NFT_TRACETYPE_TRANSPORT_HSIZE)."""

# linux/netfilter.h, and nft_verdicts of nf_tables.h
NF_DROP: Final = 0
NF_ACCEPT: Final = 1
NF_STOLEN: Final = 2
NF_QUEUE: Final = 3
NF_VERDICT_MASK: Final = 0xFF
"""Of the code; the number of a queue stands above it."""
NFT_CONTINUE: Final = -1
NFT_BREAK: Final = -2
NFT_JUMP: Final = -3
NFT_GOTO: Final = -4
NFT_RETURN: Final = -5
NO_VERDICT: Final = -100
"""Ours: the message has none."""
UNDECIDED: Final = 2
"""Ours, of a chain: what was told of ends before a verdict."""
QUEUED: Final = 3
"""Ours, of a chain: a rule handed the packet to a program behind a queue (NF_QUEUE)."""
STOLEN: Final = 4
"""Ours, of a chain: a target took the packet (NF_STOLEN), as SYNPROXY does."""

ABSENT: Final = 255
"""Ours: for a number of one byte that a message does not have."""
CT_ORIGINAL: Final = 0
CT_REPLY: Final = 1
"""IP_CT_DIR_* of linux/netfilter/nf_conntrack_tuple_common.h."""


class Hook(IntEnum):
    """Where in the kernel a chain hangs: NF_INET_* of linux/netfilter.h, then what those do not have."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3
    POSTROUTING = 4
    INGRESS = 5
    EGRESS = 6
    """NF_NETDEV_EGRESS has a number of its own in the kernel."""
    DROPPED = 254
    """No hook: wherever the kernel dropped it. A packet goes no further there."""
    UNKNOWN = 255

    @classmethod
    def named(cls, name: str) -> "Hook":
        """By nft's name; UNKNOWN for another."""
        return cls.__members__.get(name.upper(), cls.UNKNOWN)


FAMILIES: Final = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
"""NFPROTO_* of linux/netfilter.h to nft's names."""
