"""Which packet each frame is, from the marks of the senders and the log of the wire. No code of ttrace is used.

A packet's key is its mark; of a TCP segment its connection (known by the marks of its messages), sequence and
acknowledgment number, flags and length. What has the same key, at one point and under the same addresses, is told apart
by its turn: nothing but the wire changes an order, and the wire says what it did. A later fragment belongs to the
datagram whose first fragment has the same identification and addresses at that point. Frames without a mark and outside
any TCP connection (neighbour discovery and the like) have no key and are not counted, and neither are those whose turn
tells nothing because a router kept some of their equals.
"""

import ipaddress
import json
import struct
from collections import Counter, defaultdict
from dataclasses import dataclass, replace

from . import marks
from .clock import COOKED, ETHERNET, RAW_IP, WHOLE, read_pcap

SYN, ACK = 2, 16
SERVER_PORTS = ("53", "8000", "9000")
IPV4, IPV6, BRIDGED = 0x0800, 0x86DD, 0x6558
"""EtherTypes; the last is that of an Ethernet frame in a tunnel."""
ICMP, IPIP, TCP, UDP, IP6IP, GRE, ICMPV6, UDP_LITE = 1, 4, 6, 17, 41, 47, 58, 136
PORTS = (TCP, UDP, UDP_LITE)
"""The protocols that have them."""
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS = 0, 43, 44, 60
VXLAN_PORT, GENEVE_PORT, SEALED_PORT = 4789, 6081, 51820
OUTGOING = 4
TTL_EXCEEDED = ((ICMP, (11, 0)), (ICMPV6, (3, 0)))


@dataclass(frozen=True)
class Header:
    """What the truth needs of a frame; of the inner one in a tunnel."""

    protocol: int
    source: str
    destination: str
    payload: bytes
    sequence: int = 0
    acknowledgment: int = 0
    flags: int = 0
    icmp: tuple = ()
    addressed: int = 0
    """Bytes of the frame up to the end of the addresses, and up to the transport header."""
    at: int = 0
    identification: int | None = None
    """Of a fragment."""
    offset: int = 0


@dataclass(frozen=True)
class Frame:
    """One captured frame and what it is in truth."""

    file: int
    number: int
    """Wireshark's."""
    time_ns: int
    header: Header | None
    packet: tuple | None
    """The same for all frames of one packet; None when it does not count."""
    forward: bool = True
    """From client to server."""
    segment: tuple | None = None
    """(connection, forward, first byte, length) of TCP data: it may be cut differently elsewhere."""
    piece: int | None = None
    """Where a fragment begins in its datagram."""


def endpoint(address, port=None):
    text = str(ipaddress.ip_address(address))
    return text if port is None else f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


def address_of(end):
    """Without its port."""
    return end.rpartition(":")[0].strip("[]")


def parse_frame(data, link):
    """Where at its point a frame was seen, and its header or None.

    Where: between which stations; with `tcpdump -i any`, at which interface and whether outgoing.
    """
    if link == COOKED:
        kind, _, interface, _, direction = struct.unpack_from("!HHIHB", data)
        return (interface, direction == OUTGOING), parse(kind, data, 20)
    if link == RAW_IP:
        return (), parse(IPV6 if data[0] >> 4 == 6 else IPV4, data, 0)
    assert link == ETHERNET, link
    return data[:12], parse(BRIDGED, data, 0)


def parse(kind, data, at):
    """The header of what has this EtherType and begins at this byte, or None."""
    if kind == BRIDGED:
        return parse(*struct.unpack_from("!H", data, at + 12), data, at + 14)
    if kind == IPV4:
        size, total, identification, fragment = (data[at] & 15) * 4, *struct.unpack_from("!HHH", data, at + 2)
        piece = (identification, (fragment & 0x1FFF) * 8) if fragment & 0x3FFF else (None, 0)
        ends = data[at + 12 : at + 16], data[at + 16 : at + 20]
        return parse_transport(data[at + 9], ends, data[: at + total], at + 20, at + size, piece)
    if kind == IPV6:
        end = at + 40 + struct.unpack_from("!H", data, at + 4)[0]
        ends = data[at + 8 : at + 24], data[at + 24 : at + 40]
        protocol, addressed, at, piece = data[at + 6], at + 40, at + 40, (None, 0)
        while protocol in (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS) and not piece[1]:
            size = 8 if protocol == FRAGMENT else 8 + data[at + 1] * 8
            if protocol == FRAGMENT:
                offset, identification = struct.unpack_from("!HI", data, at + 2)
                piece = (identification, offset & 0xFFF8)
            protocol, at = data[at], at + size
        return parse_transport(protocol, ends, data[:end], addressed, at, piece)
    return None


def parse_transport(protocol, addresses, data, addressed, at, piece):
    """The header of an IP packet, whose content begins at this byte; of the packet inside when it is a tunnel's."""
    common = {"addressed": addressed, "at": at, "identification": piece[0], "offset": piece[1]}
    source, destination = addresses
    rest = data[at:]
    if piece[1]:
        return Header(protocol, endpoint(source), endpoint(destination), rest, **common)
    if protocol in (IPIP, IP6IP):
        return parse(IPV4 if protocol == IPIP else IPV6, data, at)
    if protocol == GRE:
        flags, kind = struct.unpack_from("!HH", rest)
        return parse(kind, data, at + 4 + 4 * (flags >> 12 & 0b1011).bit_count())
    if protocol in PORTS:
        ports = struct.unpack_from("!HH", rest)
        ends = endpoint(source, ports[0]), endpoint(destination, ports[1])
        if protocol == TCP:
            sequence, acknowledgment, size, flags = struct.unpack_from("!IIBB", rest, 4)
            return Header(TCP, *ends, rest[(size >> 4) * 4 :], sequence, acknowledgment, flags, **common)
        if ports[1] == VXLAN_PORT:
            return parse(BRIDGED, data, at + 16)
        if ports[1] == GENEVE_PORT:
            return parse(*struct.unpack_from("!H", rest, 10), data, at + 16 + (rest[8] & 63) * 4)
        return Header(protocol, *ends, rest[8:], **common)
    icmp = tuple(rest[:2]) if protocol in (ICMP, ICMPV6) else ()
    return Header(protocol, endpoint(source), endpoint(destination), rest, icmp=icmp, **common)


class Sessions:
    """TCP connections, known by the initial sequence number of the client, and by marks where there are any.

    NAT leaves both alone. A session of which no SYN was seen has no name, and its packets do not count.
    """

    def __init__(self):
        self._open = {}
        self._client = {}

    def see(self, point, header):
        """(connection, forward) of a segment, or None. To be called in the order of the point."""
        pair = (point, *sorted((header.source, header.destination)))
        if header.flags & SYN:
            answer = bool(header.flags & ACK)
            initial = (header.acknowledgment - 1) % 2**32 if answer else header.sequence
            self._open[pair] = initial
            self._client[pair] = header.destination if answer else header.source
        if pair not in self._open:
            return None
        return self._open[pair], header.source == self._client[pair]


def key_of(header, point, sessions):
    """(key, forward, segment) of a packet, or None when it does not count."""
    if header is None:
        return None
    if header.protocol == TCP:
        session = sessions.see(point, header)
        if session is None:
            return None
        size = len(header.payload)
        segment = (*session, header.sequence, size) if size else None
        return ("tcp", *session, header.sequence, header.acknowledgment, header.flags, size), session[1], segment
    if header.protocol == UDP and header.destination.endswith(f":{SEALED_PORT}"):
        # A sender of its own counts them.
        return ("sealed", (header.source, header.payload[:12])), True, None
    found = marks.MARK.search(header.payload)
    if found is not None:
        is_client = found[1] == b"c"
        if header.protocol in (UDP, UDP_LITE):
            # An echo server sends the client's mark back.
            request = is_client and header.source.rpartition(":")[2] not in SERVER_PORTS
            return ("udp", found[0], request), request, None
        if header.icmp in ((8, 0), (0, 0), (128, 0), (129, 0)):
            request = header.icmp[0] in (8, 128)
            return ("ping", found[0], request), request, None
        return ("error", found[0], header.icmp), not is_client, None
    if header.protocol == UDP and header.payload in (marks.IDENTICAL, marks.QUERY, marks.RESULT):
        # Its client chose the port and has it for itself, so MASQUERADE leaves it.
        request = header.payload != marks.RESULT
        client = header.source if request else header.destination
        return ("identical", client.rpartition(":")[2], request), request, None
    return None


def deliveries(log):
    """(from, key) -> for each copy that came out of the wire, in order: (turn among its equals, copy)."""
    if log is None:
        return None
    sessions = Sessions()
    seen = Counter()
    copies = defaultdict(list)
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        found = key_of(parse(BRIDGED, bytes.fromhex(entry["frame"]), 0), "wire", sessions)
        if found is None:
            continue
        key = (entry["from"], found[0])
        for copy, number in enumerate(entry["became"]):
            copies[key].append((number, (seen[key], copy)))
        if not entry["became"]:
            copies[key] += []
        seen[key] += 1
    return {key: [which for _, which in sorted(found)] for key, found in copies.items()}


def read_frames(files, log=None, spans=None):
    """The frames of every file ({`NODE/INTERFACE`: path}), in the order of the files.

    `spans`: point -> the parts of its recording that are measured, each a file. What a frame is, the whole one shows.
    """
    wire = deliveries(log)
    sessions = Sessions()
    recordings = {point: read_pcap(path) for point, path in files.items()}
    times = [record.time_ns for _, records in recordings.values() for record in records]
    turns = defaultdict(set)
    found = []
    files_before = 0
    for point, (link, records) in recordings.items():
        frames = list(_frames_of(point, link, records, sessions, wire, turns))
        for span in (spans or {}).get(point, WHOLE):
            kept = span.cut(frames, min(times), max(times))
            found += [replace(frame, file=files_before, number=number) for number, frame in enumerate(kept, 1)]
            files_before += 1
    if wire is None:
        unsure = {key for key, counts in turns.items() if len(counts) > 1}
        found = [replace(f, packet=None) if f.packet is not None and f.packet[0] in unsure else f for f in found]
    return found


def _frames_of(point, link, records, sessions, wire, turns):
    """The frames of one recording; `turns` gets, for each key, how often a place saw it."""
    seen = Counter()
    first_fragments = {}
    for number, record in enumerate(records, 1):
        assert record.length == len(record.data), f"{point} holds a part of frame {number}"
        place, header = parse_frame(record.data, link)
        frame = Frame(0, number, record.time_ns, header, None)
        if header is not None and header.offset:
            datagram = (place, header.source, header.destination, header.protocol, header.identification)
            first = first_fragments.get(datagram, frame)
            yield replace(first, number=number, time_ns=record.time_ns, piece=header.offset)
            continue
        found = key_of(header, (point, place), sessions)
        if found is not None:
            key, forward, segment = found
            turn = (key, header.source, header.destination, place)
            which = (seen[turn], 0)
            seen[turn] += 1
            far = "b" if point.startswith("a") else "a"
            if wire is not None and (far, key) in wire:
                came = wire[far, key]
                which = came[which[0]] if which[0] < len(came) else ("not on the wire", point, which)
            frame = replace(frame, packet=(key, which), forward=forward, segment=segment)
        if header is not None and header.identification is not None:
            frame = replace(frame, piece=0)
            ends = (header.source, header.destination)
            if header.protocol in PORTS:
                ends = (address_of(end) for end in ends)
            first_fragments[place, *ends, header.protocol, header.identification] = frame
        yield frame
    for (key, *_), count in seen.items():
        turns[key].add(count)


def lost_packets(frames, log, drop=None):
    """The packets that went into the wire and did not come out, those whose hops ran out, and those that were at the
    first of the two files of `drop`, between which a rule drops packets, and not at the other.
    """
    wire = deliveries(log) or {}
    arrived = {(key, which) for (_, key), copies in wire.items() for which in copies}
    crossing = {key for _, key in wire}
    counted = [frame for frame in frames if frame.packet is not None]
    expired = {f.packet[0][1] for f in counted if (f.header.protocol, f.header.icmp) in TTL_EXCEEDED}
    lost = {f.packet for f in counted if f.packet[0][0] != "error" and f.packet[0][1] in expired}
    if drop:
        before, behind = ({f.packet for f in counted if f.file == file and f.forward} for file in drop)
        lost |= before - behind
    return lost | {f.packet for f in counted if f.packet[0] in crossing} - arrived
