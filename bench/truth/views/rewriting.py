"""What a box does to the bytes of a packet: addresses, ports, time to live, checksums, fragments."""

import struct

from .layout import ECHOES, ETHERNET, ICMP, ICMPV6, PORTS, UDP, find


def folded(total):
    """A ones' complement sum in 16 bits."""
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def words(data):
    """The sum of big-endian 16-bit words."""
    if len(data) % 2:
        data = bytes(data) + b"\0"
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


def pseudo_sum(layout, source, destination):
    """Of the pseudo header: what the checksum field holds while the rest is left to the card."""
    size = layout.length - (layout.transport - layout.at if layout.version == 4 else 40)
    return folded(words(source) + words(destination) + layout.protocol + (size >> 16) + (size & 0xFFFF))


class Packet:
    """The bytes of a frame while they are rewritten, with the checksums kept right (RFC 1624) or offloaded."""

    def __init__(self, data, layout):
        self.data = bytearray(data)
        self.layout = layout
        self._offloaded = False
        if layout.checksum_at is not None and layout.protocol in PORTS:
            self._offloaded = self._field(layout.checksum_at) == pseudo_sum(layout, layout.source, layout.destination)

    def _field(self, at):
        return struct.unpack_from("!H", self.data, at)[0]

    def _adjust(self, at, old, new, *, udp=False):
        """The checksum at `at` for bytes that were `old` and are `new`."""
        check = self._field(at)
        if udp and check == 0:
            return
        check = ~folded((~check & 0xFFFF) + sum(~w & 0xFFFF for w in _split(old)) + words(new)) & 0xFFFF
        struct.pack_into("!H", self.data, at, check or (0xFFFF if udp else 0))

    def _change(self, at, new, *, sums):
        old = bytes(self.data[at : at + len(new)])
        if old == new or at + len(new) > len(self.data):
            return
        self.data[at : at + len(new)] = new
        for place, udp in sums:
            self._adjust(place, old, new, udp=udp)

    def _sums(self, layout, *, addresses, network):
        """The checksums that cover the addresses, or the ports."""
        found = [(layout.at + 10, False)] if network and layout.version == 4 else []
        at = layout.checksum_at
        offloaded = self._offloaded and layout is self.layout
        if at is not None and not offloaded and not (addresses and layout.protocol == ICMP):
            found.append((at, layout.protocol == UDP))
        return found

    def hops(self, value):
        """Set the time to live."""
        if self.layout.version == 6:
            self.data[self.layout.at + 7] = value
            return
        new = bytes((value, self.data[self.layout.at + 9]))
        self._change(self.layout.at + 8, new, sums=[(self.layout.at + 10, False)])

    def identification(self, value):
        """Set that of IPv4."""
        at = self.layout.at
        self._change(at + 4, struct.pack("!H", value), sums=[(at + 10, False)])

    def ends(self, source, destination, layout=None, outer=()):
        """Set ((address, port), (address, port)); a port of None is left. `outer`: checksums that cover all this."""
        layout = layout or self.layout
        at, size = layout.addresses_at, len(layout.source)
        for place, (address, _) in ((at, source), (at + size, destination)):
            self._change(place, address, sums=[*self._sums(layout, addresses=True, network=True), *outer])
        if layout.ports is not None and layout.protocol in PORTS:
            sums = [*self._sums(layout, addresses=False, network=False), *outer]
            for place, (_, port) in ((layout.transport, source), (layout.transport + 2, destination)):
                if port is not None:
                    self._change(place, struct.pack("!H", port), sums=sums)
        elif layout.kind in ECHOES.get(layout.protocol, ()):
            # The client's end has the identifier, and an answer has it as its destination.
            changed = [port for _, port in (source, destination) if port not in (None, layout.ports[0])]
            sums = [*self._sums(layout, addresses=False, network=False), *outer]
            for identifier in changed[:1]:
                self._change(layout.transport + 4, struct.pack("!H", identifier), sums=sums)
        if self._offloaded and layout is self.layout:
            self.offload(source[0], destination[0])

    def quoted_ends(self, source, destination):
        """The same of the packet that an ICMP error quotes; the checksum of the error covers it."""
        at = self.layout.checksum_at
        outer = [] if at is None else [(at, False)]
        inner = self.layout.quoted
        before = bytes(self.data[inner.at :])
        self.ends(source, destination, inner)
        if outer:
            after = bytes(self.data[inner.at :])
            self._adjust(at, before, after)

    def offload(self, source, destination):
        """Leave the checksum to the card."""
        at = self.layout.checksum_at
        if at is None or self.layout.protocol not in PORTS or self._field(at) == 0:
            return
        struct.pack_into("!H", self.data, at, pseudo_sum(self.layout, source, destination))

    def stations(self, link, destination, source):
        """Set the Ethernet addresses."""
        if link == ETHERNET:
            self.data[:12] = destination + source


def _split(data):
    data = bytes(data) + b"\0" * (len(data) % 2)
    return struct.unpack(f"!{len(data) // 2}H", data)


def fragments(data, link, mtu):
    """An IPv4 frame of which all was kept, in fragments of at most `mtu` bytes: [(data, length)]."""
    layout = find(data, link)
    head, body = data[: layout.transport], data[layout.transport : layout.at + layout.length]
    step = (mtu - (layout.transport - layout.at)) // 8 * 8
    made = []
    for begin in range(0, len(body), step):
        part = body[begin : begin + step]
        last = begin + step >= len(body)
        frame = bytearray(head + part)
        word = (layout.offset + begin) // 8 | (0 if last and not layout.more else 0x2000)
        struct.pack_into("!H", frame, layout.at + 2, layout.transport - layout.at + len(part))
        struct.pack_into("!HH", frame, layout.at + 6, word, struct.unpack_from("!H", frame, layout.at + 8)[0])
        struct.pack_into("!H", frame, layout.at + 10, 0)
        check = ~folded(words(frame[layout.at : layout.transport])) & 0xFFFF
        struct.pack_into("!H", frame, layout.at + 10, check)
        made.append((bytes(frame), len(frame)))
    return made


def can_fragment(layout, kept, length, mtu):
    """Whether a router may, and we can: IPv4, all of it kept, longer than that, no tunnel."""
    whole = kept == length and layout.end == layout.at + layout.length
    allowed = layout.version == 4 and not layout.dont_fragment and not layout.is_error
    return allowed and whole and layout.length > mtu and not layout.is_tunnel and layout.protocol != ICMPV6
