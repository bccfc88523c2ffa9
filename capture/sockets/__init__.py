"""What the kernel is heard through: packet rings, netfilter messages, filters and time stamps on them.

For other rooms:
    arena: Arena
    bpf: accept_all, compile_filter, load_libpcap
    netfilter: DATAGRAMS, DATAGRAM_BYTES, HEADER_WORDS, LENGTH_WORD, NetfilterSocket, WAITING_BYTES, arena_bytes
    netfilter: open_netfilter_socket
    numbers: CT_GET, MSG_DONTWAIT, NETLINK_NETFILTER, NFLOG_CONFIG, NFLOG_PACKET, NFNLGRP_CONNTRACK_DESTROY
    numbers: NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_NFTABLES, NFNLGRP_NFTRACE
    numbers: NFNL_SUBSYS_CTNETLINK, NFT_NEWGEN, NFT_TRACE, NFULA_CFG_CMD, NFULA_CFG_MODE, NFULA_CFG_QTHRESH
    numbers: NFULNL_CFG_CMD_BIND, NFULNL_CFG_CMD_UNBIND, NFULNL_COPY_PACKET, NLMSG_MIN_TYPE, NLM_F_ACK, NLM_F_DUMP
    numbers: NLM_F_MULTI
    requests: acknowledgement, error_of, request, ruleset_generation
    ring: BLOCK_BYTES, HOLD_BACK_NS, PointError, Ring, RingBudget, SMALLEST_BLOCKS, open_ring, ring_budget
    stamps: HEADER_BYTES, STAMP_BYTES
"""
