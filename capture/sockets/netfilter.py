"""The netfilter socket of one namespace: trace events, conntrack events, rule changes and NFLOG in one ordered queue.

Datagrams are received in batches into memory of the arena, by `stream/messages.py`, which cuts them into messages.
Constants: linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h, nfnetlink_log.h, linux/netlink.h.
"""

import ctypes
import errno
import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import TtraceError
from ..machine.libc import BatchHeader, IoVector
from ..machine.netns import Netns
from .arena import Arena
from .stamps import HEADER_BYTES, Stamps, ring_bytes

DATAGRAMS = 128
"""Datagrams received by one system call."""
DATAGRAM_BYTES = 1 << 15
"""A kernel dump never fills more than 32 KiB of one datagram (af_netlink.c), an event far less."""
WAITING_BYTES = 1 << 26
"""Finished blocks that wait for packets that are older. 120 ms of 280,000 events a second are 10 MB."""
HEADER_WORDS = ctypes.sizeof(BatchHeader) // 4
"""Size of a batch's header of one datagram (struct mmsghdr), in 32-bit words."""
LENGTH_WORD = BatchHeader.length.offset // 4
"""Position of the datagram's length in it."""
_HEADERS_BYTES = -(-DATAGRAMS * ctypes.sizeof(BatchHeader) // 4096) * 4096
_VECTORS_BYTES = -(-DATAGRAMS * ctypes.sizeof(IoVector) // 4096) * 4096

_NETLINK_NETFILTER = 12
_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_SO_RCVBUFFORCE = 33
_GROUPS = {"conntrack new": 1, "conntrack update": 2, "conntrack destroy": 3, "ruleset": 7, "trace": 9}
_CTNETLINK_GET = 0x0101
_NFLOG_CONFIG = 0x0401
_NFNL_MSG_BATCH_GETGEN = 0x0A10
_REQUEST = 1
_ACK = 4
_DUMP = 0x300
_NLMSG_ERROR = 2
_ATTRIBUTE_COMMAND = 1
_ATTRIBUTE_MODE = 2
_ATTRIBUTE_THRESHOLD = 5
_COMMAND_BIND = 1
_COMMAND_UNBIND = 2
_COPY_PACKET = 2
_NFLOG_COPY_BYTES = 256
"""Of each packet logged by TRACE: more than any header; the rest is in the packet capture."""


@dataclass(slots=True)
class NetfilterSocket:
    """An open, listening socket, and where in the arena its messages are received."""

    netns: Netns
    socket: socket.socket
    datagrams: int
    """Arena offset of where datagrams are received, `DATAGRAM_BYTES` apart."""
    waiting: int
    """Arena offset of the memory for blocks that wait, `WAITING_BYTES` long."""
    headers: int
    """Arena offset of the headers that recvmmsg takes, one for each datagram."""
    stamps: Stamps | None
    """The times of its messages; None where the kernel cannot take them."""
    overruns: int = 0
    """How often the kernel reported ENOBUFS."""
    lost: int = 0
    """Messages the kernel could not queue."""
    reported_lost: int = 0
    """The value of `lost` in the last statistics block written."""

    def read_lost(self) -> None:
        """Read the socket's Drops column in /proc/net/netlink of its namespace into `lost`."""
        inode = str(os.fstat(self.socket.fileno()).st_ino)
        with self.netns.entered():
            table = Path("/proc/thread-self/net/netlink").read_text()
        for line in table.splitlines()[1:]:
            columns = line.split()
            if columns[-1] == inode:
                self.lost = int(columns[8])

    def dump_conntrack(self) -> None:
        """Ask for the conntrack table; the answer arrives like an event, marked NLM_F_MULTI."""
        # nfgenmsg: family 0 (all), version 0, resource 0.
        self.socket.send(struct.pack("=IHHIIBBH", 20, _CTNETLINK_GET, _REQUEST | _DUMP, 1, 0, 0, 0, 0))

    def close(self) -> None:
        """Close the socket; group memberships and the NFLOG binding end with it."""
        if self.stamps:
            self.stamps.close()
        self.socket.close()


def arena_bytes(buffer_mib: int) -> int:
    """Room in the arena for all of one socket."""
    return (
        DATAGRAMS * DATAGRAM_BYTES
        + WAITING_BYTES
        + _HEADERS_BYTES
        + _VECTORS_BYTES
        + HEADER_BYTES
        + 2 * ring_bytes(buffer_mib)
    )


def open_netfilter_socket(arena: Arena, netns: Netns, *, buffer_mib: int) -> NetfilterSocket:
    """Open the socket in `netns` and join all groups. Raises TtraceError."""
    with netns.entered():
        try:
            listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        except OSError as error:
            raise TtraceError(f"no netfilter in {netns.description}: {error.strerror}") from error
    stamps = None
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_mib << 20)
        listener.bind((0, 0))
        with suppress(OSError):  # then messages get the time of their receipt
            stamps = Stamps(arena, listener, buffer_mib=buffer_mib)
        for group in _GROUPS.values():
            listener.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
    except OSError as error:
        listener.close()
        raise TtraceError(
            f"cannot listen to netfilter in {netns.description}: {error.strerror}",
            hint="run it as root (CAP_NET_ADMIN)",
        ) from error
    datagrams = arena.allocate(DATAGRAMS * DATAGRAM_BYTES)
    return NetfilterSocket(
        netns, listener, datagrams, arena.allocate(WAITING_BYTES), _headers(arena, datagrams), stamps
    )


def _headers(arena: Arena, datagrams: int) -> int:
    """Put headers for recvmmsg into the arena, whose datagrams land at `datagrams`; returns their offset."""
    offset = arena.allocate(_HEADERS_BYTES)
    vectors = (IoVector * DATAGRAMS).from_address(arena.address + arena.allocate(_VECTORS_BYTES))
    headers = (BatchHeader * DATAGRAMS).from_address(arena.address + offset)
    for number in range(DATAGRAMS):
        # The memory of a number is used now, for the first time, which is slow, and not when messages arrive.
        ctypes.memset(arena.address + datagrams + number * DATAGRAM_BYTES, 0, 1)
        vectors[number].base = arena.address + datagrams + number * DATAGRAM_BYTES
        vectors[number].length = DATAGRAM_BYTES
        headers[number].header.vectors = ctypes.pointer(vectors[number])
        headers[number].header.vector_count = 1
    return offset


def bind_nflog(listener: NetfilterSocket) -> None:
    """Receive NFLOG group 0 on the socket, where legacy TRACE goes. Raises OSError: EPERM is another listener."""
    # The group belongs to the socket that asks for it. The acknowledgements are read here, before the batches start:
    # what else arrives between them is lost, but nothing is traced yet and the conntrack table is dumped later.
    mode = struct.pack(">IBB", _NFLOG_COPY_BYTES, _COPY_PACKET, 0)
    steps = [
        (_ATTRIBUTE_COMMAND, bytes([_COMMAND_UNBIND])),
        (_ATTRIBUTE_COMMAND, bytes([_COMMAND_BIND])),
        (_ATTRIBUTE_MODE, mode),
        # Queue threshold 1: the default gathers messages for up to a second.
        (_ATTRIBUTE_THRESHOLD, struct.pack(">I", 1)),
    ]
    for number, (kind, value) in enumerate(steps):
        attribute = struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
        # nfgenmsg: family 0, version 0, resource 0 = group 0.
        header = struct.pack("=IHHIIBBH", 20 + len(attribute), _NFLOG_CONFIG, _REQUEST | _ACK, 100 + number, 0, 0, 0, 0)
        listener.socket.send(header + attribute)
        result = _acknowledgement(listener.socket, 100 + number)
        if result and number > 0:  # "not bound" is no failure of the unbind
            raise OSError(result, os.strerror(result))


def _acknowledgement(listener: socket.socket, sequence: int) -> int:
    """Read until the acknowledgement of request `sequence`; returns its error number, 0 for success."""
    listener.settimeout(1.0)
    try:
        while True:
            data = listener.recv(DATAGRAM_BYTES)
            _, kind, _, number = struct.unpack_from("=IHHI", data)
            if kind == _NLMSG_ERROR and number == sequence:
                return -int(struct.unpack_from("=i", data, 16)[0])
    except TimeoutError:
        return errno.ETIMEDOUT
    finally:
        listener.setblocking(True)


def ruleset_generation() -> int:
    """Generation id of the nft ruleset in the namespace of the calling thread (NFT_MSG_GETGEN). Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as query:
        query.settimeout(2.0)
        query.bind((0, 0))
        query.send(struct.pack("=IHHIIBBH", 20, _NFNL_MSG_BATCH_GETGEN, _REQUEST, 1, 0, 0, 0, 0))
        data = query.recv(8192)
    _, kind = struct.unpack_from("=IH", data)
    if kind == _NLMSG_ERROR:
        raise OSError(-struct.unpack_from("=i", data, 16)[0], "no nf_tables")
    # NFTA_GEN_ID (1) is the first attribute, a big-endian u32.
    return int(struct.unpack_from(">I", data, 24)[0])
