"""Frames of a small conversation: what is measured first, to have everything compiled."""

import struct

from ..clock import Record
from .rewriting import folded, words

CLIENT, SERVER = bytes((10, 1, 0, 5)), bytes((10, 2, 0, 9))


def ipv4(source, destination, protocol, body, *, identification=7, ttl=64, flags=0):
    """An Ethernet frame with an IPv4 packet."""
    head = bytearray(struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), identification, flags, ttl, protocol, 0))
    head += source + destination
    struct.pack_into("!H", head, 10, ~folded(words(head)) & 0xFFFF)
    return bytes(range(2, 14)) + b"\x08\x00" + bytes(head) + body


def tcp(source, destination, ports, sequence, acknowledgment, flags, data=b"", **kept):
    """A segment with a right checksum. `ports`: (source, destination)."""
    body = bytearray(struct.pack("!HHIIBBHHH", *ports, sequence, acknowledgment, 0x50, flags, 8192, 0, 0) + data)
    total = words(source) + words(destination) + 6 + len(body) + words(body)
    struct.pack_into("!H", body, 16, ~folded(total) & 0xFFFF)
    return ipv4(source, destination, 6, bytes(body), **kept)


def udp(source, destination, ports, data, **kept):
    """A datagram with a right checksum."""
    body = bytearray(struct.pack("!HHHH", *ports, 8 + len(data), 0) + data)
    total = words(source) + words(destination) + 17 + len(body) + words(body)
    struct.pack_into("!H", body, 6, ~folded(total) & 0xFFFF or 0xFFFF)
    return ipv4(source, destination, 17, bytes(body), **kept)


def conversation(port=40000, first=100, rounds=3, identification=1000):
    """A TCP connection from CLIENT to port 80 of SERVER, a request and an answer in each round, as frames."""
    there, back = (CLIENT, SERVER, (port, 80)), (SERVER, CLIENT, (80, port))
    own, other = first, first + 5000
    made = [tcp(*there, own, 0, 2), tcp(*back, other, own + 1, 18), tcp(*there, own + 1, other + 1, 16)]
    own, other = own + 1, other + 1
    for number in range(rounds):
        request, answer = b"GET /%d of %d\r\n" % (number, port), b"200 %d of %d\r\n" % (number, port)
        made += [tcp(*there, own, other, 24, request), tcp(*back, other, own + len(request), 24, answer)]
        own, other = own + len(request), other + len(answer)
        made.append(tcp(*there, own, other, 16))
    return [_with_identification(frame, identification + n) for n, frame in enumerate(made)]


def _with_identification(frame, identification):
    frame = bytearray(frame)
    struct.pack_into("!HHH", frame, 18, identification, 0, struct.unpack_from("!H", frame, 22)[0])
    struct.pack_into("!H", frame, 24, 0)
    struct.pack_into("!H", frame, 24, ~folded(words(frame[14:34])) & 0xFFFF)
    return bytes(frame)


def records(frames, begin_ns=1_700_000_000_000_000_000, step_ns=2_000_000):
    """They as records, one after the other."""
    return [Record(begin_ns + n * step_ns, len(frame), frame) for n, frame in enumerate(frames)]


def frames():
    """Records of three conversations and a datagram that has to be fragmented."""
    made = [
        frame for n in range(3) for frame in conversation(40000 + n, 100 + 70_000 * n, identification=1000 + 50 * n)
    ]
    return records([*made, udp(CLIENT, SERVER, (5000, 6000), bytes(range(256)) * 5, identification=9999)])
