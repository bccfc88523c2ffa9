"""One capture point: a packet socket with a memory-mapped TPACKET_V3 ring (linux/if_packet.h).

The kernel fills blocks of the ring and hands each over when it is full or `BLOCK_TIMEOUT_MS` old; `stream/rings.py`
reads them. Timestamps are CLOCK_REALTIME in nanoseconds. Not promiscuous: what the interface would not receive stays
unseen.
"""

import ctypes
import errno
import socket
import struct
from dataclasses import dataclass, field

from ...errors import TtraceError
from ...pcapng.blocks import LinkType
from ..machine.netns import Netns
from ..options import LARGEST_DEFAULT_RING_MIB, RINGS_MIB
from .arena import Arena
from .binding import bind_to_interface, bound_index
from .bpf import INSTRUCTION_BYTES
from .numbers import (
    PACKET_RX_RING,
    PACKET_STATISTICS,
    PACKET_VERSION,
    SO_ATTACH_FILTER,
    SOL_PACKET,
    TPACKET_V3,
)

BLOCK_BYTES = 1 << 18
"""What rings are measured in, and the blocks of small ones: four GSO super-packets of the largest common size (65,226
bytes), or many small packets."""
_LARGEST_BLOCKS = 4
_FEWEST = 16
"""A ring is divided into so many blocks of up to `_LARGEST_BLOCKS` times the size: each full one is a wake-up."""
BLOCK_TIMEOUT_MS = 150
"""A packet waits no longer than this until the kernel hands over its block. Each time is a wake-up too."""
HOLD_BACK_NS = (BLOCK_TIMEOUT_MS + 50) * 1_000_000
"""How long a packet may be on its way to us at most: the kernel's timers may be late."""

SMALLEST_BLOCKS = 8
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
    blocks: int
    """Its size in units of `BLOCK_BYTES`."""
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

    total_blocks: int
    share_blocks: int
    """The most a single ring gets."""

    def next_blocks(self, used_blocks: int) -> int:
        """Blocks of one more ring when `used_blocks` are in use: a share, or what is left, but enough to work."""
        return max(SMALLEST_BLOCKS, min(self.share_blocks, self.total_blocks - used_blocks))


def ring_budget(ring_mib: int | None, points: int) -> RingBudget:
    """Divide `ring_mib` MiB over `points`; None is the default, which also limits what one ring gets."""
    total = (RINGS_MIB if ring_mib is None else ring_mib) * (1 << 20) // BLOCK_BYTES
    share = total // max(1, points)
    if ring_mib is None:
        share = min(share, LARGEST_DEFAULT_RING_MIB * (1 << 20) // BLOCK_BYTES)
    return RingBudget(total_blocks=total, share_blocks=max(SMALLEST_BLOCKS, share))


def open_ring(
    arena: Arena,
    netns: Netns,
    *,
    interface: str,
    index: int,
    link_type: LinkType,
    mac: bytes,
    program: bytes,
    blocks: int,
) -> Ring:
    """Open a ring on an interface of the namespace the thread is in. Raises TtraceError naming the interface."""
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
    block_bytes = _block_bytes(blocks)
    length_bytes = blocks * BLOCK_BYTES // block_bytes * block_bytes
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
            hint=_memory_hint(blocks) if error.errno == errno.ENOMEM else None,
        ) from error
    return Ring(netns, interface, index, link_type, mac, packet_socket, offset, blocks, block_bytes, arena)


def _set_up(packet_socket: socket.socket, program: bytes, block_bytes: int, length_bytes: int) -> None:
    """Give the socket its ring and its filter, an array of struct sock_filter. Raises OSError."""
    packet_socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
    sizes = block_bytes, length_bytes // block_bytes, _FRAME_BYTES, length_bytes // _FRAME_BYTES
    packet_socket.setsockopt(SOL_PACKET, PACKET_RX_RING, _REQUEST.pack(*sizes, BLOCK_TIMEOUT_MS, 0, 0))
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("@HP", len(program) // INSTRUCTION_BYTES, ctypes.addressof(buffer))
    packet_socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_program)  # struct sock_fprog


def _block_bytes(blocks: int) -> int:
    """Size of the kernel's blocks of a ring of `blocks` times `BLOCK_BYTES`."""
    return BLOCK_BYTES * max(1, min(_LARGEST_BLOCKS, blocks // _FEWEST))


def _memory_hint(blocks: int) -> str:
    size = f"each capture point needs {blocks * BLOCK_BYTES >> 20} MiB of memory"
    if blocks > SMALLEST_BLOCKS:
        return f"{size}: give all of them together less with `--ring-mib N`"
    return f"{size}, the least there is: capture on fewer with `--iface NAME`"
