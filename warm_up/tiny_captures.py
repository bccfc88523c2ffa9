"""Small captures without trace, made up so that a warm-up meets everything that the stages of correlate look for."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..pcapng.blocks import LinkType
from ..pcapng.write import enhanced_packet, interface_description, section_header

_BEGAN_NS: Final = 1_700_000_000_000_000_000
_CLIENT: Final = bytes((10, 0, 0, 1))
_PUBLIC: Final = bytes((10, 0, 0, 2))
_INSIDE: Final = bytes((172, 17, 0, 2))
_ROUTER: Final = bytes((10, 0, 0, 254))


def tiny_captures(folder: Path) -> list[str]:
    """Two nodes in pcapng, and what `tcpdump -i any` wrote on a third; returns the names of the files."""
    files = [folder / "first.pcapng", folder / "second.pcapng", folder / "third.pcap"]
    for node, file in enumerate(files[:2]):
        blocks = section_header(node=file.stem, system="", application="ttrace warm-up")
        facts = {"netns": "root"}
        blocks += interface_description(link_type=LinkType.ETHERNET, name="eth0", description="root:eth0", facts=facts)
        for at, packet in _packets(node):
            time_ns = _BEGAN_NS + at * 1_000_000 + node * 50_000
            blocks += enhanced_packet(interface=0, time_ns=time_ns, data=bytes(12) + b"\x08\x00" + packet)
        file.write_bytes(blocks)
    records = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LinkType.LINUX_SLL2)
    for at, packet in _packets(1):
        frame = struct.pack(">HHIHBB8s", 0x0800, 0, 2 + at % 2, 1, 0, 6, bytes(8)) + packet
        records += struct.pack("<IIII", _BEGAN_NS // 10**9, at * 1_000 + 100, len(frame), len(frame)) + frame
    files[2].write_bytes(records)
    return [str(file) for file in files]


def _packets(node: int) -> Iterator[tuple[int, bytes]]:
    """(when in ms, IP packet) as seen at the client's node (0), and behind the translation (1)."""
    server = _INSIDE if node else _PUBLIC
    ttl = 64 - node
    for number in range(6):  # connections: shaken hands, data, an answer, data once more
        ports, begin = (40000 + number, 80), 20 * number
        yield begin, _tcp(_CLIENT, server, ports, 1000, 0, 0x02, b"", ttl)
        yield begin + 1, _tcp(server, _CLIENT, ports[::-1], 5000, 1001, 0x12, b"", ttl)
        for again in range(2):
            yield begin + 2 + again, _tcp(_CLIENT, server, ports, 1001, 5001, 0x18, b"question", ttl)
        yield begin + 5, _tcp(server, _CLIENT, ports[::-1], 5001, 1009, 0x18, b"answer", ttl)
        if node == 0:  # one packet that goes on as two
            yield begin + 6, _tcp(_CLIENT, server, ports, 1009, 5007, 0x18, bytes(range(64)) * 32, ttl)
        else:
            for half in range(2):
                data = (bytes(range(64)) * 32)[1024 * half : 1024 * (half + 1)]
                yield begin + 7, _tcp(_CLIENT, server, ports, 1009 + 1024 * half, 5007, 0x18, data, ttl)
    for number in range(4):
        echo = struct.pack(">BBHHH", 8, 0, 0, 9, number) + b"data"
        yield 200 + number, _ip(_CLIENT, server, 1, 100 + number, ttl, echo)
        yield 210 + number, _ip(server, _CLIENT, 1, 200 + number, ttl, b"\0" + echo[1:])
    for number in range(6):  # nobody answers these, and a router gives some of them up
        if node == 0:
            lost = _tcp(_CLIENT, server, (41000 + number, 80), 1000, 0, 0x02, b"", 1 if number % 2 else ttl)
            yield 230 + number, lost
            if number % 2:
                yield 230 + number, _ip(_ROUTER, _CLIENT, 1, 300 + number, ttl, b"\x0b\0" + bytes(6) + lost[:28])


def _tcp(
    source: bytes,
    destination: bytes,
    ports: tuple[int, int],
    sequence: int,
    acknowledgment: int,
    flags: int,
    data: bytes,
    ttl: int,
) -> bytes:
    head = struct.pack(">HHIIBBHHH", *ports, sequence, acknowledgment, 0x50, flags, 512, 0, 0)
    return _ip(source, destination, 6, (sequence * 7 + ports[0] + len(data)) & 0xFFFF, ttl, head + data)


def _ip(source: bytes, destination: bytes, protocol: int, number: int, ttl: int, payload: bytes) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), number, 0x4000, ttl, protocol, 0)
    return head + source + destination + payload
