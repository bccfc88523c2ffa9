"""One capture point: a packet socket with a memory-mapped TPACKET_V3 ring (linux/if_packet.h).

The kernel fills blocks of the ring and hands each over when it is full or `BLOCK_TIMEOUT_MS` old; `kernels/rings.py`
reads them. Timestamps are CLOCK_REALTIME in nanoseconds. Not promiscuous: what the interface would not receive stays
unseen.
"""

import ctypes
import errno
import socket
import struct
from dataclasses import dataclass, field
from mmap import PAGESIZE

from ...errors import TtraceError
from ...pcapng.blocks import LinkType
from ..machine.netns import Netns
from ..options import LARGEST_DEFAULT_RING_MIB, RINGS_MIB
from .arena import Arena
from .binding import bind_to_interface, bound_index
from .bpf import INSTRUCTION_BYTES, accept_all
from .buffers import BLOCK_TIMEOUT_MS
from .numbers import (
    PACKET_RX_RING,
    PACKET_STATISTICS,
    PACKET_VERSION,
    SO_ATTACH_FILTER,
    SOL_PACKET,
    TPACKET_V3,
)

UNIT_BYTES = 1 << 18
"""What rings are measured in."""
_BLOCKS = 128
"""A ring has so many blocks, or more. A trickle fills a block with its first packet, as the kernel hands it over when
its time is up: so a ring of little use lasts for 128 * 150 ms = 19 s in which we do not run, whatever its size.
(16 blocks lasted 2.4 s.)"""
_FEWEST_BLOCKS = 8
"""But not less, for whatever packet: a longer one is cut, as by the snaplen."""
_LARGEST_BLOCK_BYTES = 1 << 20
"""Larger ones would save no wake-ups worth it."""
_PACKETS_OF_A_BLOCK = 4
"""At least, of full length, up to `_ROOMY_BLOCK_BYTES`: what is left at the end of a block is not used."""
_ROOMY_BLOCK_BYTES = 1 << 17
_PACKET_OVERHEAD_BYTES = 256
"""More than there is beside a packet in its block: struct tpacket3_hdr and sockaddr_ll, alignment, the block's head."""
SMALLEST_UNITS = 8
"""Of a ring (2 MiB), so that holding some back leaves room."""

_FRAME_BYTES = 2048  # only a divisor of the block size in version 3
_REQUEST = struct.Struct("=7I")
"""struct tpacket_req3: size and number of blocks, of frames, timeout, room for private data, feature requests."""
_STATISTICS = struct.Struct("=III")
"""struct tpacket_stats_v3: tp_packets, which includes tp_drops, tp_drops, tp_freeze_q_cnt."""


class PointError(TtraceError):
    """A capture point that cannot be opened."""


@dataclass(slots=True)
class Ring:
    """An open capture point."""

    netns: Netns
    interface: str
    index: int
    link_type: LinkType
    mac: bytes
    socket: socket.socket
    offset: int
    """Where the ring begins in the arena."""
    units: int
    """Its size in units of `UNIT_BYTES`."""
    block_bytes: int
    """Size of the blocks the kernel hands over."""
    arena: Arena
    received: int = 0
    """Packets that passed the filter, lost ones included."""
    lost: int = 0
    reported_lost: int = field(default=0)
    """The value of `lost` in the last statistics block written."""

    def read_statistics(self) -> None:
        """Add the kernel's counters, which it clears on reading, to `received` and `lost`."""
        statistics = self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, _STATISTICS.size)
        packets, drops, _ = _STATISTICS.unpack(statistics)
        self.received += packets
        self.lost += drops

    def forget_lost(self) -> int:
        """Count from now on; returns how many packets were lost before."""
        self.read_statistics()
        lost, self.lost = self.lost, 0
        self.received -= lost
        return lost

    def shut(self) -> None:
        """Let nothing more in, nor count it as lost. What is in the ring can still be read."""
        attach_filter(self.socket, accept_all(0))

    def take_error(self) -> int:
        """The pending socket error (ENETDOWN when the interface went down or away), cleared by reading; 0 if none."""
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    @property
    def is_gone(self) -> bool:
        """Whether its interface no longer exists, or not in this namespace. One that is only down comes back."""
        # The kernel forgets the index a socket is bound to when that interface is unregistered (af_packet.c).
        return bound_index(self.socket) <= 0

    def close(self) -> None:
        """Close the socket and free the ring's memory, which nothing may read any more."""
        if self.socket.fileno() != -1:
            self.socket.close()
            self.arena.free_slot(self.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class RingBudget:
    """The memory of all rings, which cannot be swapped out, and how they share it."""

    total_units: int
    share_units: int
    """The most a single ring gets."""

    def next_units(self, used_units: int) -> int:
        """Size of one more ring when `used_units` are in use: a share, or what is left, but enough to work."""
        return max(SMALLEST_UNITS, min(self.share_units, self.total_units - used_units))


def ring_budget(ring_mib: int | None, points: int) -> RingBudget:
    """Divide `ring_mib` MiB over `points`; None is the default, which also limits what one ring gets."""
    total = (RINGS_MIB if ring_mib is None else ring_mib) * (1 << 20) // UNIT_BYTES
    share = total // max(1, points)
    if ring_mib is None:
        share = min(share, LARGEST_DEFAULT_RING_MIB * (1 << 20) // UNIT_BYTES)
    return RingBudget(total_units=total, share_units=max(SMALLEST_UNITS, share))


def open_ring(
    arena: Arena,
    netns: Netns,
    *,
    interface: str,
    index: int,
    link_type: LinkType,
    mac: bytes,
    program: bytes,
    units: int,
    packet_bytes: int,
) -> Ring:
    """Open a ring for packets of up to `packet_bytes`, in the thread's namespace. Raises TtraceError, PointError."""
    # Without a link header SOCK_DGRAM hands over the packet from its network header on, whatever tunnel it is.
    kind = socket.SOCK_RAW if link_type is LinkType.ETHERNET else socket.SOCK_DGRAM
    try:
        # Protocol 0: nothing arrives before filter and ring are in place.
        packet_socket = socket.socket(socket.AF_PACKET, kind | socket.SOCK_CLOEXEC, 0)
    except PermissionError as error:
        raise TtraceError("capturing needs root (CAP_NET_RAW)", hint="run it with `sudo`") from error
    except OSError as error:
        raise PointError(f"cannot capture on `{interface}` in {netns.description}: {error.strerror}") from error
    offset = None
    block_bytes = block_bytes_of(units, packet_bytes)
    length_bytes = units * UNIT_BYTES // block_bytes * block_bytes
    try:
        _set_up(packet_socket, program, block_bytes, length_bytes)
        offset = arena.map_socket(packet_socket.fileno(), length_bytes)
        bind_to_interface(packet_socket, index)
    except OSError as error:
        packet_socket.close()
        if offset is not None:
            arena.free_slot(offset)
        raise PointError(
            f"cannot capture on `{interface}` in {netns.description}: {error.strerror or error}",
            hint=_memory_hint(units) if error.errno == errno.ENOMEM else None,
        ) from error
    return Ring(netns, interface, index, link_type, mac, packet_socket, offset, units, block_bytes, arena)


def _set_up(packet_socket: socket.socket, program: bytes, block_bytes: int, length_bytes: int) -> None:
    """Give the socket its ring and its filter, an array of struct sock_filter. Raises OSError."""
    packet_socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
    sizes = block_bytes, length_bytes // block_bytes, _FRAME_BYTES, length_bytes // _FRAME_BYTES
    packet_socket.setsockopt(SOL_PACKET, PACKET_RX_RING, _REQUEST.pack(*sizes, BLOCK_TIMEOUT_MS, 0, 0))
    attach_filter(packet_socket, program)


def attach_filter(packet_socket: socket.socket, program: bytes) -> None:
    """Have the socket take what `program`, an array of struct sock_filter, lets pass. Raises OSError."""
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("@HP", len(program) // INSTRUCTION_BYTES, ctypes.addressof(buffer))
    packet_socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_program)  # struct sock_fprog


def block_bytes_of(units: int, packet_bytes: int) -> int:
    """Size of the kernel's blocks, a power of two, in a ring of `units` whose longest packet has `packet_bytes`."""
    packet = packet_bytes + _PACKET_OVERHEAD_BYTES
    least = max(_power_of_two(packet), min(_power_of_two(_PACKETS_OF_A_BLOCK * packet), _ROOMY_BLOCK_BYTES))
    wanted = min(units * UNIT_BYTES // _BLOCKS, _LARGEST_BLOCK_BYTES)
    most = units * UNIT_BYTES // _FEWEST_BLOCKS
    # The kernel makes blocks of whole pages, which have 64 KiB on some ARM machines.
    return max(min(max(least, _not_above(wanted)), _not_above(most)), PAGESIZE)


def _power_of_two(number: int) -> int:
    """The smallest one that is not less."""
    return 1 << (number - 1).bit_length()


def _not_above(number: int) -> int:
    """The largest power of two that is not more."""
    return 1 << (number.bit_length() - 1)


def _memory_hint(units: int) -> str:
    size = f"each capture point needs {units * UNIT_BYTES >> 20} MiB of memory"
    if units > SMALLEST_UNITS:
        return f"{size}: give all of them together less with `--ring-mib N`"
    return f"{size}, the least there is: capture on fewer with `--iface NAME`"
