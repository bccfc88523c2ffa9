"""The Python side of `drop_records.py`: the inbox of the kernel's drops, and how many of each namespace there are."""

import struct

from ..kernels import columns
from ..kernels.layouts import EPB_TYPE
from ..sockets.drops import RING_BYTES, WAITING_BYTES, DropRecorder
from .entries import Kernels
from .loop_memory import LoopMemory, new_row

_HEAD = struct.Struct("=III")
"""Of a block: type, length, and for a packet its interface."""


class DropInbox:
    """One inbox for all namespaces, whose interfaces follow each other in the file."""

    def __init__(self, kernels: Kernels, memory: LoopMemory, number: int) -> None:
        """`number`: of the inbox."""
        self._kernels, self._memory, self._number = kernels, memory, number
        self._row = memory.inboxes[number]
        self._unwritten = new_row(len(memory.drops))
        self._is_used = False
        self._row[columns.INBOX_INTERFACE] = -1

    def fill_from(self, recorder: DropRecorder, interface: int) -> int:
        """Have what is recorded copied into it; `interface`: pcapng interface id of the first namespace. Returns the
        descriptor that is readable when there is much."""
        self._is_used = True
        self._row[columns.INBOX_BASE] = recorder.waiting
        self._row[columns.INBOX_BYTES] = WAITING_BYTES
        self._row[columns.INBOX_INTERFACE] = interface
        self._row[columns.INBOX_RECORDS] = recorder.ring
        self._row[columns.INBOX_RECORDS_BYTES] = RING_BYTES
        self._row[columns.INBOX_WAKE] = recorder.fd
        return recorder.fd

    def kept(self, namespace: int) -> int:
        """Drops of a namespace that were copied, and are or will be in a file."""
        return int(self._memory.drops[namespace])

    def written(self, namespace: int) -> int:
        """Those that are in a file."""
        interface = int(self._row[columns.INBOX_INTERFACE]) + namespace
        return self.kept(namespace) - self._kernels.count_waiting(self._memory, self._number, only=interface)

    def unwritten(self, namespace: int) -> int:
        """Those that were copied and could not be written."""
        return int(self._unwritten[namespace])

    def take_back(self, blocks: bytes) -> None:
        """Count no more what is in these blocks. Slow: see `unwritten.take_back`."""
        first, position = int(self._row[columns.INBOX_INTERFACE]), 0
        while self._is_used and position + _HEAD.size <= len(blocks):
            kind, length, interface = _HEAD.unpack_from(blocks, position)
            if kind == EPB_TYPE and 0 <= interface - first < len(self._unwritten):
                self._memory.drops[interface - first] -= 1
                self._unwritten[interface - first] += 1
            position += length
