"""What the kernel is heard through: packet rings, netfilter messages, filters and time stamps on them.

For other rooms:
    arena: Arena
    buffers: DATAGRAMS, DATAGRAM_BYTES, HEADER_WORDS, HOLD_BACK_NS, LENGTH_WORD, STAMP_BYTES
    bpf: accept_all, compile_filter, load_libpcap
    drop_layout: MESSAGE, MESSAGE_BYTES, RECORD_NAMESPACE, RECORD_TIME
    drop_counter: Counts, DropCounter
    drops: ARENA_BYTES, DropRecorder, LIMIT, RING_BYTES, WAITING_BYTES, open_drops
    netfilter: NetfilterSocket, WAITING_BYTES, arena_bytes, open_netfilter_socket
    numbers: CT_GET, FREEZE_CHAIN, MSG_DONTWAIT, NETLINK_NETFILTER, NFLOG_CONFIG, NFLOG_PACKET
    numbers: NFNLGRP_CONNTRACK_DESTROY, NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_NFTABLES
    numbers: NFNLGRP_NFTRACE, NFNL_SUBSYS_CTNETLINK, NFTA_TRACE_CHAIN, NFTA_TRACE_POLICY, NFTA_TRACE_RULE_HANDLE
    numbers: NFTA_TRACE_TABLE, NFTA_TRACE_TYPE, NFTA_TRACE_VERDICT, NFTA_VERDICT_CODE, NFT_NEWGEN, NFT_TRACE
    numbers: NFT_TRACETYPE_POLICY, NFT_TRACETYPE_RULE, NFULA_CFG_CMD, NFULA_CFG_MODE, NFULA_CFG_QTHRESH
    numbers: NFULNL_CFG_CMD_BIND, NFULNL_CFG_CMD_UNBIND, NFULNL_COPY_PACKET, NLA_TYPE_MASK, NLMSG_MIN_TYPE, NLM_F_ACK
    numbers: NLM_F_DUMP, NLM_F_MULTI, TRACING_TABLE
    requests: acknowledgement, error_of, request, ruleset_generation
    ring: PointError, Ring, RingBudget, SMALLEST_UNITS, UNIT_BYTES, open_ring, ring_budget
"""
