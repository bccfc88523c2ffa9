"""A capture in pieces is the capture: its records, interfaces and facts, in little memory."""

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from ttrace.correlate.decode.frames import dissect_packets, observations_by_chunk
from ttrace.correlate.decode.observations import concatenate
from ttrace.correlate.netfilter.sources import decode_messages
from ttrace.correlate.nodes.snapshots import read_snapshots
from ttrace.errors import TtraceError
from ttrace.pcapng import chunks, classic, sections
from ttrace.pcapng.chunks import open_in_chunks
from ttrace.pcapng.read import CaptureFile, is_packet_interface, read_capture
from ttrace.pcapng.record_times import RecordTimes

from .blocks import BIG, LITTLE
from .test_read import mutated

CAPTURES = sorted((Path(__file__).parents[2] / "pcaps").glob("*/*.pcapng"))
FRAME = bytes(range(60))
fuzz = settings(deadline=None, max_examples=100)


def cooked(index: int) -> bytes:
    """A packet of LINUX_SLL2."""
    return struct.pack(">HHIHBB8x", 0x800, 0, index, 1, 0, 6) + FRAME


def many_sections() -> bytes:
    data = b""
    for number, writer in enumerate((LITTLE, BIG, LITTLE)):
        data += writer.section() + writer.interface("a") + writer.interface("any", link_type=276)
        for k in range(40 + number):
            data += writer.enhanced(cooked(k % 5) if k % 3 else FRAME, interface=min(k % 3, 1), time=10**15 + k)
            if k % 10 == 9:
                data += writer.statistics((5, writer.pack("Q", k)), interface=k % 2) + writer.block(9, b"journal")
            if k == 20:
                data += writer.interface("late") + writer.enhanced(FRAME, interface=3) + writer.interface("later")
    return data


FILES = {
    "sections": many_sections(),
    "pcap": LITTLE.pcap(*((k, k, FRAME[: k % 50]) for k in range(200)), link_type=276),
    "cut": many_sections()[:-5],
    "damaged": many_sections()[:-5] + b"damage" * 9,
    "nothing": LITTLE.section(),
    "interfaces": LITTLE.section() + LITTLE.interface("x", link_type=276),
}


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Places that are remembered, and windows of the mapping, as they are in a large file."""
    monkeypatch.setattr(chunks, "_AT_ONCE", 16)
    monkeypatch.setattr(sections, "WINDOW", 4096)
    monkeypatch.setattr(classic, "WINDOW", 4096)


def assert_same(path: Path, per_chunk: int) -> None:
    whole, found = read_capture(path), open_in_chunks(path)
    pieces = list(found.chunks(per_chunk))
    assert b"".join(c.capture.records.tobytes() for c in pieces) == whole.records.tobytes()
    assert [c.capture.first for c in pieces] == list(range(0, found.size, per_chunk))
    assert found.size == whole.records.size
    assert [c.consumed for c in pieces] == sorted({c.consumed for c in pieces})
    for name in ("path", "interfaces", "facts", "statistics", "names", "malformed", "truncated_at"):
        assert getattr(found.capture, name) == getattr(whole, name), name
    interface = np.minimum(whole.records["interface"], len(whole.interfaces))
    times = whole.records["time_ns"]
    is_snapshot = np.array([i.facts.get("what") == "snapshot" for i in whole.interfaces] + [False])[interface]
    seen = times[~is_snapshot]
    assert found.times.span_ns == ((seen.min(), seen.max()) if seen.size else None)
    assert found.times.first_ns == (times[0] if times.size else 0)
    assert vars(found.times) == vars(RecordTimes.of(whole))
    assert read_snapshots(found.capture) == read_snapshots(whole)
    numbers = np.arange(1 + per_chunk % 3, whole.records.size + 1, 1 + per_chunk % 7)
    assert found.records_of(numbers).tobytes() == whole.records.take(numbers - 1).tobytes()


@pytest.mark.parametrize("per_chunk", [1, 7, 1000, 1 << 18])
@pytest.mark.parametrize("path", CAPTURES[:4], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_capture_in_pieces_is_the_capture(path, per_chunk):
    assert_same(path, per_chunk)


@pytest.mark.parametrize("per_chunk", [1, 5, 1000])
@pytest.mark.parametrize("name", FILES)
def test_files_of_all_shapes_in_pieces(name, per_chunk, tmp_path):
    (tmp_path / "x").write_bytes(FILES[name])
    assert_same(tmp_path / "x", per_chunk)


def test_a_compressed_capture_in_pieces(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(CAPTURES[0].read_bytes()))
    assert_same(path, 100)
    path.write_bytes(path.read_bytes()[:-3000])
    assert_same(path, 100)
    assert open_in_chunks(path).capture.truncated_at is not None


@fuzz
@given(data=mutated())
def test_a_damaged_file_in_pieces_is_that_file(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("damaged") / "x"
    path.write_bytes(data)
    try:
        read_capture(path)
    except TtraceError as error:
        refused = str(error)
    else:
        assert_same(path, 11)
        return
    with pytest.raises(TtraceError) as caught:
        open_in_chunks(path)
    assert str(caught.value) == refused


@pytest.mark.parametrize("path", CAPTURES[:2], ids=lambda path: path.stem)
def test_packets_and_messages_in_pieces_are_those_of_the_file(path):
    whole, found = read_capture(path), open_in_chunks(path)
    count = len(whole.interfaces)
    at = np.arange(count, dtype=np.uint32), np.arange(count).astype(np.uint16)
    rows = dissect_packets(whole, 3, *at)
    pieces = [o for _, o in observations_by_chunk(found, 3, *at, records_per_chunk=70)]
    assert len(pieces) > 5
    together = concatenate(pieces)
    assert together.rows.tolist() == rows.rows.tolist()
    assert together.outers.tolist() == rows.outers.tolist()
    assert (together.kept == rows.kept).all()
    messages = decode_messages(whole, 3, at[1])
    parts = [decode_messages(c.capture, 3, at[1]) for c in found.chunks(70)]
    for name in ("time_ns", "frame", "id", "table", "verdict"):
        assert np.concatenate([p.events[name] for p in parts]).tolist() == messages.events[name].tolist(), name
    assert np.concatenate([p.headers for p in parts]).tolist() == messages.headers.tolist()
    assert np.concatenate([p.conntrack for p in parts]).tolist() == messages.conntrack.tolist()


def test_progress_counts_bytes_up_to_the_end(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(FILES["sections"])
    said = []
    found = open_in_chunks(path, progress=lambda *bytes_: said.append(bytes_))
    assert said == sorted(said)
    assert said[-1] == (len(FILES["sections"]),) * 2
    assert list(found.chunks(50))[-1].consumed == len(FILES["sections"])


def test_memory_stays_bounded_whatever_the_size(tmp_path):
    """300 MB of packets."""
    path = tmp_path / "large.pcapng"
    with path.open("wb") as file:
        file.write(LITTLE.section() + LITTLE.interface("a"))
        block = LITTLE.enhanced(bytes(1500), time=10**15) * 1000
        for _ in range(200):
            file.write(block)
    code = """if True:
        import resource, sys
        from ttrace.pcapng.chunks import open_in_chunks
        from ttrace.correlate.decode.frames import observations_by_chunk
        import numpy as np
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        at = np.zeros(1, np.uint32), np.zeros(1, np.uint16)
        def read(path):
            found = observations_by_chunk(open_in_chunks(path), 0, *at, records_per_chunk=5000)
            return sum(o.rows.size for _, o in found)
        read(sys.argv[1])
        before = peak()
        count = read(sys.argv[2])
        print(count, peak() - before)"""
    argv = [sys.executable, "-c", code, str(CAPTURES[0]), str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    count, grown = map(int, done.stdout.split())
    assert count == 200_000
    assert grown < 60


def test_only_packets_are_packets():
    capture: CaptureFile = open_in_chunks(CAPTURES[0]).capture
    kinds = {i.facts.get("what") for i in capture.interfaces if not is_packet_interface(i)}
    assert "snapshot" in kinds
    assert 0 < capture.records.size < 100
