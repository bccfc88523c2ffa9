"""How the memory lies that the kernel fills for us, and how long it keeps what is in it: constants alone.

Shared by what sets the memory up and the kernels of the loop, which are compiled ahead: nothing here depends on the
machine that they are compiled on.
"""

import ctypes
from typing import Final

from ..machine.libc import DatagramHeader

BLOCK_TIMEOUT_MS: Final = 150
"""A packet waits no longer than this until the kernel hands over its block. Each time is a wake-up too."""
HOLD_BACK_NS: Final = (BLOCK_TIMEOUT_MS + 50) * 1_000_000
"""How long a packet may be on its way to us at most: the kernel's timers may be late."""

DATAGRAMS: Final = 128
"""Received by one system call."""
DATAGRAM_BYTES: Final = 1 << 15
"""Room for each. A kernel dump never fills more than 32 KiB of one (af_netlink.c), an event far less."""
HEADER_WORDS: Final = ctypes.sizeof(DatagramHeader) // 4
"""Size of the header of one datagram (struct mmsghdr), in 32-bit words."""
LENGTH_WORD: Final = DatagramHeader.length.offset // 4
"""Position of the datagram's length in it."""

STAMP_BYTES: Final = 16
"""Of one time stamp in its ring buffer: a header of 8 bytes, then nanoseconds of CLOCK_MONOTONIC."""
