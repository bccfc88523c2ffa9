"""Feeds everything recorded into one time-ordered stream of pcapng blocks: the Python side of `convert.py`.

Importing this module imports numba, which takes a third of a second: the rings are open, and buffer, by then.
"""

import ctypes
import time
from dataclasses import dataclass

import numpy as np

from ..pcapng.blocks import LinkType
from . import convert
from .arena import Arena
from .netlink import SLOT_BYTES, SLOTS, STAGE_BYTES, NetfilterSocket
from .output import OutputFile
from .ring import BLOCK_BYTES, Ring

_OUTPUT_BYTES = 4 << 20
_LENGTH_WORD = 14
"""Position of msg_len in struct mmsghdr, in 32-bit words, on 64-bit machines."""
_BATCH_WORDS = 16


@dataclass(slots=True)
class Waiting:
    """A finished block from Python (a snapshot) that goes into the file when its time has come."""

    time_ns: int
    block: bytes


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
        self._limit = convert.NEVER if packet_limit is None else packet_limit
        self.packets = 0
        self.full_ns: int | None = None
        """Until when every packet was taken, once the packet limit is reached."""
        self._waiting: list[Waiting] = []
        self._memory = np.frombuffer(
            memoryview((ctypes.c_uint8 * arena.length).from_address(arena.address)), dtype=np.uint8
        )
        self._halfwords = self._memory.view(np.uint16)
        self._words = self._memory.view(np.uint32)
        buffer = bytearray(_OUTPUT_BYTES)
        self._out_view = memoryview(buffer)
        self._out = np.frombuffer(buffer, dtype=np.uint8)
        self._out_words = self._out.view(np.uint32)
        self._rings = np.zeros((0, convert.RING_COLUMNS), dtype=np.int64)
        self._ended: convert.State | None = None
        self._times = np.zeros(0, dtype=np.int64)
        self._stages = np.zeros((len(sockets), convert.STAGE_COLUMNS), dtype=np.int64)
        for row, (listener, interface) in zip(self._stages, sockets, strict=True):
            row[convert.STAGE_BASE] = listener.stage
            row[convert.STAGE_BYTES] = STAGE_BYTES
            row[convert.STAGE_INTERFACE] = interface
        for ring, interface in rings:
            self.add_ring(ring, interface)
        self._lengths = [
            np.frombuffer(memoryview(listener.headers).cast("B"), dtype=np.uint32).reshape(SLOTS, _BATCH_WORDS)[
                :, _LENGTH_WORD
            ]
            for listener, _ in sockets
        ]
        self._sockets = [listener for listener, _ in sockets]
        self._last_ns = 0

    @property
    def is_full(self) -> bool:
        """Whether the packet limit is reached."""
        return self.packets >= self._limit

    def add_ring(self, ring: Ring, interface: int) -> None:
        """Take packets from one more ring, whose pcapng interface id is `interface`."""
        row = np.zeros((1, convert.RING_COLUMNS), dtype=np.int64)
        row[0, convert.RING_BASE] = ring.offset
        row[0, convert.RING_BLOCK_BYTES] = BLOCK_BYTES
        row[0, convert.RING_BLOCKS] = ring.blocks
        row[0, convert.RING_INTERFACE] = interface
        row[0, convert.RING_ETHERNET] = ring.link_type is LinkType.ETHERNET
        self._rings = np.concatenate([self._rings, row])
        self._times = np.zeros(len(self._rings) + len(self._stages), dtype=np.int64)

    def is_drained(self, number: int) -> bool:
        """Whether ring `number` has no block that the kernel handed over and that is not yet written."""
        row = self._rings[number]
        block = row[convert.RING_BASE] + row[convert.RING_CURRENT] * row[convert.RING_BLOCK_BYTES]
        return not (row[convert.RING_LEFT] or row[convert.RING_FINISHED] or convert.is_ours(self._words, block))

    def remove_ring(self, number: int) -> int:
        """Look at ring `number` no more, so that its memory can be freed; returns how many packets came from it.

        The rings behind it move up by one.
        """
        packets = self.ring_packets(number)
        self._rings = np.delete(self._rings, number, axis=0)
        return packets

    def end_packets(self) -> None:
        """Take no more packets; what is still in the rings came after the end."""
        self._ended = self._rings
        self._rings = np.zeros((0, convert.RING_COLUMNS), dtype=np.int64)

    def add(self, time_ns: int, block: bytes) -> None:
        """Put a finished packet block into the stream at its time."""
        self._waiting.append(Waiting(time_ns, block))
        self._waiting.sort(key=lambda waiting: waiting.time_ns)

    def receive(self, number: int) -> bool:
        """Take one batch from socket `number`; returns whether there may be more."""
        stage = self._stages[number]
        if stage[convert.STAGE_BYTES] - stage[convert.STAGE_TAIL] < 2 * SLOTS * SLOT_BYTES:
            return False
        listener = self._sockets[number]
        count = listener.receive()
        if count == 0:
            return False
        self._last_ns = max(self._last_ns, time.time_ns())
        convert.stage_netlink(
            self._memory, self._halfwords, self._words, self._stages, number, listener.slots, SLOT_BYTES,
            self._lengths[number], count, self._last_ns,
        )  # fmt: skip
        return count == SLOTS

    def write_until(self, horizon_ns: int) -> None:
        """Write everything up to `horizon_ns`, oldest first, and more if a buffer is half full. Raises TtraceError."""
        if convert.is_urgent(self._words, self._rings, self._stages):
            horizon_ns = convert.NEVER - 1
        while self._waiting and self._waiting[0].time_ns <= horizon_ns:
            self._merge(self._waiting[0].time_ns - 1)
            self._output.append(self._waiting.pop(0).block)
        self._merge(horizon_ns)
        convert.compact(self._memory, self._stages)

    def ring_packets(self, number: int) -> int:
        """Packets of ring `number` that are in the file."""
        rings = self._rings if self._ended is None else self._ended
        return int(rings[number, convert.RING_PACKETS])

    def messages(self, number: int) -> tuple[int, int, int, int]:
        """Messages, trace events, conntrack events and malformed datagrams of socket `number`."""
        row = self._stages[number]
        return (
            int(row[convert.STAGE_MESSAGES]),
            int(row[convert.STAGE_TRACE]),
            int(row[convert.STAGE_CONNTRACK]),
            int(row[convert.STAGE_MALFORMED]),
        )

    def generations(self, number: int) -> int:
        """Ruleset changes that socket `number` has heard of."""
        return int(self._stages[number, convert.STAGE_GENERATIONS])

    def _merge(self, horizon_ns: int) -> None:
        again = True
        while again:
            length, packets, again = convert.merge(
                self._memory, self._halfwords, self._words, self._rings, self._stages, self._times,
                self._out, self._out_words, horizon_ns, self._limit - self.packets,
            )  # fmt: skip
            convert.release(self._words, self._rings)
            self.packets += int(packets)
            if length:
                if self.is_full and self.full_ns is None:
                    self.full_ns = _last_time(self._out_words, int(length))
                self._output.append(self._out_view[: int(length)])


def _last_time(words: convert.Words, length_bytes: int) -> int:
    """Time of the last of the enhanced packet blocks in the first `length_bytes`."""
    end = length_bytes // 4
    start = end - int(words[end - 1]) // 4
    return int(words[start + 3]) << 32 | int(words[start + 4])


def compile_kernels() -> None:
    """Compile the converter (or load it from numba's cache) by running it on nothing."""
    memory = np.zeros(64, dtype=np.uint8)
    halfwords, words = memory.view(np.uint16), memory.view(np.uint32)
    rings = np.zeros((0, convert.RING_COLUMNS), dtype=np.int64)
    stages = np.zeros((1, convert.STAGE_COLUMNS), dtype=np.int64)
    times = np.zeros(1, dtype=np.int64)
    # A column of a batch is strided, which is a type of its own to numba.
    lengths = np.zeros((1, _BATCH_WORDS), dtype=np.uint32)[:, _LENGTH_WORD]
    convert.is_urgent(words, rings, stages)
    convert.stage_netlink(memory, halfwords, words, stages, 0, 0, SLOT_BYTES, lengths, 0, 0)
    convert.merge(memory, halfwords, words, rings, stages, times, memory, words, 0, 0)
    convert.release(words, rings)
    convert.compact(memory, stages)
