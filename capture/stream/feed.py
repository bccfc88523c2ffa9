"""Feeds everything recorded into one time-ordered stream of pcapng blocks: the Python side of `loop.py`.

Importing this module imports numba, which takes a third of a second: the rings are open, and buffer, by then.
"""

import ctypes
import os
import select
import time

import numpy as np

from ...pcapng.blocks import LinkType
from ..sockets.arena import Arena
from ..sockets.netfilter import STAGE_BYTES, NetfilterSocket
from ..sockets.ring import BLOCK_BYTES, Ring
from . import convert, loop, sources, staging
from .output import OutputFile
from .syscalls import EVENT_WORDS


class Stream:
    """Sorts the packets of all rings and the messages of all sockets into the output."""

    def __init__(
        self,
        arena: Arena,
        output: OutputFile,
        rings: list[tuple[Ring, int]],
        sockets: list[tuple[NetfilterSocket, int]],
        packet_limit: int | None,
    ) -> None:
        """`rings` and `sockets` come with their pcapng interface ids."""
        self._output = output
        self.full_ns: int | None = None
        """Until when every packet was taken, once the packet limit is reached."""
        self._ended: sources.State | None = None
        memory = np.frombuffer(memoryview((ctypes.c_uint8 * arena.length).from_address(arena.address)), dtype=np.uint8)
        # The last stage is for what comes from Python.
        self._sources = _sources(memory, rings=0, stages=len(sockets) + 1)
        self._sink = _sink(output.descriptor, sources.NEVER if packet_limit is None else packet_limit)
        self._progress = np.zeros(sources.PROGRESS_COLUMNS, dtype=np.int64)
        self._events = np.zeros(loop.EVENTS * EVENT_WORDS, dtype=np.uint32)
        self._sockets = [listener for listener, _ in sockets]
        self._epoll = select.epoll()
        self._sources.stages[:, sources.STAGE_BYTES] = STAGE_BYTES
        self._sources.stages[-1, sources.STAGE_BASE] = arena.allocate(STAGE_BYTES)
        self._sources.stages[-1, sources.STAGE_DESCRIPTOR] = sources.NO_SOCKET
        self._sources.stages[-1, sources.STAGE_WAKE] = sources.NO_SOCKET
        for row, (listener, interface) in zip(self._sources.stages[:-1], sockets, strict=True):
            row[sources.STAGE_BASE] = listener.stage
            row[sources.STAGE_INTERFACE] = interface
            row[sources.STAGE_DESCRIPTOR] = listener.socket.fileno()
            row[sources.STAGE_SLOTS] = listener.slots
            row[sources.STAGE_BATCH] = listener.batch
            if listener.stamps:
                row[sources.STAGE_STAMPS] = listener.stamps.offset
                row[sources.STAGE_STAMPS_BYTES] = listener.stamps.length_bytes
                row[sources.STAGE_WAKE] = listener.stamps.fd
                # Edge-triggered: stamps wait all the time, and only now and then are we woken for them.
                self._epoll.register(listener.stamps.fd, select.EPOLLIN | select.EPOLLET)
            else:
                row[sources.STAGE_WAKE] = listener.socket.fileno()
                self._epoll.register(listener.socket.fileno(), select.EPOLLIN)
        for ring, interface in rings:
            self.add_ring(ring, interface)

    def close(self) -> None:
        """Stop listening to the rings and sockets."""
        self._epoll.close()

    @property
    def packets(self) -> int:
        """Packets written."""
        return int(self._progress[sources.WRITTEN_PACKETS])

    @property
    def is_full(self) -> bool:
        """Whether the packet limit is reached."""
        return self.packets >= self._sink.packet_limit

    def add_ring(self, ring: Ring, interface: int) -> None:
        """Take packets from one more ring, whose pcapng interface id is `interface`."""
        row = np.zeros((1, sources.RING_COLUMNS), dtype=np.int64)
        row[0, sources.RING_BASE] = ring.offset
        row[0, sources.RING_BLOCK_BYTES] = ring.block_bytes
        row[0, sources.RING_BLOCKS] = ring.blocks * BLOCK_BYTES // ring.block_bytes
        row[0, sources.RING_INTERFACE] = interface
        row[0, sources.RING_ETHERNET] = ring.link_type is LinkType.ETHERNET
        self._replace_rings(np.concatenate([self._sources.rings, row]))
        # Edge-triggered: a ring stays readable as long as blocks are held back, and would wake us all the time.
        self._epoll.register(ring.socket.fileno(), select.EPOLLIN | select.EPOLLET)

    def is_drained(self, number: int) -> bool:
        """Whether ring `number` has no block that the kernel handed over and that is not yet written."""
        row = self._sources.rings[number]
        block = row[sources.RING_BASE] + row[sources.RING_CURRENT] * row[sources.RING_BLOCK_BYTES]
        waits = row[sources.RING_LEFT] or row[sources.RING_FINISHED] or convert.is_ours(self._sources.words, block)
        return not waits

    def remove_ring(self, number: int, ring: Ring) -> int:
        """Look at `ring`, which is number `number`, no more, so that it can be closed; returns how many packets came
        from it.

        The rings behind it move up by one.
        """
        packets = self.ring_packets(number)
        self._replace_rings(np.delete(self._sources.rings, number, axis=0))
        self._epoll.unregister(ring.socket.fileno())
        return packets

    def end_packets(self) -> None:
        """Take no more packets; what is still in the rings came after the end."""
        self._ended = self._sources.rings
        self._replace_rings(np.zeros((0, sources.RING_COLUMNS), dtype=np.int64))

    def add(self, block: bytes) -> None:
        """Put a finished packet block (a snapshot) into the stream at its time, which is behind that of the one before.

        Raises TtraceError.
        """
        row = self._sources.stages[-1]
        if row[sources.STAGE_TAIL] + len(block) > STAGE_BYTES:
            self._write_until(sources.NEVER - 1)
        begin = int(row[sources.STAGE_BASE] + row[sources.STAGE_TAIL])
        self._sources.octets[begin : begin + len(block)] = np.frombuffer(block, dtype=np.uint8)
        row[sources.STAGE_TAIL] += len(block)

    def record(self, timeout_s: float, attention: int, *, newest_ns: int = sources.NEVER - 1) -> None:
        """Receive and write for so long, or until something has to be decided: `attention` is readable, a ruleset has
        changed, the packet limit is reached. Nothing later than `newest_ns` is written. Raises TtraceError."""
        loop.record(
            self._sources, self._sink, self._progress, self._epoll.fileno(), self._events, attention, newest_ns,
            int(timeout_s * 1e9),
        )  # fmt: skip
        self._note_progress()

    @property
    def settled_ns(self) -> int:
        """Until when every packet is handed over by the kernel."""
        return int(convert.settled_until(self._sources, time.time_ns()))

    def receive(self) -> None:
        """Receive what waits in every socket."""
        staging.receive_all(self._sources, self._progress)
        self._note_progress()

    def write_until(self, horizon_ns: int) -> None:
        """Write everything up to `horizon_ns`, oldest first, and more if a buffer is half full. Raises TtraceError."""
        self._write_until(sources.NEVER - 1 if convert.is_urgent(self._sources) else horizon_ns)

    def ring_packets(self, number: int) -> int:
        """Packets of ring `number` that are in the file."""
        rings = self._sources.rings if self._ended is None else self._ended
        return int(rings[number, sources.RING_PACKETS])

    def messages(self, number: int) -> tuple[int, int, int, int]:
        """Messages, trace events, conntrack events and malformed datagrams of socket `number`."""
        row = self._sources.stages[number]
        return (
            int(row[sources.STAGE_MESSAGES]),
            int(row[sources.STAGE_TRACE]),
            int(row[sources.STAGE_CONNTRACK]),
            int(row[sources.STAGE_MALFORMED]),
        )

    def generations(self, number: int) -> int:
        """Ruleset changes that socket `number` has heard of."""
        return int(self._sources.stages[number, sources.STAGE_GENERATIONS])

    def _replace_rings(self, rings: sources.State) -> None:
        times = np.zeros(len(rings) + len(self._sources.stages), dtype=np.int64)
        self._sources = self._sources._replace(rings=rings, times=times)

    def _write_until(self, horizon_ns: int) -> None:
        oldest_ns = 0
        while oldest_ns <= horizon_ns:
            oldest_ns = int(loop.write_until(self._sources, self._sink, self._progress, horizon_ns, loop.BATCHES))
            if self._note_progress():
                oldest_ns = 0

    def _note_progress(self) -> bool:
        """See to what the kernels leave to Python; returns whether they had stopped in the middle of writing."""
        progress = self._progress
        self._output.written += int(progress[sources.WRITTEN_BYTES])
        progress[sources.WRITTEN_BYTES] = 0
        stopped = progress[sources.BATCH_DONE] >= 0
        if stopped:
            pieces = self._sink.vectors[: progress[sources.BATCH_VECTORS]].tolist()
            blocks = b"".join(ctypes.string_at(address, length) for address, length in pieces)
            self._output.write_rest(memoryview(blocks), int(progress[sources.BATCH_DONE]))
            loop.end_batch(self._sources, progress)
            progress[sources.WRITTEN_BYTES] = 0
        if self.is_full and self.full_ns is None:
            self.full_ns = int(progress[sources.LAST_PACKET_NS])
        for listener, row in zip(self._sockets, self._sources.stages[:-1], strict=True):
            if row[sources.STAGE_OVERRUNS] != listener.overruns:
                listener.overruns = int(row[sources.STAGE_OVERRUNS])
                listener.read_lost()
        if progress[sources.ERROR]:
            raise OSError(int(progress[sources.ERROR]), os.strerror(int(progress[sources.ERROR])))
        return bool(stopped)


def _sources(memory: sources.Bytes, *, rings: int, stages: int) -> sources.Sources:
    return sources.Sources(
        octets=memory,
        halfwords=memory.view(np.uint16),
        words=memory.view(np.uint32),
        longwords=memory.view(np.int64),
        rings=np.zeros((rings, sources.RING_COLUMNS), dtype=np.int64),
        stages=np.zeros((stages, sources.STAGE_COLUMNS), dtype=np.int64),
        times=np.zeros(rings + stages, dtype=np.int64),
    )


def _sink(descriptor: int, packet_limit: int) -> sources.Sink:
    room = np.empty(convert.SINK_BYTES + convert.LARGEST_BLOCK_BYTES, dtype=np.uint8)
    room.fill(0)  # now, and not when packets arrive: memory that is used for the first time is slow
    return sources.Sink(
        octets=room,
        words=room.view(np.uint32),
        vectors=np.zeros((convert.VECTORS, 2), dtype=np.int64),
        descriptor=descriptor,
        packet_limit=packet_limit,
    )


def compile_kernels() -> None:
    """Compile the kernels (or load them from numba's cache) by running them on nothing."""
    nothing = _sources(np.zeros(64, dtype=np.uint8), rings=0, stages=0)
    sink = _sink(-1, 0)
    progress = np.zeros(sources.PROGRESS_COLUMNS, dtype=np.int64)
    events = np.zeros(loop.EVENTS * EVENT_WORDS, dtype=np.uint32)
    convert.is_urgent(nothing)
    convert.settled_until(nothing, 0)
    staging.receive_all(nothing, progress)
    loop.write_until(nothing, sink, progress, 0, 1)
    loop.end_batch(nothing, progress)
    loop.record(nothing, sink, progress, -1, events, -1, 0, 0)
