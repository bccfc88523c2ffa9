"""Frames and kernel messages as capture files in memory, so that a stage can be given any bytes."""

import struct

import numpy as np
import numpy.typing as npt

from ttrace.correlate.decode.frames import dissect_packets
from ttrace.correlate.netfilter.messages import KernelMessages
from ttrace.correlate.netfilter.sources import decode_messages
from ttrace.pcapng.blocks import NETLINK_HEADER, LinkType
from ttrace.pcapng.read import RECORD, CaptureFile, Interface

NFTRACE, NFLOG, CONNTRACK_NEW, CONNTRACK_DESTROY, NEW_GENERATION = 0x0A11, 0x0400, 0x0100, 0x0102, 0x0A0F
NLM_F_MULTI, NLM_F_CREATE = 0x2, 0x400


def capture_of(frames: list[bytes], link_type: int, around: tuple[bytes, bytes] = (b"", b"")) -> CaptureFile:
    """A capture with these frames; `around` stands before and behind each of them in the file."""
    before, behind = around
    data = b""
    records = np.zeros(len(frames), RECORD)
    for row, frame in zip(records, frames, strict=True):
        data += before
        row["offset"], row["captured"], row["original"] = len(data), len(frame), len(frame)
        row["time_ns"] = 10**18
        data += frame + behind
    interface = Interface(name="eth0", link_type=link_type, snaplen=0, units_per_second=10**9)
    return CaptureFile(path="x", data=np.frombuffer(data, np.uint8), records=records, interfaces=[interface])


def dissect(
    *frames: bytes, link_type: int = LinkType.ETHERNET, around: tuple[bytes, bytes] = (b"", b"")
) -> npt.NDArray[np.void]:
    """SIGHTING rows of frames."""
    capture = capture_of([bytes(f) for f in frames], link_type, around)
    return dissect_packets(capture, 0, np.zeros(1, np.uint32), np.zeros(1, np.uint16)).rows


def attribute(kind: int, value: bytes, length: int | None = None) -> bytes:
    """One netlink attribute; `length` is a lie about its length."""
    header = struct.pack("<HH", len(value) + 4 if length is None else length, kind)
    return header + value + bytes(-len(value) % 4)


def word(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value))


def message(kind: int, attributes: bytes, *, flags: int = 0, length: int | None = None, family: int = 2) -> bytes:
    """One captured netlink message; `length` is a lie about its length."""
    size = 20 + len(attributes) if length is None else length
    return NETLINK_HEADER + struct.pack("<IHHII", size, kind, flags, 0, 0) + bytes([family, 0, 0, 0]) + attributes


def decode(*messages: bytes, around: tuple[bytes, bytes] = (b"", b"")) -> KernelMessages:
    """What the decoder makes of captured messages."""
    return decode_messages(capture_of(list(messages), LinkType.NETLINK, around), 0, np.zeros(1, np.uint16))


def trace(
    *,
    chain: str = "FORWARD",
    table: str = "filter",
    kind: int = 1,
    network: bytes = b"",
    transport: bytes = b"",
    more: bytes = b"",
) -> bytes:
    """A trace message (kind 1 policy, 3 rule), with header copies where given."""
    attributes = (
        attribute(1, table.encode() + b"\0") + attribute(2, chain.encode() + b"\0") + word(4, kind) + word(6, 7)
    )
    if network:
        attributes += attribute(8, network[:40]) + attribute(9, transport[:20])
    return message(NFTRACE, attributes + more)


def tuple_attribute(
    kind: int, source: bytes, destination: bytes, protocol: int, ports: tuple[int, int] = (0, 0), more: bytes = b""
) -> bytes:
    """CTA_TUPLE_ORIG (1) or CTA_TUPLE_REPLY (2)."""
    first = 1 if len(source) == 4 else 3
    addresses = attribute(first, source) + attribute(first + 1, destination)
    transport = attribute(1, bytes([protocol]))
    if protocol in (1, 58):
        base = 4 if protocol == 1 else 7
        transport += attribute(base, struct.pack(">H", ports[0])) + attribute(base + 1, bytes([ports[1]]))
    else:
        transport += attribute(2, struct.pack(">H", ports[0])) + attribute(3, struct.pack(">H", ports[1]))
    return attribute(kind, attribute(1, addresses) + attribute(2, transport) + more)
