"""What is known of what surrounds the packets in one network namespace: frozen values, made of its snapshots.

All of it may be missing: an older file, an older kernel or a plain pcap says less.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple


class Where(NamedTuple):
    """A snapshot, as evidence names it."""

    file: int
    """Index of the file."""
    frame: int
    """Wireshark's number of the frame."""
    time_ns: int = 0
    """When it was taken, by the clock of the node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteHop:
    """One of the ways on that a route gives."""

    gateway: str | None
    """None: the destination is on the link itself. May be of the other family than the route."""
    index: int | None
    """Of the interface."""
    flags: tuple[str, ...] = ()
    """`dead`, `linkdown`, `onlink`, …"""
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One entry of a routing table."""

    family: int
    """4 or 6."""
    destination: str | None
    """None where the prefix is 0."""
    prefix: int
    table: int
    type: str
    """`unicast`, `local`, `broadcast`, `blackhole`, `unreachable`, `prohibit`, `throw`, …"""
    hops: tuple[RouteHop, ...]
    """None where the type gives no way on, and where they are not known (`nexthop`)."""
    metric: int = 0
    preferred_source: str | None = None
    scope: str | None = None
    protocol: str | None = None
    """Who made it: `kernel`, `boot`, `static`, `ra`, `dhcp`, …"""
    tos: int = 0
    source: str | None = None
    source_prefix: int = 0
    """IPv6: only packets from there take it."""
    nexthop: int | None = None
    """Number of the nexthop object that it names."""
    mtu: int | None = None
    preference: str | None = None
    """IPv6: `high` or `low` where it is not medium."""
    encapsulation: int | None = None
    line: int = 0
    """Its place in the snapshot's list, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRule:
    """One line of `ip rule`."""

    family: int
    """4 or 6."""
    priority: int
    action: str
    """`lookup`, `goto`, `nop`, `blackhole`, `unreachable`, `prohibit`, or a number."""
    table: int | None = None
    goto: int | None = None
    source: str | None = None
    source_prefix: int = 0
    destination: str | None = None
    destination_prefix: int = 0
    iif: str | None = None
    oif: str | None = None
    mark: int | None = None
    mask: int = 0xFFFFFFFF
    invert: bool = False
    suppress_prefix_length: int | None = None
    protocol: int | None = None
    source_ports: tuple[int, int] | None = None
    destination_ports: tuple[int, int] | None = None
    tos: int = 0
    more: tuple[str, ...] = ()
    """What else it asks for that no packet in a capture shows, or that is not understood: `uidrange 0-99`, …"""
    line: int = 0
    """Its place in the snapshot's list, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An entry of the ARP or NDP table."""

    index: int
    address: str
    mac: str | None
    state: str | None
    """`reachable`, `stale`, `delay`, `probe`, `failed`, `incomplete`, `permanent`, `noarp`."""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """One interface."""

    index: int
    name: str
    kind: str | None = None
    mac: str | None = None
    mtu: int | None = None
    up: bool | None = None
    master: int | None = None
    operstate: str | None = None
    qdisc: str | None = None
    port: dict[str, object] | None = None
    """Of a bridge port: `hairpin`, `isolated`, `learning`, `state` (3: forwarding), …, as numbers."""
    bridge: dict[str, object] | None = None
    tunnel: dict[str, object] | None = None
    xdp: tuple[int, ...] = ()
    """Numbers of the programs attached to it."""
    filters: tuple[str, ...] = ()
    """tc filters at its ingress, in words."""
    line: int = 0


class Owner(NamedTuple):
    """The process that has a socket open."""

    pid: int
    process: str
    """Its name, which it may choose itself."""
    container: str | None
    """Its container's name, or the beginning of its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A socket that is connected to somebody."""

    protocol: str
    """`tcp` or `udp`."""
    address: str
    port: int
    peer: str
    peer_port: int
    state: str | None = None
    """`established`, `syn_sent`, `close_wait`, …"""
    owner: Owner | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A socket that waits for somebody."""

    protocol: str
    """`tcp` or `udp`."""
    address: str
    """`0.0.0.0` and `::` are all; `::` takes IPv4 as well, unless the socket or net.ipv6.bindv6only says otherwise."""
    port: int
    index: int | None = None
    """The interface that it is bound to."""
    uid: int | None = None
    inode: int | None = None
    backlog: int | None = None
    """TCP: connections that wait to be accepted, and how many may."""
    most: int | None = None
    owner: Owner | None = None
    line: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class NamespaceFacts:
    """One namespace at one moment. Two are equal only if they are one and the same, so that what is made of them can be
    kept by them."""

    node: str
    label: str | None
    """None for the node as a whole."""
    routes: tuple[Route, ...] | None = None
    """In the order of the snapshot; None where there is none. So for the others."""
    rules: tuple[RoutingRule, ...] | None = None
    """What `ip rule` lists; None in files of a ttrace that did not record it."""
    neighbours: tuple[Neighbour, ...] | None = None
    links: dict[int, LinkSettings] = field(default_factory=dict)
    """By index."""
    addresses: tuple[tuple[int, str], ...] = ()
    """(interface index, address)."""
    sysctls: dict[str, str] = field(default_factory=dict)
    """In sysctl's own spelling; a dot in an interface's name is a slash."""
    listeners: tuple[Listener, ...] | None = None
    connections: tuple[Connected, ...] | None = None
    counters: dict[str, int] | None = None
    """By how much what the kernel counts grew during the capture: `TcpExtListenDrops`, `Ip6InNoRoutes`,
    `conntrack.insert_failed`, `link.eth0.rx_dropped`, `qdisc.eth0.dropped`, of the node `softnet.dropped` and
    `drop.TCP_CSUM.tcp_v4_rcv`. What is not there did not grow; None where none was read both at the start and at the
    end of any file."""
    where: dict[str, Where] = field(default_factory=dict)
    """Kind of snapshot (`routes`, `route_rules`, …) to the one that it was taken from."""

    def interface(self, index: int | None) -> str | None:
        """Name of an interface."""
        link = self.links.get(index) if index is not None else None
        return link.name if link else None

    def index_of(self, interface: str) -> int | None:
        """Index of an interface by its name."""
        return next((link.index for link in self.links.values() if link.name == interface), None)

    def neighbour(self, index: int | None, address: str) -> Neighbour | None:
        """The entry of an address at an interface."""
        known = self.neighbours or ()
        return next((one for one in known if one.index == index and one.address == address), None)

    def counted(self, name: str) -> int | None:
        """By how much a counter grew; None where that is not known."""
        return None if self.counters is None else self.counters.get(name, 0)

    def sysctl(self, name: str) -> int | None:
        """A setting as a number; None where it is not known."""
        return _number(self.sysctls.get(name))

    def of_interface(self, setting: str, interface: str, version: int = 4) -> int | None:
        """What holds for an interface, of a setting that exists for each (`rp_filter`), with `all` as the kernel takes
        it into account: the greater of both, or not at all (IN_DEV_MAXCONF, IN_DEV_ORCONF of linux/inetdevice.h)."""
        name = interface.replace(".", "/")
        own = self.sysctl(f"net.ipv{version}.conf.{name}.{setting}")
        of_all = self.sysctl(f"net.ipv{version}.conf.all.{setting}")
        if version == 6 or setting in _OWN_ALONE:
            return own
        if own is None or of_all is None:
            return None
        return max(own, of_all)


_OWN_ALONE: Final = ("forwarding", "proxy_arp_pvlan", "ignore_routes_with_linkdown")
"""`all` is not looked at: writing it writes each, or means nothing. The same of all of IPv6 that is recorded."""


def _number(text: object) -> int | None:
    try:
        return int(str(text))
    except ValueError:
        return None
