"""Plain capture files of a known size, as any tool writes them: one Ethernet interface, no trace, no NAT.

Made with NumPy: a group of frames, whose kinds and sizes are drawn once, is repeated with other addresses, ports,
numbers and checksums in each. For measurements only: tests use recorded traffic.
"""

import struct
from typing import Final

import numpy as np

from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.write import interface_description, section_header

START_NS: Final = 1_700_000_000_000_000_000
_GROUP: Final = 50
"""Frames that are different before all is repeated."""
_CHUNK: Final = 2_000
"""Groups made at a time."""
_ETHERNET: Final = b"\x02\x42\xac\x11\x00\x02\x02\x42\xac\x11\x00\x01"
MIXED: Final = ((66, 0.46), (200, 0.1), (590, 0.17), (1514, 0.27))
"""Bytes of a frame and how often: acknowledgments, requests, and full segments; 540 on average."""
SMALL: Final = ((64, 1.0),)


def write_plain(path, packets, sizes):
    """A pcapng file of about `packets` frames."""
    rng = np.random.default_rng(11)
    frames = [_frame(rng, int(size)) for size in rng.choice([s for s, _ in sizes], _GROUP, p=[p for _, p in sizes])]
    blocks = [_block(frame) for frame in frames]
    starts = np.cumsum([0, *map(len, blocks)])
    group = np.frombuffer(b"".join(blocks), np.uint8)
    with path.open("wb") as file:
        file.write(section_header(node="synthetic", system="Linux synthetic", application="ttrace bench"))
        facts = {"what": "packets"}
        file.write(interface_description(link_type=LinkType.ETHERNET, name="eth0", description="", facts=facts))
        for first in range(0, max(packets // _GROUP, 1), _CHUNK):
            number = np.arange(first, min(first + _CHUNK, max(packets // _GROUP, 1)))
            rows = np.tile(group, (number.size, 1))
            for place, (start, frame) in enumerate(zip(starts, frames, strict=False)):
                _vary(rows, int(start), frame, number * _GROUP + place, rng)
            rows.tofile(file)


def _frame(rng, size):
    """A frame of one of the common kinds: TCP (of IPv6 now and then), or UDP."""
    kind = rng.choice(["tcp", "udp", "tcp6"], p=[0.8, 0.12, 0.08])
    if size < 78 and kind == "tcp6":
        kind = "tcp"
    transport = 8 if kind == "udp" else 20 if size < 66 else 32
    if kind == "tcp6":
        head = struct.pack(">IHBB", 6 << 28, size - 54, 6, 64) + bytes(15) + b"\1" + bytes(15) + b"\2"
    else:
        protocol = 17 if kind == "udp" else 6
        head = struct.pack(">BBHHHBBHII", 0x45, 0, size - 14, 0, 0x4000, 64, protocol, 0, 0xAC110002, 0xC0A84D02)
    if kind == "udp":
        body = struct.pack(">HHHH", 0, 9_000, size - 34, 0)
    else:
        body = struct.pack(">HHIIBBHHH", 0, 443, 0, 0, transport << 2, 0x10, 502, 0, 0)
        # No-operation, no-operation, timestamps.
        body += struct.pack(">BBBBII", 1, 1, 8, 10, 0, 0) if transport == 32 else b""
    frame = _ETHERNET + struct.pack(">H", 0x86DD if kind == "tcp6" else 0x0800) + head + body
    return frame + rng.bytes(size - len(frame))


def _block(frame):
    padded = frame + bytes(-len(frame) % 4)
    length = 32 + len(padded)
    return struct.pack("<7I", 6, length, 0, 0, 0, len(frame), len(frame)) + padded + struct.pack("<I", length)


def _vary(rows, start, frame, number, rng):
    """Give one frame of every group its own time, flow and numbers."""
    time_ns = START_NS + number * 5_000
    _put(rows, start + 12, "<u4", time_ns >> 32)
    _put(rows, start + 16, "<u4", time_ns & 0xFFFFFFFF)
    version = frame[14] >> 4
    network = start + 28 + 14
    transport = network + (20 if version == 4 else 40)
    flow = number // 20
    if version == 4:
        _put(rows, network + 4, ">u2", number & 0xFFFF)
        _put(rows, network + 14, ">u2", 2 + flow // 30_000)
    _put(rows, transport, ">u2", 20_000 + flow % 30_000)
    if frame[23 if version == 4 else 20] == 6:
        _put(rows, transport + 4, ">u4", number * 1448 & 0xFFFFFFFF)
        _put(rows, transport + 8, ">u4", number * 100 & 0xFFFFFFFF)
        _put(rows, transport + 16, ">u2", rng.integers(1, 65_535, number.size))
    else:
        _put(rows, transport + 6, ">u2", rng.integers(1, 65_535, number.size))


def _put(rows, at, kind, values):
    size = np.dtype(kind).itemsize
    rows[:, at : at + size] = np.asarray(values).astype(kind).view(np.uint8).reshape(-1, size)
