"""The tables the pipeline hands from stage to stage: their columns, dtypes and units, stated once.

All tables are NumPy structured arrays, so compiled kernels fill and read them in place; `dataframes.py` makes pandas
of them. Addresses are two unsigned 64-bit halves; an IPv4 address is stored as its IPv4-mapped IPv6 address (RFC 4291,
2.5.5.2).
"""

from typing import Final

import numpy as np

ONE_PACKET_NS: Final = 2_000_000_000
"""Sightings further apart are not one packet, however alike: an IP id comes again."""

SIGHTING: Final = np.dtype(
    [
        ("time_ns", "i8"),  # Unix epoch; an observation: clock of its node; a chain evaluation: receipt of the message
        ("source_high", "u8"),
        ("source_low", "u8"),
        ("destination_high", "u8"),
        ("destination_low", "u8"),
        ("flow", "u8"),  # hash of protocol, source, destination, ports, in the direction of this packet
        ("flow_reverse", "u8"),  # the same hash with source and destination exchanged
        ("content", "u8"),  # hash of what NAT does not change, from the first 20 bytes of each header
        ("payload", "u8"),  # hash of the payload, 0 when it is not all there: then it says nothing
        ("frame", "u4"),  # Wireshark's frame number in its file
        ("place", "u4"),  # observation: capture point; evaluation: chain (see Evaluations, join_outer_headers)
        ("length", "u4"),  # of the IP datagram, in bytes; of the frame when it is not IP
        # TCP sequence number; ICMP echo sequence; in an ICMP error, of the packet it quotes; in neighbour discovery,
        # the last four bytes of the address it is about
        ("sequence", "u4"),
        ("acknowledgment", "u4"),  # in an ICMP error: length << 16 | IP id of the packet it quotes; 0 when it has none
        ("payload_length", "u4"),  # bytes behind the TCP or UDP header, as the headers say
        ("outer", "u4"),  # row of the OUTER table, from 1, when it travelled in a tunnel; 0 when not
        ("file", "u2"),  # index into the capture files
        ("namespace", "u2"),  # index into Topology.namespaces
        ("ethertype", "u2"),  # of what is dissected, behind all tags; decode/link_layer.py: what stands for others
        ("source_port", "u2"),  # ICMP echo: the identifier
        ("destination_port", "u2"),
        ("ip_id", "u2"),
        ("fragment", "u2"),  # flags and offset field of the IPv4 header, without DF
        ("tcp_flags", "u2"),
        ("window", "u2"),  # in an ICMP error: the MTU it tells
        ("residue", "u2"),  # of the TCP or UDP checksum, see checksum_residue; 0 when it says nothing
        ("direction", "u1"),  # pcapng Direction of an observation; 0 for an evaluation
        ("ip_version", "u1"),  # 4, 6, or 0 when it is not IP
        ("protocol", "u1"),  # IP protocol number; 0 when it is not IP
        ("ttl", "u1"),  # or hop limit
        ("notes", "u1"),  # bits: see NOTE_*
        ("icmp_type", "u1"),  # or operation of ARP: 1 request, 2 reply
        ("icmp_code", "u1"),
        ("kind", "u1"),  # what the sighting is: FRAME, EVALUATION (sightings.py)
    ],
    align=True,
)
"""One sighting of a packet: a captured frame (an observation), or what the kernel said of it (a base chain that saw it:
a chain evaluation). Tables of sightings are in order of their kinds.

The widest columns stand first, so a row is 128 bytes: two lines of the cache, without gaps."""

NOTE_ERROR: Final = 1
"""An ICMP error: `flow` is the (reversed) flow of the packet it is about, not of its own addresses."""
NOTE_NO_FLOW: Final = 2
"""The ports could not be read (a later fragment, a cut header): `flow` holds addresses and protocol only."""
NOTE_CUT: Final = 4
"""The capture kept too little of the packet to read its transport header."""

NOTE_OUTER: Final = 8
"""An evaluation of an encapsulated packet: addresses and ports are those of the outer header, `flow` and `content`
those of the packet inside."""

NOTE_NO_SEQUENCE: Final = 16
"""TCP's sequence and acknowledgment numbers are not told, as in the text of a saved trace or log: `content` and
`payload` say nothing until a frame lends them (netfilter/partial_headers.py)."""

NOTE_NO_TIME: Final = 32
"""When it was is not told, only the order: `time_ns` says nothing until a frame lends it."""

NOTE_NO_FLAGS: Final = 64
"""The capture kept the ports of TCP, but not its flags: `tcp_flags` says nothing."""

OUTER: Final = np.dtype(
    [
        ("kind", "u1"),  # Tunnel, of the outermost one
        ("levels", "u1"),  # tunnels within each other
        ("ip_version", "u1"),
        ("protocol", "u1"),
        ("namespace", "u2"),
        ("source_port", "u2"),
        ("destination_port", "u2"),
        ("ttl", "u1"),  # or hop limit
        ("key", "i8"),  # VXLAN or Geneve network identifier, GRE key; -1 when it has none
        ("source_high", "u8"),
        ("source_low", "u8"),
        ("destination_high", "u8"),
        ("destination_low", "u8"),
        ("flow", "u8"),  # of the outer header, as in SIGHTING
        ("content", "u8"),
    ],
    align=True,
)
"""The outermost header of one encapsulated observation."""

TRACE_EVENT: Final = np.dtype(
    [
        ("time_ns", "i8"),  # of receipt
        ("file", "u2"),
        ("frame", "u4"),
        ("namespace", "u2"),
        ("id", "u4"),  # trace id: a hint only, see netfilter/evaluations.py
        ("type", "u1"),  # nft_trace_types: 1 policy, 2 return, 3 rule
        ("family", "u1"),  # nfproto of the table
        ("verdict", "i4"),  # NF_DROP 0, NF_ACCEPT 1, NFT_CONTINUE -1, NFT_JUMP -3, NFT_GOTO -4, NFT_RETURN -5
        ("policy", "u1"),  # 0 drop, 1 accept, 255 absent
        ("handle", "u8"),  # of the rule; 0 when none
        ("rule_number", "u4"),  # iptables-legacy: position in the chain, from 1; 0 otherwise
        ("table", "u8"),  # hash of the name, see Names
        ("chain", "u8"),
        ("jump", "u8"),  # chain of a jump or goto; 0 when none
        ("input_index", "u4"),  # ifindex, 0 when none
        ("output_index", "u4"),
        ("conntrack_id", "u4"),  # CTA_ID; 0 when the kernel gave none
        ("conntrack_direction", "u1"),  # 0 original, 1 reply, 255 absent
        ("conntrack_status", "u4"),  # ip_conntrack_status bits
        ("conntrack_state", "u4"),
        ("mark", "u4"),
        ("header", "i8"),  # row of the header table, -1 when the message carries no header
        ("legacy", "u1"),  # 1 for iptables-legacy TRACE through NFLOG
        ("hook", "u1"),  # NF_INET_* of a legacy event; 255 otherwise: the chain tells
    ],
    align=True,
)
"""One trace message, in the order of its socket."""

CONNTRACK: Final = np.dtype(
    [
        ("time_ns", "i8"),  # of receipt, or the kernel's own time of the event where it gives one
        ("namespace", "u2"),
        ("event", "u1"),  # CONNTRACK_*
        ("protocol", "u1"),
        ("id", "u4"),
        ("status", "u4"),
        ("mark", "u4"),  # 0 where the message has none
        ("frame", "u4"),  # Wireshark's frame number in its file
        ("original", "u8"),  # flow hash of the original direction as it comes in
        ("translated", "u8"),  # flow hash of the original direction as it goes out (the reply tuple, reversed)
        ("reply", "u8"),  # flow hash of the reply direction as it comes in
        ("restored", "u8"),  # flow hash of the reply direction as it goes out
    ]
    + [
        (f"{tuple_}_{end}_{part}", kind)
        for tuple_ in ("original", "reply")
        for end in ("source", "destination")
        for part, kind in (("high", "u8"), ("low", "u8"), ("port", "u2"))
    ],
    align=True,
)
"""One conntrack event or dumped entry."""

CONNTRACK_DUMPED: Final = 0
CONNTRACK_NEW: Final = 1
CONNTRACK_UPDATED: Final = 2
CONNTRACK_DESTROYED: Final = 3

STATUS_SOURCE_NAT: Final = 0x10
STATUS_DESTINATION_NAT: Final = 0x20
"""IPS_SRC_NAT, IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h."""

TOLD: Final = np.dtype(
    [
        ("order", "i8"),  # file << 32 | frame of its first message: what a socket says is in order
        ("conntrack_id", "u4"),  # CTA_ID; 0 when the kernel gave none
        ("trace_id", "u4"),  # 0 when none: a hint only, see netfilter/evaluations.py
        ("conntrack_status", "u4"),  # ip_conntrack_status bits
        ("input_index", "u4"),  # ifindex, 0 when none
        ("output_index", "u4"),
        ("conntrack_direction", "u1"),  # 0 original, 1 reply, 255 absent
        ("verdict", "u1"),  # 0 drop, 1 accept, 2 unknown (what was told ends before it), 3 queue, 4 stolen
        ("hook", "u1"),  # Hook of netfilter/numbers.py: where it was
        ("bridge", "u1"),  # 1: the hook is one of a bridge
        ("own", "u1"),  # 1: ttrace's own doing, which is evidence and no hop of the user's
    ]
)
"""What the kernel said of one packet at one place; row i belongs to sighting i of those that are no frames. What one
kind of message says beyond this stands in a table of its own, whose columns begin with these."""

EVALUATION: Final = np.dtype(
    [
        *((name, TOLD[name]) for name in TOLD.names or ()),
        ("policy", "u1"),  # 1 when the policy of the chain gave the verdict
        ("chain", "u4"),  # index into Chains
        ("first_event", "i8"),  # slice of the events table, sorted by (namespace, id, order)
        ("last_event", "i8"),  # exclusive
    ],
    align=True,
)
"""One base chain that one packet went through; row i belongs to row i of the evaluations' sightings."""
