"""Conntrack of one namespace: its entries, and how their translations change a packet."""

from dataclasses import dataclass, field, replace
from random import Random

from .packets import ECHO_REPLY, ICMP, ICMPV6, Packet

SOURCE_NAT, DESTINATION_NAT, SEEN_REPLY, CONFIRMED = 0x10, 0x20, 0x2, 0x8
"""ip_conntrack_status of linux/netfilter/nf_conntrack_common.h."""

OTHER_END = {"source": "destination", "destination": "source"}

Ends = tuple[int, str, int, str, int]
"""Protocol, source, its port, destination, its port."""


@dataclass(eq=False, slots=True, kw_only=True)
class Entry:
    """A connection as conntrack sees it: how a packet of each direction comes in."""

    number: int
    """CTA_ID."""
    original: Ends
    reply: Ends
    status: int = 0
    bound: set[str] = field(default_factory=set)
    """`source`, `destination`: whether there is a translation is decided, by a rule or because none matched."""
    makers: dict[str, tuple[str, tuple[str, str, str, int] | None]] = field(default_factory=dict)
    """The same to (masquerade, snat, dnat, redirect; family, table, chain and handle of the rule)."""

    @property
    def confirmed(self) -> bool:
        return bool(self.status & CONFIRMED)

    def translate(self, end: str, address: str, port: int) -> None:
        """Bind the `source` or `destination` of the original direction to something else."""
        protocol, source, source_port, destination, destination_port = self.reply
        if protocol in (ICMP, ICMPV6):
            source_port = destination_port = port
        if end == "source":
            self.reply = (protocol, source, source_port, address, port)
            self.status |= SOURCE_NAT
        else:
            self.reply = (protocol, address, port, destination, destination_port)
            self.status |= DESTINATION_NAT


def inverted(ends: Ends) -> Ends:
    """The way back."""
    protocol, source, source_port, destination, destination_port = ends
    return protocol, destination, destination_port, source, source_port


@dataclass(eq=False, slots=True, kw_only=True)
class Conntrack:
    """The table of a namespace."""

    random: Random
    entries: dict[Ends, tuple[Entry, int]] = field(default_factory=dict)
    """How a packet comes in to its entry and direction: 0 original, 1 reply."""

    def find(self, packet: Packet) -> tuple[Entry, int] | None:
        """The entry of a packet; an ICMP error goes against the packet it is about."""
        if packet.about is not None:
            return self.entries.get(inverted(packet.about.ends()))
        return self.entries.get(packet.ends())

    def track(self, packet: Packet) -> tuple[Entry, int] | None:
        """The same, with a new entry where there is none; None for what belongs to nothing."""
        found = self.find(packet)
        if found is not None or packet.is_error:
            return found
        if packet.protocol in (ICMP, ICMPV6) and packet.icmp == ECHO_REPLY[packet.version]:
            return None
        ends = packet.ends()
        entry = Entry(number=self.random.randrange(1, 2**32), original=ends, reply=inverted(ends))
        self.entries[ends] = entry, 0
        return entry, 0

    def confirm(self, entry: Entry) -> None:
        entry.status |= CONFIRMED
        self.entries[entry.reply] = entry, 1

    def forget(self, entry: Entry) -> None:
        """A first packet that was dropped leaves nothing."""
        for ends in (entry.original, entry.reply):
            if self.entries.get(ends, (None,))[0] is entry:
                del self.entries[ends]

    def is_free(self, reply: Ends) -> bool:
        return reply not in self.entries


def translated(packet: Packet, entry: Entry, direction: int, end: str) -> Packet:
    """The packet with what conntrack makes of its `source` or `destination`; in an ICMP error, the other end of the
    packet it is about changes with it, for that travelled the other way."""
    _, source, source_port, destination, destination_port = inverted(entry.reply if direction == 0 else entry.original)
    address, port = (source, source_port) if end == "source" else (destination, destination_port)
    if packet.about is None:
        return _moved(packet, end, address, port)
    return replace(packet, **{end: address}, about=_moved(packet.about, OTHER_END[end], address, port))


def is_translated(entry: Entry, direction: int, end: str) -> bool:
    """Whether that changes anything: what is done to the source of one direction, is undone to the destination of the
    other."""
    made = end if direction == 0 else OTHER_END[end]
    return bool(entry.status & (SOURCE_NAT if made == "source" else DESTINATION_NAT))


def _moved(packet: Packet, end: str, address: str, port: int) -> Packet:
    """An echo has one identifier for both ports."""
    ports = {"source_port": port, "destination_port": port}
    if packet.protocol not in (ICMP, ICMPV6):
        ports = {f"{end}_port": port}
    return replace(packet, **{end: address}, **ports)
