"""Which packet each frame is, from the marks of the senders and the log of the wire. No code of ttrace is used.

A packet's key is its mark; of a TCP segment its connection (known by the marks of its messages), sequence and
acknowledgment number, flags and length. What has the same key, at one point and under the same addresses, is told apart
by its turn: nothing but the wire changes an order, and the wire says what it did. Frames without a mark and outside any
marked TCP connection (neighbour discovery and the like) have no key and are not counted.
"""

import ipaddress
import json
import struct
from collections import Counter, defaultdict
from dataclasses import dataclass

from . import marks
from .clock import read_pcap

SYN, ACK = 2, 16
SERVER_PORTS = ("8000", "9000")


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


def endpoint(address, port=None):
    text = str(ipaddress.ip_address(address))
    return text if port is None else f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


def parse(data):
    """The header of an Ethernet frame, or None."""
    kind, data = data[12:14], data[14:]
    if kind == b"\x08\x00":
        size, total = (data[0] & 15) * 4, struct.unpack_from("!H", data, 2)[0]
        protocol, source, destination, rest = data[9], data[12:16], data[16:20], data[size:total]
    elif kind == b"\x86\xdd":
        total = struct.unpack_from("!H", data, 4)[0]
        protocol, source, destination, rest = data[6], data[8:24], data[24:40], data[40 : 40 + total]
    else:
        return None
    if protocol in (6, 17):
        ports = struct.unpack_from("!HH", rest)
        ends = endpoint(source, ports[0]), endpoint(destination, ports[1])
        if protocol == 17:
            return parse(rest[16:]) if ports[1] == 4789 else Header(17, *ends, rest[8:])
        sequence, acknowledgment, offset, flags = struct.unpack_from("!IIBB", rest, 4)
        return Header(6, *ends, rest[(offset >> 4) * 4 :], sequence, acknowledgment, flags)
    icmp = tuple(rest[:2]) if protocol in (1, 58) else ()
    return Header(protocol, endpoint(source), endpoint(destination), rest, icmp=icmp)


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
    if header.protocol == 6:
        session = sessions.see(point, header)
        if session is None:
            return None
        size = len(header.payload)
        segment = (*session, header.sequence, size) if size else None
        return ("tcp", *session, header.sequence, header.acknowledgment, header.flags, size), session[1], segment
    found = marks.MARK.search(header.payload)
    if found is not None:
        is_client = found[1] == b"c"
        if header.protocol == 17:
            # An echo server sends the client's mark back.
            request = is_client and header.source.rpartition(":")[2] not in SERVER_PORTS
            return ("udp", found[0], request), request, None
        if header.icmp in ((8, 0), (0, 0), (128, 0), (129, 0)):
            request = header.icmp[0] in (8, 128)
            return ("ping", found[0], request), request, None
        return ("error", found[0], header.icmp), not is_client, None
    if header.protocol == 17 and header.payload == marks.IDENTICAL:
        # Its client chose the port and has it for itself, so MASQUERADE leaves it.
        return ("identical", header.source.rpartition(":")[2]), True, None
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
        found = key_of(parse(bytes.fromhex(entry["frame"])), "wire", sessions)
        if found is None:
            continue
        key = (entry["from"], found[0])
        for copy, number in enumerate(entry["became"]):
            copies[key].append((number, (seen[key], copy)))
        if not entry["became"]:
            copies[key] += []
        seen[key] += 1
    return {key: [which for _, which in sorted(found)] for key, found in copies.items()}


def read_frames(files, log=None):
    """The frames of every file ({`NODE/INTERFACE`: path}), in the order of the files."""
    wire = deliveries(log)
    sessions = Sessions()
    frames = []
    for index, (point, path) in enumerate(files.items()):
        seen = Counter()
        for number, record in enumerate(read_pcap(path), 1):
            assert record.length == len(record.data), f"{path} holds a part of frame {number}"
            header = parse(record.data)
            found = key_of(header, point, sessions)
            if found is None:
                frames.append(Frame(index, number, record.time_ns, header, None))
                continue
            key, forward, segment = found
            turn = (key, header.source, header.destination)
            which = (seen[turn], 0)
            seen[turn] += 1
            far = "b" if point.startswith("a") else "a"
            if wire is not None and (far, key) in wire:
                came = wire[far, key]
                which = came[which[0]] if which[0] < len(came) else ("not on the wire", point, which)
            frames.append(Frame(index, number, record.time_ns, header, (key, which), forward, segment))
    return frames


def lost_packets(frames, log):
    """The packets that went into the wire and did not come out."""
    wire = deliveries(log) or {}
    arrived = {(key, which) for (_, key), copies in wire.items() for which in copies}
    crossing = {key for _, key in wire}
    return {f.packet for f in frames if f.packet is not None and f.packet[0] in crossing} - arrived
