"""What the kernel is heard through: packet rings, netfilter messages, filters and time stamps on them.

For other rooms:

    arena: Arena
    bpf: accept_all, compile_filter, load_libpcap
    netfilter: arena_bytes, DATAGRAM_BYTES, DATAGRAMS, HEADER_WORDS, LENGTH_WORD, NetfilterSocket,
    netfilter: open_netfilter_socket, WAITING_BYTES
    numbers: CT_GET, MSG_DONTWAIT, NETLINK_NETFILTER, NFLOG_CONFIG, NFLOG_PACKET, NFNL_SUBSYS_CTNETLINK,
    numbers: NFNLGRP_CONNTRACK_DESTROY, NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_NFTABLES,
    numbers: NFNLGRP_NFTRACE, NFT_NEWGEN, NFT_TRACE, NFULA_CFG_CMD, NFULA_CFG_MODE, NFULA_CFG_QTHRESH,
    numbers: NFULNL_CFG_CMD_BIND, NFULNL_CFG_CMD_UNBIND, NFULNL_COPY_PACKET, NLM_F_ACK, NLM_F_DUMP, NLM_F_MULTI,
    numbers: NLMSG_MIN_TYPE
    requests: acknowledgement, error_of, request, ruleset_generation
    ring: BLOCK_BYTES, HOLD_BACK_NS, open_ring, Ring, ring_budget, RingBudget, SMALLEST_BLOCKS
    stamps: HEADER_BYTES, STAMP_BYTES
"""
