"""IP packets: what one says at some point of its way, and its bytes there."""

import struct
from dataclasses import dataclass, replace

from .addresses import packed, version_of

ICMP, IPIP, TCP, UDP, GRE, ICMPV6 = 1, 4, 6, 17, 47, 58
"""IANA protocol numbers."""
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ECHO_REQUEST, ECHO_REPLY = {4: (8, 0), 6: (128, 0)}, {4: (0, 0), 6: (129, 0)}
"""ICMP type and code by IP version (RFC 792, 4443)."""
PORT_UNREACHABLE, TIME_EXCEEDED = {4: (3, 3), 6: (1, 4)}, {4: (11, 0), 6: (3, 0)}
QUOTED = 120
"""Bytes of a packet that an ICMP error about it carries; Linux gives more, routers as few as 28."""
MTU = 1500
MSS = {4: MTU - 52, 6: MTU - 72}
"""Of TCP with the timestamp option (RFC 7323)."""
_FRAGMENT_HEADER = 44
"""Next header value of IPv6 fragments (RFC 8200, 4.5)."""
_MORE = 0x2000
_DONT_FRAGMENT = 0x4000
VXLAN_PORT = 4789
_VXLAN_FLAGS = 0x08000000
_ETHERTYPE = {4: 0x0800, 6: 0x86DD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """An IP packet. NAT, routers and tunnels make another one of it by `replace`."""

    protocol: int
    source: str
    destination: str
    source_port: int = 0
    """ICMP echo: the identifier, at both ends of a request as of a reply."""
    destination_port: int = 0
    ip_id: int = 0
    ttl: int = 64
    sequence: int = 0
    """Of TCP, or of an ICMP echo."""
    acknowledgment: int = 0
    flags: int = 0
    window: int = 0
    icmp: tuple[int, int] = (0, 0)
    payload: bytes = b""
    about: "Packet | None" = None
    """The packet that an ICMP error is about, as the sender of the error saw it."""

    @property
    def version(self) -> int:
        return version_of(self.source)

    @property
    def size(self) -> int:
        """Bytes of TCP data."""
        return len(self.payload)

    @property
    def is_error(self) -> bool:
        return self.about is not None

    def ends(self) -> tuple[int, str, int, str, int]:
        """What conntrack knows it by."""
        return self.protocol, self.source, self.source_port, self.destination, self.destination_port

    def content(self) -> tuple:
        """What neither NAT nor a router changes, but for the payload: what no two packets share is no one packet."""
        about = (self.about.protocol, self.about.ip_id, self.about.sequence) if self.about else ()
        numbers = self.sequence, self.acknowledgment, self.flags, self.window
        return self.protocol, self.version, self.ip_id, numbers, self.icmp, about


def _sum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    return sum(struct.unpack(f">{len(data) // 2}H", data))


def _folded(total: int) -> int:
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _pseudo_header(packet: Packet, length: int) -> bytes:
    ends = packed(packet.source) + packed(packet.destination)
    return ends + struct.pack(">II", length, packet.protocol)


def _transport(packet: Packet, *, partial: bool) -> bytes:
    """Header and payload. `partial`: the checksum is left to the hardware, and is that of the pseudo header so far."""
    ports = struct.pack(">HH", packet.source_port, packet.destination_port)
    if packet.protocol == TCP:
        options = b"\2\4\5\xb4" if packet.flags & SYN else b"\1\1\x08\x0a" + struct.pack(">II", packet.sequence, 7)
        length = 20 + len(options)
        numbers = struct.pack(">II", packet.sequence, packet.acknowledgment)
        rest = struct.pack(">BBHHH", length << 2, packet.flags, packet.window, 0, 0)
        data, at = ports + numbers + rest + options + packet.payload, 16
    elif packet.protocol == UDP:
        data, at = ports + struct.pack(">HH", 8 + packet.size, 0) + packet.payload, 6
    elif packet.protocol in (ICMP, ICMPV6):
        quoted = encoded(packet.about)[:QUOTED] if packet.about else b""
        rest = bytes(4) if packet.about else struct.pack(">HH", packet.source_port, packet.sequence & 0xFFFF)
        data, at = bytes([*packet.icmp, 0, 0]) + rest + quoted + packet.payload, 2
    else:
        return packet.payload
    pseudo = b"" if packet.protocol == ICMP else _pseudo_header(packet, len(data))
    offloaded = partial and packet.protocol in (TCP, UDP)
    checksum = _folded(_sum(pseudo)) if offloaded else 0xFFFF ^ _folded(_sum(pseudo) + _sum(data))
    return data[:at] + struct.pack(">H", checksum or 0xFFFF) + data[at + 2 :]


def _network(packet: Packet, length: int, fragment: int | None) -> bytes:
    """The IP header; `fragment`: flags and offset field, None for a whole."""
    ends = packed(packet.source) + packed(packet.destination)
    if packet.version == 6:
        protocol = packet.protocol if fragment is None else _FRAGMENT_HEADER
        header = struct.pack(">IHBB", 0x60000000, length, protocol, packet.ttl) + ends
        if fragment is not None:
            # The flag is the lowest bit here, and offsets are not shifted.
            field = ((fragment & 0x1FFF) << 3) | bool(fragment & _MORE)
            header += struct.pack(">BBHI", packet.protocol, 0, field, 0x51F00000 | packet.ip_id)
        return header
    field = (_DONT_FRAGMENT if packet.protocol == TCP else 0) if fragment is None else fragment
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, packet.ip_id, field, packet.ttl, packet.protocol, 0) + ends
    return head[:10] + struct.pack(">H", 0xFFFF ^ _folded(_sum(head))) + head[12:]


def encoded(packet: Packet, *, partial: bool = False) -> bytes:
    """The bytes of the whole packet."""
    body = _transport(packet, partial=partial)
    return _network(packet, len(body), None) + body


def frames(packet: Packet, *, partial: bool = False) -> list[bytes]:
    """The bytes of the packet, in fragments where it is a datagram larger than the MTU; TCP is left to GSO."""
    body = _transport(packet, partial=partial and len(packet.payload) <= MTU - 28)
    header = 20 if packet.version == 4 else 48
    if packet.protocol == TCP or len(body) + header - (8 if packet.version == 6 else 0) <= MTU:
        return [_network(packet, len(body), None) + body]
    room = (MTU - header) & ~7
    pieces = []
    for at in range(0, len(body), room):
        part = body[at : at + room]
        field = (at >> 3) | (_MORE if at + room < len(body) else 0)
        pieces.append(_network(packet, len(part) + (8 if packet.version == 6 else 0), field) + part)
    return pieces


def ethernet(data: bytes, source: bytes, destination: bytes) -> bytes:
    """An Ethernet frame around an IP packet."""
    return destination + source + struct.pack(">H", _ETHERTYPE[data[0] >> 4]) + data


def vxlan(outer: Packet, inner: bytes, network: int) -> Packet:
    """The datagram around an Ethernet frame (RFC 7348)."""
    header = struct.pack(">II", _VXLAN_FLAGS, network << 8)
    return replace(outer, protocol=UDP, destination_port=VXLAN_PORT, payload=header + inner)


def gre(outer: Packet, inner: bytes) -> Packet:
    """The datagram around an IP packet (RFC 2784)."""
    return replace(outer, protocol=GRE, payload=struct.pack(">HH", 0, _ETHERTYPE[inner[0] >> 4]) + inner)


def ipip(outer: Packet, inner: bytes) -> Packet:
    """The same without a header between them (RFC 2003)."""
    return replace(outer, protocol=IPIP, payload=inner)
