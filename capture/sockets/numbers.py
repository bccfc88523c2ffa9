"""Numbers of netlink and netfilter, by their names in the kernel's headers (include/uapi/linux)."""

from typing import Final

# linux/netlink.h
NETLINK_NETFILTER: Final = 12
SOL_NETLINK: Final = 270  # linux/socket.h
NETLINK_ADD_MEMBERSHIP: Final = 1
NETLINK_DROP_MEMBERSHIP: Final = 2
NLM_F_REQUEST: Final = 1
NLM_F_MULTI: Final = 2
NLM_F_ACK: Final = 4
NLM_F_DUMP: Final = 0x300
NLMSG_ERROR: Final = 2
NLMSG_MIN_TYPE: Final = 0x10
"""Types below are of netlink itself: acknowledgements, the end of a dump."""

# asm-generic/socket.h, linux/socket.h
SO_RCVBUFFORCE: Final = 33
SO_ATTACH_FILTER: Final = 26
SO_ATTACH_BPF: Final = 50
MSG_DONTWAIT: Final = 0x40

# linux/netfilter/nfnetlink.h: multicast groups, and subsystems, which are the upper byte of a message's type.
NFNLGRP_CONNTRACK_NEW: Final = 1
NFNLGRP_CONNTRACK_UPDATE: Final = 2
NFNLGRP_CONNTRACK_DESTROY: Final = 3
NFNLGRP_NFTABLES: Final = 7
NFNLGRP_NFTRACE: Final = 9
NFNL_SUBSYS_CTNETLINK: Final = 1
NFNL_SUBSYS_ULOG: Final = 4
NFNL_SUBSYS_NFTABLES: Final = 10

# Types of messages, with their subsystem.
CT_GET: Final = NFNL_SUBSYS_CTNETLINK << 8 | 1  # IPCTNL_MSG_CT_GET (nfnetlink_conntrack.h)
NFLOG_PACKET: Final = NFNL_SUBSYS_ULOG << 8 | 0  # NFULNL_MSG_PACKET (nfnetlink_log.h)
NFLOG_CONFIG: Final = NFNL_SUBSYS_ULOG << 8 | 1  # NFULNL_MSG_CONFIG
NFT_NEWGEN: Final = NFNL_SUBSYS_NFTABLES << 8 | 15  # NFT_MSG_NEWGEN (nf_tables.h): a ruleset has changed
NFT_GETGEN: Final = NFNL_SUBSYS_NFTABLES << 8 | 16  # NFT_MSG_GETGEN
NFT_TRACE: Final = NFNL_SUBSYS_NFTABLES << 8 | 17  # NFT_MSG_TRACE

# linux/netfilter/nf_tables.h: attributes of a trace message.
NLA_TYPE_MASK: Final = 0x3FFF  # linux/netlink.h, without the flags of an attribute's type
NFTA_TRACE_TABLE: Final = 1
NFTA_TRACE_CHAIN: Final = 2
NFTA_TRACE_RULE_HANDLE: Final = 3
NFTA_TRACE_TYPE: Final = 4
NFTA_TRACE_VERDICT: Final = 5
NFTA_TRACE_POLICY: Final = 16
NFTA_VERDICT_CODE: Final = 1
NFT_TRACETYPE_POLICY: Final = 1
NFT_TRACETYPE_RULE: Final = 3
TRACING_TABLE: Final = "ttrace"
"""Our own table."""
FREEZE_CHAIN: Final = "freeze"
"""How its chains are called whose rules are for `--freeze-on`: this, and the hook."""

# linux/netfilter/nfnetlink_log.h: what a listener asks for.
NFULA_CFG_CMD: Final = 1
NFULA_CFG_MODE: Final = 2
NFULA_CFG_QTHRESH: Final = 5
NFULNL_CFG_CMD_BIND: Final = 1
NFULNL_CFG_CMD_UNBIND: Final = 2
NFULNL_COPY_PACKET: Final = 2

# linux/if_packet.h, linux/if_ether.h
SOL_PACKET: Final = 263  # linux/socket.h
PACKET_RX_RING: Final = 5
PACKET_STATISTICS: Final = 6
PACKET_VERSION: Final = 10
TPACKET_V3: Final = 2
ETH_P_ALL: Final = 0x0003
