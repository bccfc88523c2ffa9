"""Feeds everything recorded into one time-ordered stream of pcapng blocks: the Python side of `kernels/loop.py`."""

import ctypes
import os
import select
import time
from collections.abc import Sequence

from ...errors import TtraceError
from ...pcapng.blocks import LinkType
from ..kernels import columns
from ..kernels.layouts import BLOCK_STATUS_WORD, TP_STATUS_USER
from ..sockets.arena import Arena
from ..sockets.drops import DropRecorder
from ..sockets.netfilter import WAITING_BYTES, NetfilterSocket
from ..sockets.ring import UNIT_BYTES, Ring
from .drop_inbox import DropInbox
from .entries import Kernels
from .loop_memory import LoopMemory, Row, new_row
from .output import OutputFile
from .pauses import longest_pause_ns
from .seen import take_seen
from .unwritten import take_back


class Feed:
    """Sorts the packets of all rings and the messages of all sockets into the output."""

    def __init__(
        self,
        kernels: Kernels,
        arena: Arena,
        output: OutputFile,
        points: list[tuple[Ring, int]],
        sockets: list[tuple[NetfilterSocket, int]],
        packet_limit: int | None,
        watched: int = 0,
        drops: tuple[DropRecorder, int] | None = None,
        snapshots: int = 0,
    ) -> None:
        """All have their pcapng interface ids, `drops` the first, what is added `snapshots`. `watched`: SEEN bits."""
        self._kernels, self._output, self._watched = kernels, output, watched
        self.full_ns: int | None = None
        """Until when every packet was taken, once the packet limit is reached."""
        self._ended: Sequence[Row] | None = None
        namespaces = drops[0].namespaces if drops else 1
        self._memory = LoopMemory(arena.address, arena.length, inboxes=len(sockets) + 2, namespaces=namespaces)
        self._progress = self._memory.progress
        self._progress[columns.PAUSE_BYTES] = columns.NEVER
        self._limit = columns.NEVER if packet_limit is None else packet_limit
        self._unwritten = new_row(len(sockets))
        self._sockets = [listener for listener, _ in sockets]
        *self._inboxes, _, self._snapshots = self._memory.inboxes  # the first are theirs
        self._epoll = select.epoll()
        self._memory.give(descriptor=output.descriptor, packet_limit=self._limit, epoll=self._epoll.fileno())
        for inbox in self._memory.inboxes:
            inbox[columns.INBOX_BYTES] = WAITING_BYTES
            inbox[columns.INBOX_DESCRIPTOR] = inbox[columns.INBOX_WAKE] = columns.NO_SOCKET
        self._snapshots[columns.INBOX_BASE] = arena.allocate(WAITING_BYTES)
        self._snapshots[columns.INBOX_INTERFACE] = snapshots
        self.drops = DropInbox(kernels, self._memory, len(sockets))
        if drops:
            self._epoll.register(self.drops.fill_from(*drops), select.EPOLLIN | select.EPOLLET)
        for inbox, (listener, interface) in zip(self._inboxes, sockets, strict=True):
            self._fill_from(listener, inbox)
            inbox[columns.INBOX_INTERFACE], inbox[columns.INBOX_WATCHED] = interface, watched
        for ring, interface in points:
            self.add_ring(ring, interface)

    def _fill_from(self, listener: NetfilterSocket, inbox: Row) -> None:
        """Have the messages of a socket received into an inbox, and the loop woken for them."""
        inbox[columns.INBOX_BASE] = listener.waiting
        inbox[columns.INBOX_DESCRIPTOR] = listener.socket.fileno()
        inbox[columns.INBOX_DATAGRAMS] = listener.datagrams
        inbox[columns.INBOX_HEADERS] = listener.headers
        if listener.stamps:
            inbox[columns.INBOX_STAMPS] = listener.stamps.offset
            inbox[columns.INBOX_STAMPS_BYTES] = listener.stamps.length_bytes
            inbox[columns.INBOX_WAKE] = listener.stamps.fd
            # Edge-triggered: stamps wait all the time, and only now and then are we woken for them.
            self._epoll.register(listener.stamps.fd, select.EPOLLIN | select.EPOLLET)
        else:
            inbox[columns.INBOX_WAKE] = listener.socket.fileno()
            self._epoll.register(listener.socket.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Stop listening to the rings and sockets."""
        self._epoll.close()

    def go_on_in(self, output: OutputFile, rings: list[int], inboxes: list[int]) -> None:
        """Write everything from now on to another file, where rings and inboxes have these pcapng interface ids."""
        self._output = output
        self._memory.give(descriptor=output.descriptor)
        for row, interface in zip(self._memory.rings, rings, strict=True):
            row[columns.RING_INTERFACE] = interface
        for number, (row, interface) in enumerate(zip(self._memory.inboxes, inboxes, strict=True)):
            shift = interface - row[columns.INBOX_INTERFACE]
            self._kernels.count_waiting(self._memory, number, shift=shift)
            row[columns.INBOX_INTERFACE] = interface

    def pause_after(self, written: int | None) -> None:
        """Have `record` come back after so many more bytes; None: as many as there are."""
        self._progress[columns.PAUSE_BYTES] = columns.NEVER if written is None else written

    @property
    def last_packet_ns(self) -> int:
        """Time of the last packet that was written; 0 before."""
        return int(self._progress[columns.LAST_PACKET_NS])

    @property
    def packets(self) -> int:
        """Packets written."""
        return int(self._progress[columns.WRITTEN_PACKETS])

    @property
    def is_full(self) -> bool:
        """Whether the packet limit is reached."""
        return self.packets >= self._limit

    def add_ring(self, ring: Ring, interface: int) -> None:
        """Take packets from one more ring, whose pcapng interface id is `interface`."""
        one = new_row(columns.RING_COLUMNS)
        one[columns.RING_BASE] = ring.offset
        one[columns.RING_BLOCK_BYTES] = ring.block_bytes
        one[columns.RING_BLOCKS] = ring.units * UNIT_BYTES // ring.block_bytes
        one[columns.RING_INTERFACE] = interface
        one[columns.RING_WATCHED] = bool(self._watched & columns.SEEN_RESET)
        one[columns.RING_ETHERNET] = ring.link_type is LinkType.ETHERNET
        self._replace_rings([*self._memory.rings, one])
        # Edge-triggered: a ring stays readable as long as blocks are held back, and would wake us all the time.
        self._epoll.register(ring.socket.fileno(), select.EPOLLIN | select.EPOLLET)

    def is_drained(self, number: int) -> bool:
        """Whether ring `number` has no block that the kernel handed over and that is not yet written."""
        row = self._memory.rings[number]
        block = row[columns.RING_BASE] + row[columns.RING_CURRENT] * row[columns.RING_BLOCK_BYTES]
        is_ours = self._memory.words[(block >> 2) + BLOCK_STATUS_WORD] & TP_STATUS_USER
        waits = row[columns.RING_LEFT] or row[columns.RING_FINISHED] or is_ours
        return not waits

    def remove_ring(self, number: int, ring: Ring) -> int:
        """Look at `ring`, which is number `number`, no more, so that it can be closed; returns how many packets came
        from it.

        The rings behind it move up by one.
        """
        packets = self.ring_packets(number)
        self._replace_rings([row for other, row in enumerate(self._memory.rings) if other != number])
        self._epoll.unregister(ring.socket.fileno())
        return packets

    def end_packets(self) -> None:
        """Take no more packets; what is still in the rings came after the end."""
        self._ended = self._memory.rings
        self._replace_rings([])

    def add(self, block: bytes) -> None:
        """Put a finished block (a snapshot) into the stream at its time, behind the one before. Raises TtraceError."""
        row = self._snapshots
        if row[columns.INBOX_TAIL] + len(block) > WAITING_BYTES:
            self._write_until(columns.NEVER - 1)
        begin = row[columns.INBOX_BASE] + row[columns.INBOX_TAIL]
        self._memory.octets[begin : begin + len(block)] = block
        row[columns.INBOX_TAIL] += len(block)

    def wake_for(self, descriptor: int) -> None:
        """Have `record` return when this descriptor is readable."""
        self._memory.give(attention=descriptor)
        self._epoll.register(descriptor, select.EPOLLIN)

    def record(self, timeout_s: float, *, newest_ns: int = columns.NEVER - 1) -> None:
        """Receive and write for so long, or until something has to be decided (`kernels/loop.py`). Nothing later than
        `newest_ns` is written. Raises TtraceError."""
        self._kernels.record(self._memory, newest_ns, int(timeout_s * 1e9))
        self._note_progress()

    def take_seen(self) -> tuple[int, int, int]:
        """(SEEN bits, first time, last time) of what was looked for and seen since the last call."""
        return take_seen(self._memory.rings, self._memory.inboxes)

    @property
    def settled_ns(self) -> int:
        """Until when every packet is handed over by the kernel."""
        return self._kernels.settled_until(self._memory, time.time_ns())

    @property
    def written_until_ns(self) -> int:
        """Until when everything is written, as far as it is not out of order."""
        settled_ns = self.settled_ns
        oldest_ns = self._kernels.write_until(self._memory, -1, 1)
        return min(settled_ns, oldest_ns - 1)

    def receive(self) -> None:
        """Receive what waits in every socket."""
        self._kernels.receive_all(self._memory)
        self._note_progress()

    def write_until(self, horizon_ns: int) -> None:
        """Write everything up to `horizon_ns`, oldest first, and more if a buffer is half full. Raises TtraceError."""
        urgent = self._kernels.is_urgent(self._memory, time.time_ns())
        self._write_until(columns.NEVER - 1 if urgent else horizon_ns)

    def write_some(self, horizon_ns: int) -> bool:
        """Write up to `horizon_ns`, but not more than `pause_after` allows; returns whether something is left. Raises
        TtraceError."""
        oldest_ns = self._kernels.write_until(self._memory, horizon_ns, columns.WRITES)
        return self._note_progress() or oldest_ns <= horizon_ns

    def ring_packets(self, number: int) -> int:
        """Packets of ring `number` that are in the file."""
        known = self._memory.rings if self._ended is None else self._ended
        return int(known[number][columns.RING_PACKETS])

    def messages(self, number: int) -> tuple[int, int, int, int]:
        """Messages, trace events, conntrack events and malformed datagrams of socket `number`."""
        row = self._memory.inboxes[number]
        return (
            int(row[columns.INBOX_MESSAGES]),
            int(row[columns.INBOX_TRACE]),
            int(row[columns.INBOX_CONNTRACK]),
            int(row[columns.INBOX_MALFORMED]),
        )

    def messages_written(self, number: int) -> int:
        """Messages of socket `number` that are in a file."""
        return self.messages(number)[0] - self._kernels.count_waiting(self._memory, number)

    def generations(self, number: int) -> int:
        """Ruleset changes that socket `number` has heard of."""
        return int(self._memory.inboxes[number][columns.INBOX_GENERATIONS])

    def give_up(self) -> None:
        """After an error: receive what waits in the sockets, and count all that waits as not written."""
        self._kernels.receive_all(self._memory)
        for row in self._memory.inboxes[:-1]:
            begin, end = (row[columns.INBOX_BASE] + row[at] for at in (columns.INBOX_HEAD, columns.INBOX_TAIL))
            self._take_back(bytes(self._memory.octets[begin:end]))
            row[columns.INBOX_HEAD] = row[columns.INBOX_TAIL]

    def unwritten_messages(self, number: int) -> int:
        """Messages of socket `number` that were received and could not be written."""
        return int(self._unwritten[number])

    def _take_back(self, blocks: bytes) -> int:
        """Count no more what is in these blocks; returns how many packets."""
        known = self._memory.rings if self._ended is None else self._ended
        before = [row[columns.INBOX_MESSAGES] for row in self._inboxes]
        packets = take_back(known, self._inboxes, blocks)
        self.drops.take_back(blocks)
        for number, row in enumerate(self._inboxes):
            self._unwritten[number] += before[number] - row[columns.INBOX_MESSAGES]
        return packets

    def _replace_rings(self, rows: Sequence[Row]) -> None:
        self._memory.replace_rings(rows)
        self._progress[columns.LONGEST_PAUSE_NS] = longest_pause_ns(rows, self._sockets)

    def _write_until(self, horizon_ns: int) -> None:
        while self.write_some(horizon_ns):
            pass

    def _note_progress(self) -> bool:
        """See to what the kernels leave to Python; returns whether they had stopped in the middle of writing."""
        progress = self._progress
        self._output.written += int(progress[columns.WRITTEN_BYTES])
        if progress[columns.PAUSE_BYTES] != columns.NEVER:
            progress[columns.PAUSE_BYTES] -= progress[columns.WRITTEN_BYTES]
        progress[columns.WRITTEN_BYTES], stopped = 0, progress[columns.BATCH_DONE] >= 0
        if stopped:
            pieces = self._memory.pieces[: progress[columns.BATCH_PIECES]]
            blocks = b"".join(ctypes.string_at(address, length) for address, length in pieces)
            before = self._output.written
            try:
                self._output.write_rest(memoryview(blocks), int(progress[columns.BATCH_DONE]))
            except TtraceError:
                left = self._take_back(blocks[self._output.written - before :])
                progress[columns.WRITTEN_PACKETS] += progress[columns.BATCH_PACKETS] - left
                progress[columns.BATCH_DONE] = -1
                raise
            self._kernels.end_batch(self._memory)
            progress[columns.WRITTEN_BYTES] = 0
        if self.is_full and self.full_ns is None:
            self.full_ns = int(progress[columns.LAST_PACKET_NS])
        for listener, row in zip(self._sockets, self._inboxes, strict=True):
            if row[columns.INBOX_OVERRUNS] != listener.overruns:
                listener.overruns = int(row[columns.INBOX_OVERRUNS])
                listener.read_lost()
        if progress[columns.ERROR]:
            raise OSError(int(progress[columns.ERROR]), os.strerror(int(progress[columns.ERROR])))
        return bool(stopped)
