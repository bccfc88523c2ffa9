"""Checksums computed here, of frames as they stand in a file: none of the bench's own arithmetic."""

import struct


def ones(data):
    """The ones' complement sum of a whole, checksum included: 0xffff where that is right."""
    data = bytes(data) + b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def network_ok(frame):
    """Of an Ethernet frame with IPv4."""
    size = (frame[14] & 15) * 4
    return ones(frame[14 : 14 + size]) == 0xFFFF


def transport_ok(frame):
    """Of TCP, UDP and ICMP in an unfragmented one."""
    size = (frame[14] & 15) * 4
    (total,) = struct.unpack_from("!H", frame, 16)
    body, protocol = frame[14 + size : 14 + total], frame[23]
    if protocol == 1:
        return ones(body) == 0xFFFF
    pseudo = frame[26:34] + struct.pack("!BBH", 0, protocol, len(body))
    return ones(pseudo + body) == 0xFFFF


def body(frame):
    """What an IPv4 frame carries."""
    size = (frame[14] & 15) * 4
    (total,) = struct.unpack_from("!H", frame, 16)
    return frame[14 + size : 14 + total]


def fragment(frame):
    """(identification, first byte, more)."""
    identification, word = struct.unpack_from("!HH", frame, 18)
    return identification, (word & 0x1FFF) * 8, bool(word & 0x2000)


def ends(frame):
    """(source, destination) addresses."""
    return frame[26:30], frame[30:34]
