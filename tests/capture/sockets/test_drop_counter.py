"""Counting the kernel's drops by perf: what a record says, what is counted without one, and what is refused."""

import errno
import os
import socket
import struct
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttrace.capture.machine.kernel_functions import functions_at
from ttrace.capture.machine.perf import TracepointEvent
from ttrace.capture.machine.tracefs import Tracepoint, parse_tracepoint
from ttrace.capture.sockets import drop_counter
from ttrace.capture.sockets.drop_counter import DropCounter, Samples
from ttrace.capture.sources.drops import KernelDrops

FORMAT = """name: kfree_skb
ID: 1478
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:void * skbaddr;\toffset:8;\tsize:8;\tsigned:0;
\tfield:void * location;\toffset:16;\tsize:8;\tsigned:0;
\tfield:unsigned short protocol;\toffset:24;\tsize:2;\tsigned:0;
\tfield:enum skb_drop_reason reason;\toffset:28;\tsize:4;\tsigned:0;

print fmt: "reason: %s", __print_symbolic(REC->reason, { 1, "NOT_SPECIFIED" }, { 2, "NO_SOCKET" }, { 0x3, "TCP_CSUM" })
"""
"""Of a kernel that tells no socket."""
LISTED = b"""ffffffff81000000 T _stext
ffffffff81000100 T tcp_v4_rcv
ffffffff81000100 d a_table
ffffffff81000900 t nf_hook_slow
ffffffffc0000000 t in_a_module\t[nf_nat]
ffffffff81000500 T between
"""
SAMPLE, LOST, THROTTLED = 9, 2, 5  # PERF_RECORD_*


def sample(address: int, reason: int, *, misc: int = 1) -> bytes:
    raw = struct.pack("=HBBiQQHHI", 1478, 0, 0, 1, 0xFFFF888000000000 + reason, address, 0x800, 0, reason) + bytes(4)
    return struct.pack("=IHHI", SAMPLE, misc, 12 + len(raw), len(raw)) + raw


def other(kind: int, words: int) -> bytes:
    return struct.pack("=IHH", kind, 0, 8 + 8 * words) + b"\x09\0\0\0\x01\0\x30\0" * words


RECORDS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 32) - 1), st.integers(0, 3)),
        st.tuples(st.sampled_from([LOST, THROTTLED]), st.integers(0, 5)),
    )
)


@given(RECORDS)
def test_each_sample_is_counted_whatever_stands_between_them(records):
    written = [sample(*one[:2], misc=one[2]) if len(one) == 3 else other(*one) for one in records]
    counted = Counter()
    for run in Samples(parse_tracepoint("1478\n", FORMAT)).runs(b"".join(written)):
        counted.update(run)
    assert counted == Counter(one[:2] for one in records if len(one) == 3)


@given(st.binary().map(lambda data: data[: len(data) // 8 * 8]))
def test_any_bytes_are_gone_through(data):
    for run in Samples(parse_tracepoint("1478\n", FORMAT)).runs(data):
        assert all(len(one) == 2 for one in run)


def test_what_the_kernel_says_of_the_tracepoint_is_read():
    found = parse_tracepoint("1478\n", FORMAT)
    assert found.id == 1478
    assert (found.fields["location"], found.fields["reason"]) == ((16, 8), (28, 4))
    assert found.symbols == {1: "NOT_SPECIFIED", 2: "NO_SOCKET", 3: "TCP_CSUM"}


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        (
            LISTED,
            {0xFFFFFFFF810002FF: "tcp_v4_rcv", 0xFFFFFFFF81000500: "between", 0xFFFFFFFFC0000010: "in_a_module"},
        ),
        (b"0000000000000000 T _stext\n0000000000000000 T tcp_v4_rcv\n", {}),
        (b"", {}),
    ],
    ids=["shown", "not shown", "nothing"],
)
def test_functions_are_named_as_far_as_the_kernel_shows_them(listed, names):
    asked = [0xFFFFFFFF810002FF, 0xFFFFFFFF81000500, 0xFFFFFFFFC0000010, 0x1000]
    assert functions_at(listed, asked) == names


# The whole machine is counted, on which other tests may drop packets meanwhile: so many of them that ours find no room.


def send_to_nobody(count: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(count):
            sender.sendto(b"", ("127.0.0.1", 9))  # nobody listens there


def total(counts: drop_counter.Counts) -> int:
    return sum(sum(functions.values()) for functions in counts.values())


def test_drops_are_counted_from_one_look_to_the_next():
    with closing(DropCounter()) as counter:
        for _ in range(20):
            send_to_nobody(500)
            counter.look()
        counter.detach()
        counts = counter.counts()
        assert sum(counts["NO_SOCKET"].values()) + total({"": counts.get("", {})}) >= 10_000
        assert any(name.startswith("__udp4_lib_rcv") for name in counts["NO_SOCKET"])
        assert "NOT_SPECIFIED" not in counts
        send_to_nobody(100)
        assert counter.counts() == counts
        counter.forget()
        assert counter.counts() == {}


@pytest.mark.fault("losses", "more drops of the kernel than there is room to tell of", "the rest is counted, and said")
def test_what_there_was_no_room_for_is_counted_without_a_reason():
    sent = 20_000
    with closing(DropCounter()) as counter:
        send_to_nobody(sent)
        counter.detach()
        counts = counter.counts()
    assert counts[""][""] > sent // 3
    assert total(counts) >= sent


def open_now() -> set[str]:
    return {file.name for file in Path("/proc/self/fd").iterdir()}


def test_a_counter_that_is_closed_has_no_descriptor_any_more():
    before = open_now()
    DropCounter().close()
    assert open_now() == before


def refuse(*_args, **_more):
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        pytest.param(TracepointEvent, "enable", refuse, id="it cannot be begun"),
        pytest.param(drop_counter, "online_cpus", list, id="no processor"),
        pytest.param(
            drop_counter, "read_tracepoint",
            lambda *_: Tracepoint(id=1, fields={"location": (16, 8)}, symbols={1: "NOT_SPECIFIED"}), id="no reasons",
        ),
        pytest.param(
            drop_counter, "read_tracepoint",
            lambda *_: Tracepoint(id=1 << 30, fields={"location": (16, 8), "reason": (28, 4)},
                                  symbols={1: "NOT_SPECIFIED"}), id="no such tracepoint",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_leaves_nothing_open(monkeypatch, where, name, value):
    monkeypatch.setattr(where, name, value)
    before = open_now()
    with pytest.raises((OSError, KeyError, ValueError)):
        DropCounter()
    assert open_now() == before
    assert KernelDrops.instead() is None


def test_reasons_that_it_does_not_print_by_name_are_those_of_the_kernels_types(monkeypatch):
    found = drop_counter.read_tracepoint("skb", "kfree_skb")
    monkeypatch.setattr(
        drop_counter, "read_tracepoint", lambda *_: Tracepoint(id=found.id, fields=found.fields, symbols={})
    )
    with closing(DropCounter()) as counter:
        send_to_nobody(10)
        counter.detach()
        counts = counter.counts()
    assert counts["NO_SOCKET"]
    assert total(counts) >= 10
