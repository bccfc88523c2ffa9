"""The loop, with a clock that was set, and under load."""

import os
import select
import time

import numpy as np
import pytest

from ttrace.capture.kernels import columns, loop

from .made_up import Packet, made_up, make_sink

HOUR_NS = 3_600_000_000_000


def recorded(intake, *, newest_ns: int = columns.NEVER - 1, longest_pause_ns: int = 0) -> tuple[bytes, np.ndarray]:
    """What the loop writes in 0.1 s, and its progress."""
    descriptor = os.memfd_create("written")
    progress = np.zeros(columns.PROGRESS_COLUMNS, np.int64)
    progress[columns.LONGEST_PAUSE_NS] = longest_pause_ns
    progress[columns.PAUSE_BYTES] = columns.NEVER
    events = np.zeros(columns.EVENTS * 3, np.uint32)
    with select.epoll() as epoll:
        sink = make_sink(descriptor, columns.NEVER)
        loop.record(intake, sink, progress, epoll.fileno(), events, -1, newest_ns, 100_000_000)
    try:
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0), progress
    finally:
        os.close(descriptor)


@pytest.mark.fault("clock", "set back by an hour while packets wait in the rings", "they are written at once")
def test_packets_from_before_the_clock_was_set_back_are_written():
    now_ns = time.time_ns()
    before = Packet(time_ns=now_ns + HOUR_NS, data=b"from before it")
    after = Packet(time_ns=now_ns - 20_000_000, data=b"and after")
    blocks, _ = recorded(made_up([[[before]], [[after]]]))
    assert blocks == after.block(1) + before.block(0)


@pytest.mark.fault("clock", "set back by an hour just before the end", "what came before it is in the file")
def test_packets_from_before_the_clock_was_set_back_are_written_at_the_end():
    now_ns = time.time_ns()
    before = Packet(time_ns=now_ns + HOUR_NS, data=b"from before it")
    blocks, _ = recorded(made_up([[[before]]]), newest_ns=now_ns)
    assert blocks == before.block(0)


@pytest.mark.fault(
    "clock", "set forward by an hour while packets wait in the rings", "they are written, in their order"
)
def test_packets_from_before_the_clock_was_set_forward_are_written():
    now_ns = time.time_ns()
    packets = [Packet(time_ns=now_ns - HOUR_NS + number, data=b"old") for number in range(3)]
    later = Packet(time_ns=now_ns - 20_000_000, data=b"new")
    blocks, _ = recorded(made_up([[packets], [[later]]]))
    assert blocks == b"".join(packet.block(0) for packet in packets) + later.block(1)


def test_packets_that_are_only_just_to_come_wait_for_their_order():
    later = Packet(time_ns=time.time_ns() + 500_000_000, data=b"not yet")
    assert recorded(made_up([[[later]]]))[0] == b""


def test_under_load_the_loop_pauses_and_else_it_waits():
    now_ns = time.time_ns()
    one = Packet(time_ns=now_ns - 20_000_000, data=bytes(1_000))
    many = [Packet(time_ns=now_ns - 20_000_000, data=bytes(1_000)) for _ in range(20)]
    _, quiet = recorded(made_up([[[one]]]), longest_pause_ns=5_000_000)
    assert quiet[columns.PAUSE_NS] == 0
    intake = made_up([[many] * 100], blocks=200)
    progress = np.zeros(columns.PROGRESS_COLUMNS, np.int64)
    progress[columns.LONGEST_PAUSE_NS] = 5_000_000
    progress[columns.PAUSE_BYTES] = columns.NEVER
    progress[columns.LAST_WRITE_NS] = time.monotonic_ns() - 50_000_000
    sink = make_sink(os.open(os.devnull, os.O_WRONLY), columns.NEVER)
    loop._write_what_is_due(intake, sink, progress, time.monotonic_ns(), columns.NEVER - 1, False)
    os.close(sink.descriptor)
    assert progress[columns.WRITTEN_PACKETS] == 2_000
    assert progress[columns.PAUSE_NS] == 5_000_000
