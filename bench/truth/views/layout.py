"""Where the headers of a frame are. Of the outermost IP packet, and of the one that an ICMP error quotes."""

import struct
from dataclasses import dataclass

IPV4, IPV6, PPPOE = 0x0800, 0x86DD, 0x8864
VLAN_TAGS = (0x8100, 0x88A8, 0x9100)
ICMP, TCP, UDP, GRE, ICMPV6, SCTP, UDP_LITE = 1, 6, 17, 47, 58, 132, 136
PORTS = (TCP, UDP, UDP_LITE)
"""The protocols whose ports a box translates."""
IN_IP = (4, 41)
TUNNELS = (*IN_IP, GRE)
TUNNEL_PORTS = (4789, 8472, 6081, 2152, 3544)
EXTENSIONS, FRAGMENT = (0, 43, 60), 44
ETHERNET, NULL, LOOP, COOKED, COOKED_2 = 1, 0, 108, 113, 276
RAW = (12, 14, 101, 228, 229)
LEAST_KEPT = 8
"""Bytes of a transport header that an ICMP error quotes at least."""
CHECKSUM_AT = {TCP: 16, UDP: 6, UDP_LITE: 6, ICMP: 2, ICMPV6: 2}
ERRORS = {ICMP: (3, 4, 5, 11, 12), ICMPV6: (1, 2, 3, 4)}
ECHOES = {ICMP: (8, 0, 13, 14, 15, 16, 17, 18), ICMPV6: (128, 129)}
"""Types that have an identifier: request and answer first, then the others that nobody uses any more."""


@dataclass(slots=True)
class Layout:
    """Offsets are those in the frame."""

    at: int
    """Where the IP header begins."""
    version: int
    source: bytes
    destination: bytes
    protocol: int
    transport: int
    end: int
    """Of the packet, as far as it was kept."""
    length: int
    """Of the packet, as its header says."""
    hops: int
    identification: int = 0
    dont_fragment: bool = False
    offset: int = 0
    """Of a fragment, in bytes."""
    more: bool = False
    ports: tuple | None = None
    """(source, destination); twice the identifier of an echo."""
    kind: int = -1
    """ICMP type."""
    sequence: int = 0
    acknowledgment: int = 0
    flags: int = 0
    payload: int = 0
    """Bytes of TCP data, on the wire."""
    broken: bool = False
    """A TCP header of less than its least length."""
    quoted: "Layout | None" = None

    @property
    def addresses_at(self):
        """Where the source address stands; the other one follows."""
        return self.at + (12 if self.version == 4 else 8)

    @property
    def is_fragment(self):
        return bool(self.offset or self.more)

    @property
    def is_tunnel(self):
        """What ttrace may open, and tell of the packet inside."""
        return self.protocol in TUNNELS or (
            self.protocol == UDP and self.ports is not None and bool(set(self.ports) & set(TUNNEL_PORTS))
        )

    @property
    def is_error(self):
        return self.kind in ERRORS.get(self.protocol, ())

    @property
    def checksum_at(self):
        """Where the checksum of the transport header stands, None where it was not kept or there is none."""
        place = CHECKSUM_AT.get(self.protocol)
        if place is None or self.offset or self.transport + place + 2 > self.end:
            return None
        return self.transport + place


def find(data, link):
    """The layout of a frame, or None where it is not IP or too little was kept of it."""
    try:
        kind, at = _network(data, link)
        return _packet(data, at, len(data), quoted=False) if kind in (IPV4, IPV6) else None
    except (struct.error, IndexError):
        return None


def inside(layout, data):
    """The layout of the packet in an IP-in-IP tunnel, None where it is none."""
    if layout.protocol not in IN_IP or layout.offset:
        return None
    try:
        return _packet(data, layout.transport, layout.end, quoted=False)
    except (struct.error, IndexError):
        return None


def _network(data, link):
    """(EtherType, where its header begins)."""
    if link in RAW:
        return (IPV6 if data[0] >> 4 == 6 else IPV4), 0
    if link in (NULL, LOOP):
        return (IPV6 if data[4] >> 4 == 6 else IPV4), 4
    if link == COOKED:
        return struct.unpack_from("!H", data, 14)[0], 16
    if link == COOKED_2:
        return struct.unpack_from("!H", data)[0], 20
    if link != ETHERNET:
        return 0, 0
    at = 12
    (kind,) = struct.unpack_from("!H", data, at)
    while kind in VLAN_TAGS:
        at += 4
        (kind,) = struct.unpack_from("!H", data, at)
    if kind == PPPOE:
        return {0x0021: IPV4, 0x0057: IPV6}.get(struct.unpack_from("!H", data, at + 8)[0], 0), at + 10
    return kind, at + 2


def _packet(data, at, end, *, quoted):
    version = data[at] >> 4
    if version == 4:
        found = _ipv4(data, at, end, quoted)
    elif version == 6:
        found = _ipv6(data, at, end, quoted)
    else:
        return None
    if found is not None and not found.offset:
        _transport(data, found, quoted)
    return found


def _ipv4(data, at, end, quoted):
    total, identification, fragment = struct.unpack_from("!HHH", data, at + 2)
    size = (data[at] & 15) * 4
    if size < 20 or at + size > end:
        return None
    total = total or end - at  # an offloaded super-packet
    return Layout(
        at, 4, data[at + 12 : at + 16], data[at + 16 : at + 20], data[at + 9], at + size,
        end if quoted else min(end, at + total), total, data[at + 8], identification,
        bool(fragment & 0x4000), (fragment & 0x1FFF) * 8, bool(fragment & 0x2000),
    )  # fmt: skip


def _ipv6(data, at, end, quoted):
    if at + 40 > end:
        return None
    size, protocol, hops = struct.unpack_from("!HBB", data, at + 4)
    stop = end if quoted else min(end, at + 40 + (size or end))
    found = Layout(at, 6, data[at + 8 : at + 24], data[at + 24 : at + 40], protocol, at + 40, stop, 40 + size, hops)
    while found.protocol in (*EXTENSIONS, FRAGMENT) and not found.offset:
        here = found.transport
        if found.protocol == FRAGMENT:
            offset, found.identification = struct.unpack_from("!HI", data, here + 2)
            found.offset, found.more = offset & 0xFFF8, bool(offset & 1)
        length = 8 if found.protocol == FRAGMENT else 8 + data[here + 1] * 8
        found.protocol, found.transport = data[here], here + length
    return found


def _transport(data, found, quoted):
    at, protocol = found.transport, found.protocol
    if at + LEAST_KEPT > found.end:
        return
    if protocol in (*PORTS, SCTP):
        found.ports = struct.unpack_from("!HH", data, at)
        if protocol == TCP and at + 14 <= found.end:
            found.sequence, found.acknowledgment, size, found.flags = struct.unpack_from("!IIBB", data, at + 4)
            found.broken = size >> 4 < 5
            found.payload = max(found.length - (at - found.at) - (size >> 4) * 4, 0)
        elif protocol == TCP:
            (found.sequence,) = struct.unpack_from("!I", data, at + 4)
    elif protocol in ERRORS:
        found.kind = data[at]
        if found.kind in ECHOES[protocol]:
            (identifier,) = struct.unpack_from("!H", data, at + 4)
            found.ports = (identifier, identifier)
            (found.sequence,) = struct.unpack_from("!H", data, at + 6)
        elif found.is_error and not quoted and at + LEAST_KEPT + 20 <= found.end:
            found.quoted = _packet(data, at + LEAST_KEPT, found.end, quoted=True)
