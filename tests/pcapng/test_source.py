"""Compressed captures, stdin, `tcpdump -i any`: the packets of the plain file, or an error for people."""

import gzip
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import CookedLinuxV2

from ttrace.correlate import correlate_captures
from ttrace.correlate.result.values import InterfaceHop
from ttrace.errors import TtraceError
from ttrace.pcapng import spool
from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.read import read_capture
from ttrace.pcapng.write import enhanced_packet, interface_description, interface_statistics, section_header

REAL = Path(__file__).parents[2] / "pcaps" / "docker-http" / "master.pcapng"
fuzz = settings(deadline=None, max_examples=150)


def pzstd(data: bytes) -> bytes:
    """As pzstd writes it: a skippable frame before each frame."""
    half = len(data) // 2
    frames = [zstandard.compress(part) for part in (data[:half], data[half:])]
    return b"".join(struct.pack("<III", 0x184D2A50, 4, len(f)) + f for f in frames)


COMPRESS = {
    "gz": gzip.compress,
    "zst": zstandard.compress,
    "lz4": lz4.frame.compress,
    "members.gz": lambda d: b"".join(gzip.compress(d[i : i + 9000]) for i in range(0, len(d), 9000)),
    "frames.zst": lambda d: zstandard.compress(d[:7000]) + zstandard.compress(d[7000:]),
    "frames.lz4": lambda d: lz4.frame.compress(d[:7000]) + lz4.frame.compress(d[7000:]),
    "pzstd.zst": pzstd,
    "padded.gz": lambda d: gzip.compress(d) + bytes(70_000),
}


def assert_same(path: Path | str, data: bytes) -> None:
    plain, found = read_capture(REAL), read_capture(path)
    assert found.records.tolist() == plain.records.tolist()
    assert bytes(found.data) == data
    assert found.truncated_at is None
    assert found.path == str(path)


@pytest.mark.parametrize("name", COMPRESS)
def test_compressed_captures_are_the_captures(name, tmp_path):
    path = tmp_path / f"node.pcapng.{name}"
    path.write_bytes(COMPRESS[name](REAL.read_bytes()))
    assert_same(path, REAL.read_bytes())


@pytest.mark.parametrize(
    "argv", [["gzip"], ["zstd", "-q"], ["lz4", "-q"], ["zstd", "-q", "--ultra", "-20"]], ids=" ".join
)
def test_what_the_tools_write_is_read(argv, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(subprocess.run([*argv, "-c"], input=REAL.read_bytes(), capture_output=True, check=True).stdout)
    assert_same(path, REAL.read_bytes())


@pytest.mark.parametrize("name", ["gz", "zst", "lz4"])
@pytest.mark.fault("capture files", "a compressed file that is cut", "read as far as it goes, and said")
def test_a_compressed_stream_that_ends_early_gives_what_is_there_and_says_so(name, tmp_path):
    data = REAL.read_bytes()
    packed = COMPRESS[name](data)
    for size in (len(packed) // 2, len(packed) - 3):
        path = tmp_path / f"{size}.{name}"
        path.write_bytes(packed[:size])
        try:
            capture = read_capture(path)
        except TtraceError:  # zstd and lz4 give whole blocks only
            assert name != "gz"
            continue
        assert bytes(capture.data) == data[: capture.data.size]
        assert capture.truncated_at is not None


@pytest.mark.fault("capture files", "a compressed file cut at the end of a block", "said all the same")
def test_a_cut_at_the_end_of_a_block_is_still_reported(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(REAL.read_bytes())[:-8])  # all the data, and no checksum
    capture = read_capture(path)
    assert capture.data.size == REAL.stat().st_size
    assert capture.truncated_at == capture.data.size


@pytest.mark.fault("capture files", "damage behind the first member of a gzip file", "the first is read")
def test_damage_behind_the_first_member_keeps_the_first(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(REAL.read_bytes()) + b"trailing garbage")
    capture = read_capture(path)
    assert capture.data.size == REAL.stat().st_size
    assert capture.truncated_at == capture.data.size


@pytest.mark.parametrize(
    "data",
    [b"\x1f\x8b", b"\x1f\x8b" + b"x" * 50, b"\x28\xb5\x2f\xfd" + b"x" * 50, b"\x04\x22\x4d\x18" + b"x" * 50],
)
@pytest.mark.fault("capture files", "damaged compression", "one line that names the file")
def test_damaged_compression_is_an_error_that_names_the_file(data, tmp_path):
    path = tmp_path / "damaged.gz"
    path.write_bytes(data)
    with pytest.raises(TtraceError, match=r"damaged\.gz"):
        read_capture(path)


@pytest.mark.fault("capture files", "a compressed file that is no capture", "one line: what it begins with")
def test_compressed_files_that_are_no_captures_say_what_they_begin_with(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"hello, world"))
    with pytest.raises(TtraceError, match="begins with 68 65 6c 6c"):
        read_capture(path)


@fuzz
@given(
    head=st.sampled_from([b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\x50\x2a\x4d\x18"]),
    body=st.binary(max_size=300),
    good=st.booleans(),
)
def test_any_compressed_bytes_are_rows_or_an_error_for_people(tmp_path_factory, head, body, good):
    path = tmp_path_factory.mktemp("fuzz") / "x"
    path.write_bytes((gzip.compress(REAL.read_bytes()[:3000]) if good else b"") + head + body)
    try:
        capture = read_capture(path)
    except TtraceError:
        return
    assert capture.records["offset"].max(initial=0) <= capture.data.size


@pytest.mark.slow
def test_memory_stays_bounded_whatever_the_ratio(tmp_path):
    """400 MB of zeros behind a capture: 400 KB of gzip, 40 KB of zstd, 1.6 MB of lz4."""
    data = REAL.read_bytes()
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(data) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(400)) + packer.flush()
    (tmp_path / "x.gz").write_bytes(bomb)
    writer = zstandard.ZstdCompressor(level=3).compressobj()
    bomb = writer.compress(data) + b"".join(writer.compress(bytes(1 << 20)) for _ in range(400)) + writer.flush()
    (tmp_path / "x.zst").write_bytes(bomb)
    frame = lz4.frame.LZ4FrameCompressor()
    bomb = frame.begin() + frame.compress(data)
    bomb += b"".join(frame.compress(bytes(1 << 20)) for _ in range(400)) + frame.flush()
    (tmp_path / "x.lz4").write_bytes(bomb)
    code = """if True:
        import resource, sys
        from ttrace.pcapng.source import map_source
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert map_source(sys.argv[1]).data.size > 400e6
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"""
    for name in ("x.gz", "x.zst", "x.lz4"):
        argv = [sys.executable, "-c", code, str(tmp_path / name)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        assert int(done.stdout) < 150, name


@pytest.mark.parametrize("name", ["gz", "zst", "lz4"])
@pytest.mark.fault("capture files", "gigabytes of zeros, compressed", "refused before they are expanded")
def test_what_expands_to_no_capture_is_refused_before_it_fills_the_disk(name, tmp_path, monkeypatch):
    path = tmp_path / f"bomb.{name}"
    path.write_bytes(COMPRESS[name](b"A" * 20_000_000))
    written = []
    monkeypatch.setattr(spool.Spool, "write", lambda _spool, data: written.append(len(data)))
    with pytest.raises(TtraceError, match=r"bomb\.\w+` is not a capture file: it begins with 41 41 41 41"):
        read_capture(path)
    assert sum(written) < 4


@pytest.mark.fault("capture files", "an endless pipe that is no capture", "refused at once")
def test_a_pipe_without_end_that_is_no_capture_is_refused_at_once():
    code = "from ttrace.cli import main; main()"
    command = ["sh", "-c", f'yes | "{sys.executable}" -c "{code}" show -']
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "error: `stdin` is not a capture file: it begins with 79 0a 79 0a" in done.stderr


@pytest.mark.fault("capture files", "TMPDIR is full while a file is expanded", "one line that names the folder")
def test_a_full_disk_is_an_error_that_names_the_folder(tmp_path, monkeypatch):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(REAL.read_bytes()))
    monkeypatch.setenv("TMPDIR", "/some/folder")
    # /dev/full is a disk without room.
    monkeypatch.setattr(spool.tempfile, "TemporaryFile", lambda **_: open("/dev/full", "wb", buffering=0))  # noqa: SIM115, PTH123
    with pytest.raises(TtraceError, match=r"no room in `/some/folder` .* No space left") as caught:
        read_capture(path)
    assert "TMPDIR" in caught.value.hint


# --- stdin ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stdin(tmp_path):
    """Give bytes to descriptor 0 through a pipe or a file."""
    saved = os.dup(0)
    writers = []

    def give(data: bytes, how: str) -> None:
        path = tmp_path / "stdin"
        path.write_bytes(data)
        if how == "file":
            descriptor = os.open(path, os.O_RDONLY)
        else:
            process = subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE)
            descriptor = os.dup(process.stdout.fileno())
            process.stdout.close()
            writers.append(process)
        os.dup2(descriptor, 0)
        os.close(descriptor)

    yield give
    os.dup2(saved, 0)
    os.close(saved)
    for process in writers:
        process.wait(10)


@pytest.mark.parametrize("how", ["file", "pipe"])
@pytest.mark.parametrize("name", ["plain", "gz", "zst", "lz4"])
def test_stdin_is_read_like_a_file(how, name, stdin):
    data = REAL.read_bytes()
    stdin(COMPRESS.get(name, bytes)(data), how)
    assert_same("-", data)


@pytest.mark.fault("capture files", "a pipe that ends inside a block", "read as far as it goes, and said")
def test_a_cut_pipe_is_reported(stdin):
    stdin(REAL.read_bytes()[:-7], "pipe")
    assert read_capture("-").truncated_at is not None


@pytest.mark.fault("capture files", "nothing on stdin", "one line")
def test_nothing_on_stdin_is_an_error(stdin):
    stdin(b"", "pipe")
    with pytest.raises(TtraceError, match="`stdin` is empty"):
        read_capture("-")


@pytest.mark.fault("capture files", "stdin is a terminal", "refused in one line")
def test_a_terminal_is_refused():
    master, slave = os.openpty()
    code = "from ttrace.pcapng.source import map_source; map_source('-')"
    done = subprocess.run([sys.executable, "-c", code], stdin=slave, capture_output=True, text=True, check=False)
    os.close(master)
    os.close(slave)
    assert "TtraceError: stdin is a terminal" in done.stderr


@pytest.mark.fault("capture files", "stdin is closed", "one line")
def test_a_closed_stdin_is_an_error():
    code = "from ttrace.pcapng.source import map_source; map_source('-')"
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -c "{code}" <&-'], capture_output=True, text=True, check=False
    )
    assert "TtraceError: cannot read `stdin`" in done.stderr


# --- tcpdump -i any -------------------------------------------------------------------------------------------------


def cooked_file(path: Path, frames: list[tuple[int, int]]) -> None:
    """SLL2 frames of (interface index, packet type), one packet each."""
    packets = [bytes(CookedLinuxV2(ifindex=n, pkttype=kind) / IP(id=7, ttl=64) / UDP()) for n, kind in frames]
    path.write_bytes(
        section_header(node="host", system="", application="")
        + interface_description(link_type=LinkType.LINUX_SLL2, name="any", description="", facts={})
        + b"".join(enhanced_packet(interface=0, time_ns=10**18 + i * 1000, data=p) for i, p in enumerate(packets))
        + interface_statistics(interface=0, time_ns=10**18, received=9, dropped=3)
    )


def test_any_is_several_capture_points(tmp_path):
    path = tmp_path / "any.pcapng"
    cooked_file(path, [(5, 0), (3, 4), (1, 0), (5, 0)])
    capture = read_capture(path)
    assert [i.name for i in capture.interfaces] == ["any", "lo", "if3", "if5"]
    assert capture.records["interface"].tolist() == [3, 2, 1, 3]
    result = correlate_captures([f"node/any={path}"])
    hops = [h for h in result.path(1).hops if isinstance(h, InterfaceHop)]
    assert [(h.interface, h.direction) for h in hops][:2] == [("if5", "in"), ("if3", "out")]
    from ttrace.correlate.summaries.captures import capture_facts

    (facts,) = capture_facts(result)
    assert [(i.name, i.packets) for i in facts.interfaces] == [("lo", 1), ("if3", 1), ("if5", 2)]
    assert facts.lost == 3


def test_the_interfaces_are_those_of_tshark(tmp_path):
    path = tmp_path / "any.pcapng"
    cooked_file(path, [(n % 7 + 1, n % 5) for n in range(40)])
    done = subprocess.run(
        ["tshark", "-r", str(path), "-T", "fields", "-e", "sll.ifindex", "-e", "sll.pkttype"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    capture = read_capture(path)
    ours = [capture.interfaces[n].facts["ifindex"] for n in capture.records["interface"].tolist()]
    assert ours == [int(line.split("\t")[0]) for line in done.stdout.splitlines()]


@pytest.mark.fault("capture files", "a cooked header that is cut", "the frame stays at the interface of the file")
def test_a_header_that_is_cut_stays_at_the_interface_of_the_file(tmp_path):
    path = tmp_path / "any.pcapng"
    path.write_bytes(
        section_header(node="n", system="", application="")
        + interface_description(link_type=LinkType.LINUX_SLL2, name="any", description="", facts={})
        + enhanced_packet(interface=0, time_ns=1, data=bytes(19))
        + enhanced_packet(interface=0, time_ns=1, data=bytes(CookedLinuxV2(ifindex=4) / IP()))
    )
    capture = read_capture(path)
    assert capture.records["interface"].tolist() == [0, 1]
    assert "what" not in capture.interfaces[0].facts


@pytest.mark.fault(
    "capture files",
    "`-i any` with more interfaces than there are numbers",
    "a bounded number of capture points",
)
def test_a_file_with_any_number_of_interfaces_makes_a_bounded_number_of_points(tmp_path):
    path = tmp_path / "any.pcapng"
    cooked_file(path, [(n, 0) for n in range(2, 2002)])
    capture = read_capture(path)
    assert len(capture.interfaces) == 1025
    assert np.count_nonzero(capture.records["interface"] == 0) == 2000 - 1024
