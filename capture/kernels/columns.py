"""What the loop keeps from call to call: the columns of its rows and the places of its progress, by name.

Constants alone, so that whoever fills or reads the rows needs no compiler. Times are nanoseconds since 1970, but where
another clock is named.
"""

from typing import Final

# Columns of a packet ring.
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
RING_WATCHED: Final = 10  # 1: resets are looked for
RING_SEEN_FIRST_NS: Final = 11  # time of the first one since Python last asked; 0 for none
RING_SEEN_LAST_NS: Final = 12
RING_COLUMNS: Final = 13

# Columns of an inbox: finished pcapng blocks that wait for their turn, and the netlink socket whose messages they hold.
INBOX_BASE: Final = 0  # offset of its memory in the arena
INBOX_BYTES: Final = 1  # size of it
INBOX_HEAD: Final = 2  # offset of the oldest waiting block, from the base
INBOX_TAIL: Final = 3  # end of the newest
INBOX_INTERFACE: Final = 4  # pcapng interface id
INBOX_MESSAGES: Final = 5
INBOX_TRACE: Final = 6  # nftrace and NFLOG trace messages
INBOX_CONNTRACK: Final = 7  # conntrack events, without the dump
INBOX_MALFORMED: Final = 8  # datagrams that do not parse as netlink messages
INBOX_GENERATIONS: Final = 9  # ruleset changes (NFT_MSG_NEWGEN)
INBOX_DESCRIPTOR: Final = 10  # file descriptor of the socket
INBOX_DATAGRAMS: Final = 11  # arena offset of where datagrams are received
INBOX_HEADERS: Final = 12  # arena offset of their headers, for recvmmsg
INBOX_OVERRUNS: Final = 13  # how often the kernel reported ENOBUFS
INBOX_WAKE: Final = 14  # descriptor that is readable when there is something to receive
INBOX_STAMPS: Final = 15  # arena offset of the ring buffer with the times of messages (stamps.py), 0 for none
INBOX_STAMPS_BYTES: Final = 16  # its size
INBOX_LAST_NS: Final = 17  # time of the last message: it goes back only when the clock is set back
INBOX_WATCHED: Final = 18  # SEEN bits of what is looked for
INBOX_SEEN: Final = 19  # those of what was seen since Python last asked
INBOX_SEEN_FIRST_NS: Final = 20  # when for the first time; 0 for never
INBOX_SEEN_LAST_NS: Final = 21
INBOX_RECORDS: Final = 22  # arena offset of the ring buffer with the kernel's drops, 0 for none (drop_records.py)
INBOX_RECORDS_BYTES: Final = 23  # its size
INBOX_COLUMNS: Final = 24

SEEN_DROP: Final = 1
SEEN_MATCH: Final = 2
SEEN_RESET: Final = 4

NO_SOCKET: Final = -2
"""Instead of a descriptor, of an inbox that is filled in another way."""

# Progress: single numbers.
WRITTEN_BYTES: Final = 0  # in the file, since Python last asked
WRITTEN_PACKETS: Final = 1
LAST_PACKET_NS: Final = 2  # time of the last packet that was written
NEXT_WRITE_NS: Final = 3  # when to write again, on the monotonic clock
BATCH_PIECES: Final = 4  # pieces of the batch that is being written
BATCH_BYTES: Final = 5  # its length
BATCH_PACKETS: Final = 6  # packets in it
BATCH_DONE: Final = 7  # bytes of it that one writev took, if not all; -1: it is written
ERROR: Final = 8  # errno of a socket that cannot be received from
CLOCK_SECONDS: Final = 9  # struct timespec, for clock_gettime
CLOCK_NANOSECONDS: Final = 10
PAUSE_BYTES: Final = 11  # once so many are written since Python last asked, it has to decide something
LONGEST_PAUSE_NS: Final = 12  # how long nobody has to look at the rings (`Feed`)
PAUSE_NS: Final = 13  # how long to sleep between looks at them; 0: each block wakes us
LAST_WRITE_NS: Final = 14  # on the monotonic clock
PROGRESS_COLUMNS: Final = 15

# What every kernel that Python calls is given: one row of numbers, which says where all else is (addresses) and how
# much of it there is.
GIVEN_ARENA: Final = 0
GIVEN_ARENA_BYTES: Final = 1
GIVEN_RINGS: Final = 2  # rows
GIVEN_RING_COUNT: Final = 3
GIVEN_INBOXES: Final = 4  # rows
GIVEN_INBOX_COUNT: Final = 5
GIVEN_TIMES: Final = 6  # scratch: a number for each ring and inbox
GIVEN_DROPS: Final = 7
GIVEN_DROP_COUNT: Final = 8
GIVEN_PROGRESS: Final = 9
GIVEN_SINK: Final = 10  # SINK_BYTES and LARGEST_BLOCK_BYTES
GIVEN_PIECES: Final = 11  # PIECES rows
GIVEN_DESCRIPTOR: Final = 12
GIVEN_PACKET_LIMIT: Final = 13
GIVEN_EPOLL: Final = 14
GIVEN_EVENTS: Final = 15
GIVEN_EVENT_WORDS: Final = 16  # of all of them; how long one is depends on the machine, as does the next
GIVEN_PAGE_BYTES: Final = 17
GIVEN_ATTENTION: Final = 18
GIVEN_COLUMNS: Final = 19

ENTRY_NUMBERS: Final = {
    "record": 3, "write_until": 3, "end_batch": 1, "is_urgent": 2, "settled_until": 2, "receive_all": 1,
    "count_waiting": 4,
}  # fmt: skip
"""The kernels that Python calls (`entry.py`), and how many numbers each takes: the address of what they are given is
the first."""

NEVER: Final = 2**63 - 1
"""A time no packet has."""

# Sizes.
SINK_BYTES: Final = 1 << 19
"""A batch is written when it has so many: what was just copied is then still in the processor's cache."""
LARGEST_BLOCK_BYTES: Final = 1 << 19
"""Room in the sink beyond that, for the last packet of a batch."""
PIECES: Final = 1 << 10
"""Pieces of a batch at most (IOV_MAX of linux/limits.h)."""
WRITES: Final = 64
"""Batches written at most before anything else has its turn: under a flood there is always another one."""
EVENTS: Final = 64
"""Of one epoll_wait."""
