"""Packet rings and inboxes as the kernel would fill them, made up in an array; and what the loop writes of them."""

import mmap
import os
import struct
from dataclasses import dataclass

import numpy as np

from ttrace.capture.kernels import columns, loop
from ttrace.capture.kernels.intake import Intake, Sink
from ttrace.capture.sockets.buffers import DATAGRAM_BYTES, DATAGRAMS, HEADER_WORDS, LENGTH_WORD
from ttrace.pcapng.blocks import Direction
from ttrace.pcapng.write import enhanced_packet

BLOCK_BYTES = 1 << 15
WAITING_BYTES = 1 << 25
USER, VLAN_VALID, TPID_VALID = 1, 0x10, 0x40
OUTGOING = 4
DATA_AT = 48 + 20 + 14
"""struct tpacket3_hdr, struct sockaddr_ll, and room so that a network header would be aligned."""


@dataclass(frozen=True, kw_only=True)
class Packet:
    time_ns: int
    data: bytes
    length: int = 0
    """On the wire, if it is longer than the data."""
    outgoing: bool = False
    tag: tuple[int | None, int] | None = None
    """The VLAN tag the kernel took out: protocol, None where it does not tell, and control."""

    def block(self, interface: int, *, ethernet: bool = True) -> bytes:
        """What has to be in the file, by the plain writer."""
        data, length = self.data, max(self.length, len(self.data))
        if self.tag and ethernet and len(data) >= 12:
            protocol, control = self.tag
            data = data[:12] + struct.pack(">HH", 0x8100 if protocol is None else protocol, control) + data[12:]
            length += 4
        direction = Direction.OUT if self.outgoing else Direction.IN
        return enhanced_packet(interface=interface, time_ns=self.time_ns, data=data, length=length, direction=direction)

    def in_ring(self) -> bytes:
        """struct tpacket3_hdr, sockaddr_ll and the data."""
        room = -(-(DATA_AT + len(self.data)) // 16) * 16
        status = USER
        protocol, control = 0, 0
        if self.tag:
            status |= VLAN_VALID | (TPID_VALID if self.tag[0] is not None else 0)
            protocol, control = self.tag[0] or 0, self.tag[1]
        seconds, nanoseconds = divmod(self.time_ns, 1_000_000_000)
        length = max(self.length, len(self.data))
        header = struct.pack(
            "=6I2H2I2H8x", room, seconds, nanoseconds, len(self.data), length, status, DATA_AT, DATA_AT + 14, 0,
            control, protocol, 0,
        )  # fmt: skip
        address = struct.pack("=HHiHBB8s", 17, 0, 1, 1, OUTGOING if self.outgoing else 0, 6, b"")
        return (header + address).ljust(DATA_AT, b"\0") + self.data + bytes(room - DATA_AT - len(self.data))


def make_intake(memory: np.ndarray, *, inboxes: int) -> Intake:
    """An intake over an arena, with no ring yet and so many empty inboxes."""
    return Intake(
        octets=memory.view(np.uint8), halfwords=memory.view(np.uint16), words=memory.view(np.uint32),
        longwords=memory.view(np.int64), rings=np.zeros((0, columns.RING_COLUMNS), np.int64),
        inboxes=np.zeros((inboxes, columns.INBOX_COLUMNS), np.int64), times=np.zeros(inboxes, np.int64),
        drops=np.zeros(1, np.int64), page_bytes=mmap.PAGESIZE,
    )  # fmt: skip


def make_sink(descriptor: int, packet_limit: int) -> Sink:
    """A sink of its own memory, for a file and a number of packets."""
    room = np.zeros(columns.SINK_BYTES + columns.LARGEST_BLOCK_BYTES, np.uint8)
    pieces = np.zeros((columns.PIECES, 2), np.int64)
    return Sink(room, room.view(np.uint32), pieces, descriptor, packet_limit)


def made_up(rings: list[list[list[Packet]]], *, blocks: int = 4, inboxes: int = 0, ethernet: bool = True) -> Intake:
    """Rings of `blocks` blocks: those given have their packets and are ours, the others are the kernel's and empty."""
    ring_bytes = blocks * BLOCK_BYTES
    inbox_bytes = WAITING_BYTES + DATAGRAMS * DATAGRAM_BYTES + DATAGRAMS * HEADER_WORDS * 4
    memory = np.zeros(len(rings) * ring_bytes + inboxes * inbox_bytes, np.uint8)
    intake = make_intake(memory, inboxes=inboxes)
    rows = np.zeros((len(rings), columns.RING_COLUMNS), np.int64)
    intake = intake._replace(rings=rows, times=np.zeros(len(rings) + inboxes, np.int64))
    for number, filled in enumerate(rings):
        rows[number, columns.RING_BASE] = number * ring_bytes
        rows[number, columns.RING_BLOCK_BYTES] = BLOCK_BYTES
        rows[number, columns.RING_BLOCKS] = blocks
        rows[number, columns.RING_INTERFACE] = number
        rows[number, columns.RING_ETHERNET] = ethernet
        for block, packets in enumerate(filled):
            fill_block(intake, number * ring_bytes + block * BLOCK_BYTES, packets, status=USER)
    for number, row in enumerate(intake.inboxes):
        base = len(rings) * ring_bytes + number * inbox_bytes
        row[columns.INBOX_BASE] = base
        row[columns.INBOX_BYTES] = WAITING_BYTES
        row[columns.INBOX_INTERFACE] = len(rings) + number
        row[columns.INBOX_DATAGRAMS] = base + WAITING_BYTES
        row[columns.INBOX_HEADERS] = base + WAITING_BYTES + DATAGRAMS * DATAGRAM_BYTES
        row[columns.INBOX_DESCRIPTOR] = columns.NO_SOCKET
    return intake


def fill_block(intake: Intake, at: int, packets: list[Packet], *, status: int, opened_ns: int = 0) -> None:
    """struct tpacket_block_desc with its packets, at an offset in the arena."""
    body = b"".join(packet.in_ring() for packet in packets)
    seconds, nanoseconds = divmod(opened_ns, 1_000_000_000)
    head = struct.pack("=6IQ4I", 1, 0, status, len(packets), 48, len(body), 0, seconds, nanoseconds, 0, 0)
    assert len(head) + len(body) <= BLOCK_BYTES
    intake.octets[at : at + len(head) + len(body)] = np.frombuffer(head + body, np.uint8)


def statuses(intake: Intake, ring: int) -> list[int]:
    """Status of each block of a ring: 0 is the kernel's, 1 is ours."""
    row = intake.rings[ring]
    blocks = range(row[columns.RING_BLOCKS])
    offsets = [int(row[columns.RING_BASE] + block * row[columns.RING_BLOCK_BYTES]) for block in blocks]
    return [int(intake.words[(offset >> 2) + 2]) for offset in offsets]


def put_datagrams(intake: Intake, inbox: int, datagrams: list[bytes]) -> None:
    """As recvmmsg leaves them."""
    row = intake.inboxes[inbox]
    for number, datagram in enumerate(datagrams):
        at = int(row[columns.INBOX_DATAGRAMS]) + number * DATAGRAM_BYTES
        intake.octets[at : at + len(datagram)] = np.frombuffer(datagram, np.uint8)
        intake.words[(int(row[columns.INBOX_HEADERS]) >> 2) + number * HEADER_WORDS + LENGTH_WORD] = len(datagram)


def message(kind: int, body: bytes = b"", *, flags: int = 0, length: int | None = None) -> bytes:
    """A netlink message; `length` is a lie about its length."""
    return struct.pack("=IHHII", 16 + len(body) if length is None else length, kind, flags, 0, 0) + body


def written(intake: Intake, *, horizon_ns: int = columns.NEVER - 1, limit: int = columns.NEVER) -> bytes:
    """What the loop writes into a file, up to a time and a number of packets."""
    descriptor = os.memfd_create("written")
    try:
        progress = np.zeros(columns.PROGRESS_COLUMNS, np.int64)
        sink = make_sink(descriptor, limit)
        oldest_ns = 0
        while oldest_ns <= horizon_ns:
            oldest_ns = loop.write_until(intake, sink, progress, horizon_ns, columns.WRITES)
            assert progress[columns.BATCH_DONE] == -1
        size = os.fstat(descriptor).st_size
        assert progress[columns.WRITTEN_BYTES] == size
        return os.pread(descriptor, size, 0)
    finally:
        os.close(descriptor)
