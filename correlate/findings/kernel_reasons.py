"""The kernel's reasons for drops (include/net/dropreason-core.h): the kind of finding that each is, and its words."""

from typing import Final, NamedTuple

from .kinds import Kind


class Told(NamedTuple):
    """What a reason says."""

    kind: Kind
    words: str
    """What was the matter, behind `{place} drops {packets}: `; `{dev}`, `{source}`, `{destination}` are filled in."""


_NEIGHBOUR: Final = "nobody answers there for {hop}, whom it was to go to next"
_SOURCE: Final = "{source} is no address that anybody may send from"
_CHECKSUM: Final = "its {of} checksum is wrong"
_QUEUE: Final = "the queue of {dev} takes no more"

REASONS: Final = {
    "OTHERHOST": Told(Kind.WRONG_MAC, "the frame was addressed to another MAC than that of {dev}"),
    "IP_RPFILTER": Told(Kind.REVERSE_PATH, "by rp_filter, the way back to {source} does not lead out by {dev}"),
    "IP_INNOROUTES": Told(Kind.NO_ROUTE, "it has no route to {destination}"),
    "IP_OUTNOROUTES": Told(Kind.NO_ROUTE, "it has no route to {destination}"),
    "IP_INADDRERRORS": Told(Kind.KERNEL_DROP, "{destination} is not its own address, and it sends nothing on"),
    "IP_LOCAL_SOURCE": Told(Kind.MARTIAN, "{source} is an address of its own, and the packet came in by {dev}"),
    "IP_INVALID_SOURCE": Told(Kind.MARTIAN, _SOURCE),
    "IP_INVALID_DEST": Told(Kind.MARTIAN, "{destination} is no address that a packet may go to"),
    "IP_LOCALNET": Told(Kind.MARTIAN, "127.0.0.0/8 stays on lo while route_localnet of {dev} is 0"),
    "NEIGH_FAILED": Told(Kind.NEIGHBOUR_UNRESOLVED, _NEIGHBOUR),
    "NEIGH_DEAD": Told(Kind.NEIGHBOUR_UNRESOLVED, _NEIGHBOUR),
    "NEIGH_QUEUEFULL": Told(Kind.KERNEL_DROP, "too many packets waited for the MAC of {hop}"),
    "IP_CSUM": Told(Kind.CHECKSUM_WRONG, _CHECKSUM.format(of="IP")),
    "TCP_CSUM": Told(Kind.CHECKSUM_WRONG, _CHECKSUM.format(of="TCP")),
    "UDP_CSUM": Told(Kind.CHECKSUM_WRONG, _CHECKSUM.format(of="UDP")),
    "ICMP_CSUM": Told(Kind.CHECKSUM_WRONG, _CHECKSUM.format(of="ICMP")),
    "SKB_CSUM": Told(Kind.CHECKSUM_WRONG, _CHECKSUM.format(of="own")),
    "PKT_TOO_BIG": Told(Kind.MTU_EXCEEDED, "it is too big for what comes next, and no ICMP error was seen"),
    "NO_SOCKET": Told(Kind.REFUSED, "nobody listens at {server}, and nothing says so to the sender"),
    "SOCKET_BACKLOG": Told(Kind.KERNEL_DROP, "too much waits for a socket that is busy"),
    "TCP_LISTEN_OVERFLOW": Told(Kind.BACKLOG_FULL, "the listening socket has more waiting connections than it takes"),
    "QDISC_DROP": Told(Kind.QUEUE_DROP, _QUEUE),
    "QDISC_OVERLIMIT": Told(Kind.QUEUE_DROP, _QUEUE),
    "QDISC_CONGESTED": Told(Kind.QUEUE_DROP, _QUEUE),
    "CAKE_FLOOD": Told(Kind.QUEUE_DROP, _QUEUE),
    "FQ_BAND_LIMIT": Told(Kind.QUEUE_DROP, _QUEUE),
    "FQ_HORIZON_LIMIT": Told(Kind.QUEUE_DROP, _QUEUE),
    "FQ_FLOW_LIMIT": Told(Kind.QUEUE_DROP, _QUEUE),
    "DUALPI2_STEP_DROP": Told(Kind.QUEUE_DROP, _QUEUE),
    "CPU_BACKLOG": Told(Kind.QUEUE_DROP, "the backlog of a processor is full (net.core.netdev_max_backlog)"),
    "FULL_RING": Told(Kind.QUEUE_DROP, "the ring of {dev} is full"),
    "XDP": Told(Kind.BEFORE_NETFILTER, "by an XDP program, before any rule of netfilter"),
    "TC_INGRESS": Told(Kind.BEFORE_NETFILTER, "by a tc filter at the ingress of {dev}, before any rule of netfilter"),
    "TC_EGRESS": Told(Kind.KERNEL_DROP, "by a tc filter at the egress of {dev}"),
    "FRAG_REASM_TIMEOUT": Told(Kind.FRAGMENT_MISSING, "other fragments of the datagram did not come in time"),
    "FRAG_TOO_FAR": Told(Kind.FRAGMENT_MISSING, "other fragments of the datagram are missing"),
    "NETFILTER_DROP": Told(Kind.KERNEL_DROP, "by netfilter: a rule that was not traced, or conntrack"),
    "SOCKET_RCVBUFF": Told(Kind.KERNEL_DROP, "the receive buffer of the socket is full: its program does not read"),
    "SOCKET_FILTER": Told(Kind.KERNEL_DROP, "by a filter of the socket"),
    "BPF_CGROUP_EGRESS": Told(Kind.KERNEL_DROP, "by a BPF program of the cgroup that sends it"),
    "SECURITY_HOOK": Told(Kind.KERNEL_DROP, "by a security module (SELinux or another)"),
    "XFRM_POLICY": Told(Kind.KERNEL_DROP, "by a policy of IPsec (`ip xfrm policy`)"),
    "IP_INHDR": Told(Kind.KERNEL_DROP, "its IP header is wrong: a length, a checksum, or options"),
    "IPV6DISABLED": Told(Kind.KERNEL_DROP, "IPv6 is off there (net.ipv6.conf.*.disable_ipv6)"),
    "IP_NOPROTO": Told(Kind.KERNEL_DROP, "nobody takes its protocol there"),
    "NOMEM": Told(Kind.KERNEL_DROP, "the machine has no memory for it"),
    "PROTO_MEM": Told(Kind.KERNEL_DROP, "sockets have all the memory that they may have (net.ipv4.tcp_mem, udp_mem)"),
    "DEV_READY": Told(Kind.KERNEL_DROP, "{dev} is not up"),
    "NO_TX_TARGET": Told(Kind.KERNEL_DROP, "{dev} knows nobody to send it to"),
    "VXLAN_VNI_NOT_FOUND": Told(Kind.KERNEL_DROP, "no VXLAN device there has its VNI"),
    "PKT_TOO_SMALL": Told(Kind.KERNEL_DROP, "it is shorter than its headers say"),
}  # fmt: skip
"""What is not here is a `kernel_drop` with the kernel's own word alone."""

OUT_OF_TIME: Final = Told(Kind.TTL_EXPIRED, "its time to live ran out, and no ICMP error was seen")
"""IP_INHDR of what was to be forwarded."""
UNSAID: Final = frozenset({"NOT_SPECIFIED", "UNHANDLED_PROTO", "IPV6_NDISC_NS_OTHERHOST", "UNICAST_IN_L2_MULTICAST",
                           "BRIDGE_INGRESS_STP_STATE", "TC_COOKIE_ERROR", "MAC_IEEE_MAC_CONTROL"})  # fmt: skip
"""Reasons that name no cause, or what is meant to be dropped."""


_BY_FUNCTION: Final = dict.fromkeys(("do_xdp_generic", "netif_receive_generic_xdp", "veth_xdp_rcv_skb"), REASONS["XDP"])
"""Functions that have no reason of their own, and drop for one cause alone."""


def is_made_good_by_tcp(reason: str) -> bool:
    """What TCP throws away in an ordinary connection, and sends again where it has to."""
    return reason.startswith("TCP_") and reason not in ("TCP_CSUM", "TCP_LISTEN_OVERFLOW")


def told_by(reason: str, function: str = "") -> Told | None:
    """What a reason says; of one that is not known its name alone. None where it names no cause."""
    if reason in UNSAID:
        return _BY_FUNCTION.get(function)
    return REASONS.get(reason) or Told(Kind.KERNEL_DROP, "")
