"""The netfilter socket of one namespace: trace events, conntrack events, rule changes and NFLOG in one ordered queue.

Datagrams are received, many at a time, into memory of the arena. `kernels/messages.py` cuts them into messages.
"""

import ctypes
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import TtraceError
from ..machine.libc import DatagramHeader, IoVector
from ..machine.netns import Netns
from .arena import Arena
from .buffers import DATAGRAM_BYTES, DATAGRAMS
from .numbers import NETLINK_ADD_MEMBERSHIP, NETLINK_DROP_MEMBERSHIP, NETLINK_NETFILTER, SO_RCVBUFFORCE, SOL_NETLINK
from .stamps import HEADER_BYTES, Stamps, ring_bytes

WAITING_BYTES = 1 << 26
"""Finished blocks that wait for packets that are older. 120 ms of 280,000 events a second are 10 MB."""
_PAGE_BYTES = 4096
_HEADERS_BYTES = -(-DATAGRAMS * ctypes.sizeof(DatagramHeader) // _PAGE_BYTES) * _PAGE_BYTES
_VECTORS_BYTES = -(-DATAGRAMS * ctypes.sizeof(IoVector) // _PAGE_BYTES) * _PAGE_BYTES


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
    buffer_bytes: int
    """Of the kernel, for what is not received yet."""
    stamps: Stamps | None
    """The times of its messages; None where the kernel cannot take them."""
    overruns: int = 0
    """How often the kernel reported ENOBUFS."""
    lost: int = 0
    """Messages the kernel could not queue."""
    _lost_before: int = 0
    """What of it is not counted."""
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
                self.lost = int(columns[8]) - self._lost_before

    def forget_lost(self) -> int:
        """Count from now on; returns how many messages were lost before."""
        self.read_lost()
        lost, self.lost = self.lost, 0
        self._lost_before += lost
        return lost

    def leave(self, groups: Iterable[int]) -> None:
        """Hear no more of multicast `groups` (NFNLGRP_*): what comes now is no loss."""
        for group in groups:
            self.socket.setsockopt(SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, group)

    def close(self) -> None:
        """Close the socket; group memberships and the NFLOG binding end with it."""
        if self.stamps:
            self.stamps.close()
        self.socket.close()


def arena_bytes(buffer_mib: int) -> int:
    """Room in the arena for all of one socket."""
    received = DATAGRAMS * DATAGRAM_BYTES + _HEADERS_BYTES + _VECTORS_BYTES
    return received + WAITING_BYTES + HEADER_BYTES + 2 * ring_bytes(buffer_mib)


def open_netfilter_socket(
    arena: Arena, netns: Netns, *, buffer_mib: int, groups: Iterable[int], wakes: Iterable[int]
) -> NetfilterSocket:
    """Open the socket in `netns` and join multicast `groups` (NFNLGRP_*). Raises TtraceError.

    Messages of the types `wakes` wake whoever waits at once; others may wait for a while. `buffer_mib`: see
    `CaptureOptions`.
    """
    with netns.entered():
        try:
            listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        except OSError as error:
            raise TtraceError(f"no netfilter in {netns.description}: {error.strerror}") from error
    stamps = None
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer_mib << 20)
        listener.bind((0, 0))
        with suppress(OSError):  # then messages get the time of their receipt
            stamps = Stamps(arena, listener, buffer_mib=buffer_mib, wakes=wakes)
        for group in groups:
            listener.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
    except OSError as error:
        listener.close()
        raise TtraceError(
            f"cannot listen to netfilter in {netns.description}: {error.strerror}",
            hint="run it as root (CAP_NET_ADMIN)",
        ) from error
    datagrams = arena.allocate(DATAGRAMS * DATAGRAM_BYTES)
    waiting = arena.allocate(WAITING_BYTES)
    return NetfilterSocket(netns, listener, datagrams, waiting, _headers(arena, datagrams), buffer_mib << 20, stamps)


def _headers(arena: Arena, datagrams: int) -> int:
    """Put headers for recvmmsg into the arena, whose datagrams land at `datagrams`; returns their offset."""
    offset = arena.allocate(_HEADERS_BYTES)
    vectors = (IoVector * DATAGRAMS).from_address(arena.address + arena.allocate(_VECTORS_BYTES))
    headers = (DatagramHeader * DATAGRAMS).from_address(arena.address + offset)
    for number in range(DATAGRAMS):
        room = arena.address + datagrams + number * DATAGRAM_BYTES
        # The memory is used now, for the first time, which is slow, and not when messages arrive.
        ctypes.memset(room, 0, 1)
        vectors[number].base = room
        vectors[number].length = DATAGRAM_BYTES
        headers[number].header.vectors = ctypes.pointer(vectors[number])
        headers[number].header.vector_count = 1
    return offset
