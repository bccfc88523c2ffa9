"""A file that is walked over on all cores is the file: the records of one walk from its start to its end."""

import random

import numpy as np
import pytest

from ttrace.kernels import threads
from ttrace.pcapng import parallel_walk, read, sections
from ttrace.pcapng.capture_file import RECORD
from ttrace.pcapng.walk import find_block

from .blocks import BIG, LITTLE, Writer

BOTH_ORDERS = pytest.mark.parametrize("writer", [LITTLE, BIG], ids=["little", "big"])


@pytest.fixture(autouse=True)
def many_pieces(monkeypatch):
    """Files of a few kilobytes in as many pieces as large ones."""
    monkeypatch.setattr(parallel_walk, "LEAST_PIECE", 1 << 10)
    monkeypatch.setattr(read, "LEAST_PIECE", 1 << 10)
    monkeypatch.setattr(read, "_FEW", 4)
    monkeypatch.setattr(threads, "threads", lambda: 4)
    monkeypatch.setattr(sections, "WINDOW", 4096)


def in_one_walk(path):
    """The reader's own walk, without pieces."""
    reader = read.open_reader(path)
    records = np.empty(1 << 16, RECORD)
    records = records[: reader.read(records)]
    return reader.capture, records


def assert_same(data: bytes, path) -> None:
    path.write_bytes(data)
    capture, records = in_one_walk(path)
    found = read.read_capture(path)
    assert found.records.tobytes() == records.tobytes()
    for name in ("interfaces", "facts", "statistics", "names", "malformed", "truncated_at"):
        assert getattr(found, name) == getattr(capture, name), name


def packets(writer: Writer, rng: random.Random, count: int, *, more: bool) -> bytes:
    """Enhanced packets, and `more` of all kinds of blocks between them."""
    data = b""
    for k in range(count):
        data += writer.enhanced(rng.randbytes(rng.randrange(400)), time=10**15 + k, interface=k % 7 == 3)
        if more and rng.random() < 0.1:
            data += rng.choice(
                [
                    writer.statistics((5, writer.pack("Q", k)), interface=k % 3),
                    writer.names((1, bytes([10, 0, 0, k % 250]) + b"host\0")),
                    writer.block(9, b"journal"),
                    writer.block(0x99, b"unknown"),
                    writer.simple(b"simple"),
                    writer.enhanced(b"of none", interface=99),
                ]
            )
    return data


@BOTH_ORDERS
@pytest.mark.parametrize("more", [False, True])
def test_a_file_in_pieces_is_the_file(writer, more, tmp_path):
    rng = random.Random(4)
    head = writer.section() + writer.interface("a") + writer.interface("b")
    data = head + packets(writer, rng, 400, more=more)
    for cut in (0, 1, 5, 400, 3_001):
        assert_same(data[: len(data) - cut], tmp_path / "x")
    middle = len(head) + len(data) // 2 // 4 * 4
    assert_same(data[:middle] + b"damage.." * 3 + data[middle:], tmp_path / "x")


@BOTH_ORDERS
def test_interfaces_and_sections_between_the_packets(writer, tmp_path):
    rng = random.Random(5)
    other = BIG if writer is LITTLE else LITTLE
    data = b""
    for k in range(12):
        each = other if k % 3 == 2 else writer
        data += each.section() if k % 2 == 0 or k % 3 < 2 else b""
        each = each if data.endswith(each.section()) else writer
        data += each.interface(f"a{k}") + packets(each, rng, 30, more=True) + each.interface(f"b{k}")
        data += packets(each, rng, 60, more=True)
    assert_same(data, tmp_path / "x")


@BOTH_ORDERS
def test_captures_within_packets_mislead_nobody(writer, tmp_path):
    """Someone copied a capture over the network: its blocks stand in the packets, at multiples of four."""
    rng = random.Random(6)
    inside = writer.section() + writer.interface("inside") + packets(writer, rng, 60, more=False)
    packet = writer.enhanced(inside, time=10**15)
    data = writer.section() + writer.interface("a") + writer.interface("b")
    data += (packets(writer, rng, 5, more=True) + packet * 3) * 8
    near = data.index(packet) + 400 & ~3
    big = writer is BIG
    found = int(find_block(np.frombuffer(data, np.uint8), near, near + 4_000, big))
    assert near <= found < data.index(packet) + len(packet), "a guess that is wrong"
    assert_same(data, tmp_path / "x")
