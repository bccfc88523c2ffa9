"""Numbers that packets carry, by name, each with the document that gives it.

Plain integers, for compiled kernels and NumPy alike: a column compared with a member of an IntEnum is widened to 64
bits first.
"""

from typing import Final

# IP protocol numbers (IANA: Assigned Internet Protocol Numbers); of IPv6, also what an extension header is called.
HOP_BY_HOP: Final = 0  # RFC 8200, 4.3
ICMP: Final = 1  # RFC 792
IGMP: Final = 2  # RFC 9776
IPV4_INSIDE: Final = 4  # RFC 2003
TCP: Final = 6  # RFC 9293
UDP: Final = 17  # RFC 768
DCCP: Final = 33  # RFC 4340
IPV6_INSIDE: Final = 41  # RFC 4213, 2473
ROUTING_HEADER: Final = 43  # RFC 8200, 4.4
FRAGMENT_HEADER: Final = 44  # RFC 8200, 4.5
GRE: Final = 47  # RFC 2784
ESP: Final = 50  # RFC 4303
AH: Final = 51  # RFC 4302
ICMPV6: Final = 58  # RFC 4443
DESTINATION_OPTIONS: Final = 60  # RFC 8200, 4.6
OSPF: Final = 89  # RFC 2328
SCTP: Final = 132  # RFC 9260
UDP_LITE: Final = 136  # RFC 3828

WITH_PORTS: Final = (TCP, UDP, DCCP, SCTP, UDP_LITE)
"""Whose header begins with a source and a destination port."""

# Flags and fragment offset in one word of the IPv4 header (RFC 791, 3.1); the offset counts in units of 8 bytes.
MORE_FRAGMENTS: Final = 0x2000
FRAGMENT_OFFSET: Final = 0x1FFF

# EtherTypes (IANA: IEEE 802 Numbers).
ETHERTYPE_LLC: Final = 0x0004
"""None, but what stands for an IEEE 802.3 frame that has a length in its place (ETH_P_802_2, linux/if_ether.h)."""
ETHERTYPE_LEAST: Final = 0x0600
"""Below it the field is a length (IEEE 802.3, 3.2.6)."""
ETHERTYPE_IPV4: Final = 0x0800  # RFC 894
ETHERTYPE_ARP: Final = 0x0806  # RFC 826
ETHERTYPE_ETHERNET: Final = 0x6558  # transparent Ethernet bridging: in tunnels (RFC 1701, 7637, 8926)
ETHERTYPE_RARP: Final = 0x8035  # RFC 903
ETHERTYPE_VLAN: Final = 0x8100  # IEEE 802.1Q
ETHERTYPE_IPV6: Final = 0x86DD  # RFC 2464
ETHERTYPE_PPP: Final = 0x880B  # RFC 7042
ETHERTYPE_MPLS: Final = 0x8847  # RFC 5332
ETHERTYPE_MPLS_UPSTREAM: Final = 0x8848  # RFC 5332
ETHERTYPE_PPPOE_DISCOVERY: Final = 0x8863  # RFC 2516
ETHERTYPE_PPPOE: Final = 0x8864  # of a session; RFC 2516
ETHERTYPE_EAPOL: Final = 0x888E  # IEEE 802.1X
ETHERTYPE_SERVICE_VLAN: Final = 0x88A8  # IEEE 802.1ad
ETHERTYPE_LLDP: Final = 0x88CC  # IEEE 802.1AB
ETHERTYPE_MACSEC: Final = 0x88E5  # IEEE 802.1AE
ETHERTYPE_OLD_VLAN: Final = 0x9100  # before IEEE 802.1ad: ETH_P_QINQ1 of linux/if_ether.h

# Bits of the flags of TCP (RFC 9293, 3.1; the ninth: RFC 3168 and draft-ietf-tcpm-accurate-ecn).
TCP_FIN: Final = 0x01
TCP_SYN: Final = 0x02
TCP_RST: Final = 0x04
TCP_ACK: Final = 0x10
TCP_FLAGS: Final = 0x1FF
"""All of them, in the word that begins with the length of the header."""

# Types of ICMP (RFC 792; 13 to 18: RFC 792, 950).
ICMP_ECHO_REPLY: Final = 0
ICMP_UNREACHABLE: Final = 3
ICMP_SOURCE_QUENCH: Final = 4
ICMP_REDIRECT: Final = 5
ICMP_ECHO: Final = 8
ICMP_TIME_EXCEEDED: Final = 11
ICMP_PARAMETER_PROBLEM: Final = 12
ICMP_TIMESTAMP: Final = 13
ICMP_TIMESTAMP_REPLY: Final = 14
ICMP_INFORMATION: Final = 15
ICMP_INFORMATION_REPLY: Final = 16
ICMP_MASK: Final = 17
ICMP_MASK_REPLY: Final = 18

# Codes of `destination unreachable` (RFC 792, RFC 1122, 3.2.2.1; RFC 4443, 3.1), and of `time exceeded`.
ICMP_PROTOCOL_UNREACHABLE: Final = 2
ICMP_PORT_UNREACHABLE: Final = 3
ICMP_FRAGMENTATION_NEEDED: Final = 4
ICMPV6_PORT_UNREACHABLE: Final = 4
REASSEMBLY_EXCEEDED: Final = 1

# Types of ICMPv6 (RFC 4443; 130 to 132: RFC 2710; 133 to 137: RFC 4861; 143: RFC 3810). Below 128 they are errors.
ICMPV6_UNREACHABLE: Final = 1
ICMPV6_TOO_BIG: Final = 2
ICMPV6_TIME_EXCEEDED: Final = 3
ICMPV6_PARAMETER_PROBLEM: Final = 4
ICMPV6_ECHO: Final = 128
ICMPV6_ECHO_REPLY: Final = 129
ICMPV6_LISTENER_QUERY: Final = 130
ICMPV6_ROUTER_SOLICITATION: Final = 133
ICMPV6_ROUTER_ADVERTISEMENT: Final = 134
ICMPV6_NEIGHBOUR_SOLICITATION: Final = 135
ICMPV6_NEIGHBOUR_ADVERTISEMENT: Final = 136
ICMPV6_LISTENER_REPORT: Final = 143

# Operations of ARP (RFC 826).
ARP_REQUEST: Final = 1
ARP_REPLY: Final = 2
