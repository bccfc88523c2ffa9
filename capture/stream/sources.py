"""What the compiled kernels work on: memory of packets and messages, where each source stands, and what is written.

All rings and netlink buffers live in one arena (`arena.py`), which the kernels see four times: as bytes, and as words
of 16, 32 and 64 bits. State is int64 rows, one per source. Times are nanoseconds since 1970.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Halfwords = NDArray[np.uint16]
Words = NDArray[np.uint32]
State = NDArray[np.int64]
Integer = int | np.int64
"""Compiled, both are the same."""

# Columns of the ring state.
RING_BASE: Final = 0  # offset of the ring in the arena
RING_BLOCK_BYTES: Final = 1
RING_BLOCKS: Final = 2
RING_CURRENT: Final = 3  # block that is being read
RING_NEXT: Final = 4  # offset of the next packet in the arena
RING_LEFT: Final = 5  # packets left in the current block; 0: it is not open yet
RING_FINISHED: Final = 6  # blocks read to the end and not yet given back to the kernel
RING_INTERFACE: Final = 7  # pcapng interface id
RING_ETHERNET: Final = 8  # 1: a VLAN tag the kernel took out can be put back
RING_PACKETS: Final = 9  # packets written
RING_COLUMNS: Final = 10

# Columns of the netlink state. A staging buffer holds finished pcapng blocks that wait for their turn.
STAGE_BASE: Final = 0
STAGE_BYTES: Final = 1
STAGE_HEAD: Final = 2  # offset of the oldest waiting block, from the base
STAGE_TAIL: Final = 3
STAGE_INTERFACE: Final = 4
STAGE_MESSAGES: Final = 5
STAGE_TRACE: Final = 6  # nftrace and NFLOG trace messages
STAGE_CONNTRACK: Final = 7  # conntrack events, without the dump
STAGE_MALFORMED: Final = 8  # datagrams that do not parse as netlink messages
STAGE_GENERATIONS: Final = 9  # ruleset changes (NFT_MSG_NEWGEN)
STAGE_DESCRIPTOR: Final = 10  # file descriptor of the socket
STAGE_SLOTS: Final = 11  # arena offset of the receive slots
STAGE_BATCH: Final = 12  # arena offset of their headers, for recvmmsg
STAGE_OVERRUNS: Final = 13  # how often the kernel reported ENOBUFS
STAGE_WAKE: Final = 14  # descriptor that is readable when there is something to receive
STAGE_STAMPS: Final = 15  # arena offset of the ring buffer with the times of messages (stamps.py), 0 for none
STAGE_STAMPS_BYTES: Final = 16  # its size
STAGE_LAST_NS: Final = 17  # time of the last message: it goes back only when the clock is set back
STAGE_COLUMNS: Final = 18

NO_SOCKET: Final = -2
"""Instead of a descriptor, of a stage that is filled in another way."""

# Progress: single numbers that the kernels keep from call to call.
WRITTEN_BYTES: Final = 0  # in the file, since Python last asked
WRITTEN_PACKETS: Final = 1
LAST_PACKET_NS: Final = 2  # time of the last packet that was written
NEXT_ROUND_NS: Final = 3  # when to write again, on the monotonic clock
BATCH_VECTORS: Final = 4  # vectors of the batch that is being written
BATCH_BYTES: Final = 5  # its length
BATCH_PACKETS: Final = 6  # packets in it
BATCH_DONE: Final = 7  # bytes of it that one writev took, if not all; -1: it is written
ERROR: Final = 8  # errno of a socket that cannot be received from
CLOCK_SECONDS: Final = 9  # struct timespec, for clock_gettime
CLOCK_NANOSECONDS: Final = 10
PROGRESS_COLUMNS: Final = 11

NEVER: Final = 2**63 - 1
"""A time no packet has."""


class Sources(NamedTuple):
    """Where packets and messages come from."""

    octets: Bytes
    """The arena; so the next three."""
    halfwords: Halfwords
    words: Words
    longwords: State
    rings: State
    stages: State
    times: State
    """Scratch: time of the oldest packet or message of each ring and then each stage."""


class Sink(NamedTuple):
    """Where finished blocks are gathered, and the file they go to."""

    octets: Bytes
    """Blocks, or only what stands around packets that are written from where they are."""
    words: Words
    """The same memory."""
    vectors: State
    """Rows of address and length (struct iovec of 64-bit machines): the pieces of a batch in their order."""
    descriptor: int
    """File descriptor."""
    packet_limit: int
    """Packets to write in all."""
