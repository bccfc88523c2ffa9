"""Interfaces, addresses and neighbours of a network namespace, through rtnetlink (pyroute2)."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ...errors import TtraceError
from ...pcapng.blocks import LinkType
from .netns import Netns, plain_text
from .rtnetlink import Routing

# linux/if_arp.h
ARPHRD_ETHER = 1
ARPHRD_LOOPBACK = 772
IFF_UP = 1  # linux/if.h
NTF_SELF = 2  # linux/neighbour.h
NUD_PERMANENT = 0x80
_SIZES = ("IFLA_MTU", "IFLA_GSO_MAX_SIZE", "IFLA_GRO_MAX_SIZE", "IFLA_GSO_IPV4_MAX_SIZE", "IFLA_GRO_IPV4_MAX_SIZE")
_HEADERS_BYTES = 128
"""More than any link header with its tags."""
# linux/neighbour.h NUD_*
_NEIGHBOUR_STATES = {
    0x01: "incomplete", 0x02: "reachable", 0x04: "stale", 0x08: "delay", 0x10: "probe", 0x20: "failed",
    0x40: "noarp", 0x80: "permanent",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One interface."""

    index: int
    """What the kernel knows it by; names change, and may be any bytes."""
    name: str
    """For people and the file: bytes that are no UTF-8 are escaped."""
    mac: str | None
    mtu: int
    kind: str | None
    """`bridge`, `veth`, …; None for a physical device."""
    master: int | None
    peer_index: int | None
    peer_nsid: int | None
    peer_netns: str | None
    """Label of the peer's namespace, where known."""
    up: bool
    hardware_type: int
    """ARPHRD_* (linux/if_arp.h)."""
    longest_bytes: int = (1 << 16) + _HEADERS_BYTES
    """No packet on it is longer, with all headers: super-packets (GSO, GRO) are longer than the MTU."""

    @property
    def is_loopback(self) -> bool:
        """Whether this is `lo`."""
        return self.hardware_type == ARPHRD_LOOPBACK

    @property
    def link_type(self) -> LinkType:
        """Link type of a capture on it: the loopback device has Ethernet headers, tunnels are taken without theirs."""
        return LinkType.ETHERNET if self.hardware_type in (ARPHRD_ETHER, ARPHRD_LOOPBACK) else LinkType.RAW

    @property
    def mac_bytes(self) -> bytes:
        """The MAC address as 6 bytes, or empty."""
        return bytes.fromhex(self.mac.replace(":", "")) if self.mac else b""


@contextmanager
def routing(netns: Netns) -> Iterator[Routing]:
    """The lists of `netns`; what of them cannot be read is a TtraceError."""
    try:
        yield Routing(netns)
    except OSError as error:
        raise TtraceError(f"cannot read the links of {netns.description}: {error}") from error


def read_links(route: Routing, *, labels: dict[int, str] | None = None) -> list[Link]:
    """All interfaces; `labels` names peer namespaces by their nsid."""
    links = []
    for message in route.links():
        info = message.get_attr("IFLA_LINKINFO")
        nsid = message.get_attr("IFLA_LINK_NETNSID")
        links.append(
            Link(
                index=message["index"],
                name=_link_name(message.get_attr("IFLA_IFNAME")),
                mac=message.get_attr("IFLA_ADDRESS"),
                mtu=message.get_attr("IFLA_MTU"),
                kind=info.get_attr("IFLA_INFO_KIND") if info else None,
                master=message.get_attr("IFLA_MASTER"),
                peer_index=message.get_attr("IFLA_LINK"),
                peer_nsid=nsid,
                peer_netns=(labels or {}).get(nsid) if nsid is not None else None,
                up=bool(message["flags"] & IFF_UP),
                hardware_type=message["ifi_type"],
                longest_bytes=_HEADERS_BYTES + max(message.get_attr(name) or 0 for name in _SIZES),
            )
        )
    return links


def _link_name(name: str | bytes) -> str:
    return plain_text(name.rstrip(b"\0") if isinstance(name, bytes) else name.encode())


def kernel_name(index: int) -> str | None:
    """The interface's name at this moment, in the thread's namespace, as other calls take it; None if it is gone."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return None


def named_on_command_line(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of interfaces that a user gave, whether with their bytes or escaped as they are shown."""
    return tuple(plain_text(os.fsencode(name)) for name in names)


def read_other_macs(route: Routing, links: list[Link]) -> dict[int, list[str]]:
    """Interface index to the unicast MAC addresses that an interface takes frames for beside its own: those of macvlan
    children, in whatever namespace, and of whatever else asked for them (dev_uc_add of net/core/dev_addr_lists.c)."""
    own = {(link.index, link.mac) for link in links}
    found: dict[int, list[str]] = {}
    for message in route.bridge_entries():
        mac = message.get_attr("NDA_LLADDR")
        listed = message["flags"] & NTF_SELF and message["state"] & NUD_PERMANENT
        if listed and mac and not int(mac[:2], 16) & 1 and (message["ifindex"], mac) not in own:
            found.setdefault(message["ifindex"], []).append(mac)
    return found


def read_addresses(route: Routing) -> list[dict[str, object]]:
    """All addresses, as `addresses` of docs/file-format.md."""
    return [
        {
            "index": message["index"],
            # IFA_LOCAL is ours where IFA_ADDRESS is the peer's, on point-to-point links.
            "address": message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"),
            "prefix": message["prefixlen"],
        }
        for message in route.addresses()
    ]


def read_neighbours(route: Routing) -> list[dict[str, object]]:
    """The ARP and NDP tables, as `neighbours` of docs/file-format.md."""
    return [
        {
            "index": message["ifindex"],
            "address": message.get_attr("NDA_DST"),
            "mac": message.get_attr("NDA_LLADDR"),
            "state": _NEIGHBOUR_STATES.get(message["state"], str(message["state"])),
        }
        for message in route.neighbours()
    ]
