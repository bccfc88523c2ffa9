"""Nodes and what is recorded on them, written down in a few lines: capture files for the whole pipeline.

Through real files the stages are tested by what they are for, however they pass their tables on to each other.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from scapy.layers.inet import IP, UDP
from scapy.packet import Packet

from ttrace.correlate import Correlation, correlate_captures
from ttrace.correlate.result.values import ChainHop, Hop
from ttrace.correlate.result.values import Path as PacketPath
from ttrace.pcapng.blocks import Direction, LinkType
from ttrace.pcapng.write import (
    enhanced_packet,
    interface_description,
    interface_statistics,
    section_header,
    snapshot_packets,
)

from .frames import (
    CONNTRACK_DESTROY,
    CONNTRACK_NEW,
    NFTRACE,
    NLM_F_CREATE,
    NLM_F_MULTI,
    attribute,
    message,
    tuple_attribute,
    word,
)
from .same_in_parts import assert_same_in_parts

IN, OUT = Direction.IN, Direction.OUT
START_NS = 1_700_000_000_000_000_000
SNAT, DNAT = 0x10, 0x20
NEW, DESTROYED, DUMPED = "new", "destroyed", "dumped"
FAMILY_NUMBERS = {"inet": 1, "ip": 2, "bridge": 7, "ip6": 10}

Endpoint = tuple[str, int]
Tuple = tuple[Endpoint, Endpoint]
"""(source, destination) of one direction."""


def at(time_us: float) -> int:
    """Nanoseconds since 1970 of a time in the scene."""
    return START_NS + round(time_us * 1000)


@dataclass
class Netns:
    """One network namespace: its links, addresses and rules."""

    label: str
    container: str | None
    links: list[dict[str, Any]] = field(default_factory=list)
    addresses: list[dict[str, Any]] = field(default_factory=list)
    ruleset: dict[str, Any] | None = None
    bridge_nf: bool = False
    sysctls: dict[str, str] = field(default_factory=dict)


@dataclass
class Node:
    """One node while it is being recorded. Times are microseconds since the start of the scene, by its own clock (or,
    with `clock`, by that which it gets wrong)."""

    name: str
    boot_id: str | None = None
    snapshots: bool = True
    clock: Callable[[int], int] = lambda time_ns: time_ns
    """What its clock shows at a time (nanoseconds since 1970)."""
    snaplen: int = 0
    """Bytes of a frame that are kept, 0 for all."""
    inode: int = 1
    """Number of its namespaces."""
    begin_us: float = 0
    """When its snapshots are taken."""
    _interfaces: dict[tuple[str, str], int] = field(default_factory=dict)
    _whole: set[int] = field(default_factory=set)
    """Numbers of the interfaces that are no capture points."""
    _blocks: list[bytes] = field(default_factory=list)
    _records: list[tuple[int, int, bytes, Direction]] = field(default_factory=list)
    _statistics: list[bytes] = field(default_factory=list)
    _namespaces: dict[str, Netns] = field(default_factory=dict)

    def netns(
        self,
        label: str = "root",
        *,
        container: str | None = None,
        bridge_nf: bool = False,
        ruleset: dict[str, Any] | None = None,
    ) -> None:
        self._namespaces[label] = Netns(label, container, bridge_nf=bridge_nf, ruleset=ruleset)

    def interface(
        self,
        name: str,
        index: int,
        *,
        netns: str = "root",
        kind: str | None = None,
        master: int | None = None,
        peer: str | None = None,
        addresses: Sequence[str] = (),
        captured: bool = True,
        link_type: LinkType = LinkType.RAW,
        filter_text: str | None = None,
    ) -> None:
        """An interface; `peer` is the namespace at the other end of a veth pair, `filter_text` the capture filter."""
        if netns not in self._namespaces:
            self.netns(netns, container=None if netns == "root" else netns)
        space = self._namespaces[netns]
        space.links.append(
            {"index": index, "name": name, "mac": None, "mtu": 1500, "kind": kind, "master": master,
             "peer_index": None, "peer_nsid": None, "peer_netns": peer, "up": True}
        )  # fmt: skip
        space.addresses += [{"index": index, "address": address, "prefix": 24} for address in addresses]
        if captured:
            self._declare(netns, name, index, "packets", link_type, filter_text)

    def set_sysctls(self, netns: str = "root", **settings: str) -> None:
        """Settings as the snapshot has them; `__` stands for a dot in their names."""
        named = {name.replace("__", "."): value for name, value in settings.items()}
        self._namespaces[netns].sysctls.update(named)

    def change_link(self, name: str, *, netns: str = "root", **facts: Any) -> None:
        """What a snapshot says of an interface, otherwise."""
        next(link for link in self._namespaces[netns].links if link["name"] == name).update(facts)

    def _declare(
        self,
        netns: str,
        name: str,
        index: int | None,
        what: str,
        link_type: LinkType,
        filter_text: str | None = None,
    ) -> int:
        key = (netns, name)
        if key not in self._interfaces:
            container = self._namespaces[netns].container if netns in self._namespaces else None
            facts = {"netns": netns, "inode": self.inode, "ifindex": index, "container": container, "what": what}
            self._interfaces[key] = len(self._interfaces)
            if what != "packets":
                self._whole.add(self._interfaces[key])
            self._blocks.append(interface_description(
                link_type=link_type, name=name, description="", facts=facts, filter_text=filter_text
            ))  # fmt: skip
        return self._interfaces[key]

    def see(
        self, name: str, direction: Direction, time_us: float, packet: Packet | bytes, *, netns: str = "root"
    ) -> None:
        """A frame at a capture point."""
        self._records.append((at(time_us), self._interfaces[(netns, name)], bytes(packet), direction))

    def trace(
        self,
        time_us: float,
        packet: Packet | bytes | None,
        chain: str,
        *,
        table: str = "filter",
        netns: str = "root",
        family: str = "ip",
        trace_id: int = 7,
        rules: Iterable[tuple[str, int, int | str]] = (),
        policy: int | None = 1,
        iif: int = 0,
        oif: int = 0,
        ct: tuple[int, ...] | None = None,
    ) -> None:
        """A base chain saw the packet: `rules` are (chain, handle, verdict or chain to jump to) that matched (handle 0:
        the end of the chain, where none did), `policy` the verdict at the end (None: a rule decided), `ct` (id,
        direction, status and, maybe, state)."""
        data = bytes(packet) if packet is not None else b""
        head = _header_attributes(data, iif, oif, ct) if data else b""
        bodies = [
            (name, word(4, 3) + _rule(handle) + attribute(5, _verdict(verdict))) for name, handle, verdict in rules
        ]
        if policy is not None:
            bodies.append((chain, word(4, 1) + word(16, policy)))
        for number, (name, body) in enumerate(bodies):
            place = attribute(1, table.encode() + b"\0") + attribute(2, name.encode() + b"\0") + word(6, trace_id)
            attributes = place + body + (head if number == 0 else b"")
            self.message(time_us, message(NFTRACE, attributes, family=FAMILY_NUMBERS[family]), netns=netns)

    def conntrack(
        self,
        time_us: float,
        original: Tuple,
        reply: Tuple,
        *,
        event: str = NEW,
        protocol: int = 6,
        ct_id: int = 77,
        status: int = 0,
        netns: str = "root",
    ) -> None:
        """A conntrack event, or an entry of the dump."""
        tuples = b"".join(
            tuple_attribute(kind, ip_address(s).packed, ip_address(d).packed, protocol, (sp, dp))
            for kind, ((s, sp), (d, dp)) in ((1, original), (2, reply))
        )
        kind = CONNTRACK_DESTROY if event == DESTROYED else CONNTRACK_NEW
        flags = {NEW: NLM_F_CREATE, DUMPED: NLM_F_MULTI}.get(event, 0)
        self.message(time_us, message(kind, tuples + word(3, status) + word(12, ct_id), flags=flags), netns=netns)

    def message(self, time_us: float, data: bytes, *, netns: str = "root") -> None:
        """Any netfilter message."""
        number = self._declare(netns, "netfilter", None, "netlink", LinkType.NETLINK)
        self._records.append((at(time_us), number, data, Direction.UNKNOWN))

    def lost(self, name: str, time_us: float, count: int, *, netns: str = "root") -> None:
        """The capture says that it has lost so many up to now."""
        number, time_ns = self._interfaces[(netns, name)], self.clock(at(time_us))
        self._statistics.append(interface_statistics(interface=number, time_ns=time_ns, received=9, dropped=count))

    def listen(self, netns: str = "root") -> None:
        """Netfilter messages of a namespace are recorded, though there may be none: the capture says so at its end."""
        number = self._declare(netns, "netfilter", None, "netlink", LinkType.NETLINK)
        statistics = interface_statistics(interface=number, time_ns=self.clock(at(0)), received=0, dropped=0)
        self._statistics.append(statistics)

    @property
    def noted(self) -> int:
        """How many frames and messages have been noted so far."""
        return len(self._records)

    def frame_numbers(self) -> list[int]:
        """The frame number of each of them in the file, in the order in which they were noted."""
        numbers = [0] * len(self._records)
        for number, which in enumerate(self._in_order(), 1):
            numbers[which] = number
        return numbers

    def _in_order(self) -> list[int]:
        return sorted(range(len(self._records)), key=lambda which: self._records[which][0])

    def snapshot(
        self, kind: str, data: object, *, netns: str | None = None, moment: str = "start", time_us: float | None = None
    ) -> None:
        """Any snapshot."""
        number = self._declare("root", "snapshot", None, "snapshot", LinkType.WIRESHARK_UPPER_PDU)
        when = at(self.begin_us if time_us is None else time_us)
        for packet in snapshot_packets(moment=moment, netns=netns, kind=kind, data=data):
            self._records.append((when, number, packet, Direction.UNKNOWN))

    def write(self, folder: Path) -> str:
        """The capture file."""
        if self.snapshots:
            self.snapshot("node", {"name": self.name, "boot_id": self.boot_id})
            for space in self._namespaces.values():
                self.snapshot("links", space.links, netns=space.label)
                self.snapshot("addresses", space.addresses, netns=space.label)
                setting = {"net.bridge.bridge-nf-call-iptables": "1" if space.bridge_nf else "0"}
                self.snapshot("sysctls", setting | space.sysctls, netns=space.label)
                if space.ruleset is not None:
                    self.snapshot("ruleset", space.ruleset, netns=space.label)
        path = folder / f"{self.name}.pcapng"
        path.write_bytes(
            section_header(node=self.name, system="Linux", application="test")
            + b"".join(self._blocks)
            + b"".join(self._packet_block(which) for which in self._in_order())
            + b"".join(self._statistics)
        )
        return str(path)

    def _packet_block(self, which: int) -> bytes:
        time_ns, interface, data, direction = self._records[which]
        is_frame = interface not in self._whole
        kept = data[: self.snaplen] if self.snaplen and is_frame else data
        return enhanced_packet(
            interface=interface, time_ns=self.clock(time_ns), data=kept, length=len(data), direction=direction
        )


def _rule(handle: int) -> bytes:
    return attribute(3, struct.pack(">Q", handle)) if handle else b""


def _verdict(verdict: int | str) -> bytes:
    if isinstance(verdict, str):
        return word(1, 0xFFFFFFFD) + attribute(2, verdict.encode() + b"\0")
    return word(1, verdict & 0xFFFFFFFF)


def _header_attributes(data: bytes, iif: int, oif: int, ct: tuple[int, ...] | None) -> bytes:
    start = (data[0] & 15) * 4 if data[0] >> 4 == 4 else 40
    found = attribute(8, data[:start]) + attribute(9, data[start : start + 20])
    found += (word(10, iif) if iif else b"") + (word(12, oif) if oif else b"")
    if ct is not None:
        found += word(18, ct[0]) + attribute(19, bytes([ct[1]])) + word(20, ct[2])
        found += b"".join(word(21, state) for state in ct[3:])
    return found


def correlate(folder: Path, *nodes: Node) -> Correlation:
    """What the pipeline makes of the nodes' files, in memory and, to the same result, in parts."""
    files = [node.write(folder) for node in nodes]
    result = correlate_captures(files)
    assert_same_in_parts(files, result)
    return result


def paths(result: Correlation) -> list[PacketPath]:
    return [result.path(number) for number in range(1, result.packets.count + 1)]


def step(hop: Hop) -> str:
    """One hop in a word: `eth0 in`, `PREROUTING`; with the node or container where it is not the root of the first."""
    where = "" if hop.netns == "root" else f"{hop.netns}:"
    return f"{where}{hop.chain}" if isinstance(hop, ChainHop) else f"{where}{hop.interface} {hop.direction}"


def steps(path: PacketPath) -> list[str]:
    return [step(hop) for hop in path.hops]


# --- a Docker host --------------------------------------------------------------------------------------------------

ETH0, DOCKER0, VETH = 2, 3, 5
IPTABLES_RULES = {
    "generation": 1,
    "nft": """table ip nat {
	chain DOCKER { # handle 1
		iifname "docker0" counter packets 0 bytes 0 return # handle 10
		iifname != "docker0" tcp dport 8080 counter packets 0 bytes 0 dnat to 172.17.0.2:80 # handle 11
	}
	chain POSTROUTING { # handle 2
		type nat hook postrouting priority srcnat; policy accept;
		oifname != "docker0" ip saddr 172.17.0.0/16 counter packets 0 bytes 0 masquerade # handle 12
	}
	chain PREROUTING { # handle 3
		type nat hook prerouting priority dstnat; policy accept;
		counter packets 0 bytes 0 jump DOCKER # handle 13
	}
}
table ip filter {
	chain FORWARD { # handle 1
		type filter hook forward priority filter; policy drop;
		ip daddr 203.0.113.9 counter packets 0 bytes 0 drop # handle 20
		counter packets 0 bytes 0 accept # handle 21
	}
	chain INPUT { # handle 2
		type filter hook input priority filter; policy accept;
	}
	chain OUTPUT { # handle 3
		type filter hook output priority filter; policy accept;
	}
}
""",
    "json": {
        "nftables": [
            {"chain": {"family": "ip", "table": table, "name": name, "type": table if table == "nat" else "filter",
                       "hook": name.lower(), "prio": prio, "policy": "accept"}}
            for table, name, prio in (("nat", "PREROUTING", -100), ("nat", "POSTROUTING", 100), ("filter", "FORWARD",
            0),
                                      ("filter", "INPUT", 0), ("filter", "OUTPUT", 0))
        ]
    },
    "iptables": {
        "ip": """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
[0:0] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
[0:0] -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
[0:0] -A DOCKER -i docker0 -j RETURN
[0:0] -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:FORWARD DROP [0:0]
[0:0] -A FORWARD -d 203.0.113.9/32 -j DROP
[0:0] -A FORWARD -j ACCEPT
COMMIT
""",
        "ip6": None,
    },
    "legacy": {"ip": None, "ip6": None},
    "consistent": True,
}  # fmt: skip
RETURN_RULE, DNAT_RULE, MASQUERADE_RULE, JUMP_RULE, DROP_RULE, ACCEPT_RULE = 10, 11, 12, 13, 20, 21
ACCEPT, DROP = 1, 0


def docker_host(
    name: str = "host", address: str = "192.0.2.1", *, bridge_nf: bool = True, inside: bool = False
) -> Node:
    """A Docker host with the container web1 (172.17.0.2); `inside`: captured in the container too."""
    node = Node(name)
    node.netns(bridge_nf=bridge_nf, ruleset=IPTABLES_RULES)
    node.interface("lo", 1, addresses=["127.0.0.1"])
    node.interface("eth0", ETH0, addresses=[address])
    node.interface("docker0", DOCKER0, kind="bridge", addresses=["172.17.0.1"])
    node.interface("veth1", VETH, kind="veth", master=DOCKER0, peer="web1")
    node.snapshot("containers", [{"id": "1", "name": "web1", "addresses": ["172.17.0.2"]}])
    if inside:
        node.interface("eth0", 2, netns="web1", kind="veth", peer="root", addresses=["172.17.0.2"])
    return node


LATER_US = 5_000_000
"""Well after what is judged."""


def keep_recording(*nodes: Node) -> None:
    """Something else is seen much later, so that no capture ends early."""
    for number, node in enumerate(nodes):
        packet = IP(src="127.0.0.1", dst="127.0.0.1", id=60_000 + number) / UDP(sport=60_000, dport=60_001)
        point = next(name for netns, name in node._interfaces if netns == "root")
        node.see(point, OUT, LATER_US, packet)
