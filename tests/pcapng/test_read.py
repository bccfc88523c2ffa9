"""The reader against files built byte by byte, against tshark, and against any bytes."""

import os
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttrace.errors import TtraceError
from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.read import CaptureFile, Interface, is_packet_interface, read_capture

from .blocks import BIG, ENHANCED_PACKET, EPB_FLAGS, IF_TSOFFSET, IF_TSRESOL, LITTLE, Writer, whole_blocks

REAL = Path(__file__).parents[2] / "pcaps" / "docker-http" / "master.pcapng"
FRAME = bytes(range(60))
BOTH_ORDERS = pytest.mark.parametrize("writer", [LITTLE, BIG], ids=["little", "big"])
fuzz = settings(deadline=None, max_examples=200)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Read bytes as a capture file."""
    path = tmp_path_factory.mktemp("read") / "some.pcapng"

    def read_bytes(data: bytes) -> CaptureFile:
        path.unlink(missing_ok=True)  # an older mapping of it stays what it was
        path.write_bytes(data)
        return read_capture(path)

    return read_bytes


def packet_bytes(capture: CaptureFile) -> list[bytes]:
    rows = capture.records
    return [bytes(capture.data[int(r["offset"]) : int(r["offset"]) + int(r["captured"])]) for r in rows]


# --- what tshark says -----------------------------------------------------------------------------------------------


def tshark_frames(path: Path) -> list[tuple[str, str, str, str]]:
    """(time, length, captured length, interface name) of each frame."""
    fields = ["frame.time_epoch", "frame.len", "frame.cap_len", "frame.interface_name"]
    argv = ["tshark", "-r", str(path), "-T", "fields", *(word for f in fields for word in ("-e", f))]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


def our_frames(capture: CaptureFile) -> list[tuple[str, str, str, str]]:
    """The same of what the reader found; a frame that points at nothing is only counted."""
    found = []
    for row in capture.records.tolist():
        time_ns, _, captured, original, interface, _ = row
        if interface >= len(capture.interfaces):
            found.append(None)
            continue
        # Wireshark shows the later of two sections under the names of the first, so names are left to other tests.
        time = f"{time_ns // 10**9}.{time_ns % 10**9:09d}" if time_ns else ""
        found.append((time, str(original), str(captured)))
    return found


def assert_frames_as_in_tshark(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    theirs = tshark_frames(path)
    ours = our_frames(read_capture(path))
    assert len(ours) == len(theirs)
    for mine, frame in zip(ours, theirs, strict=True):
        assert mine is None or mine == frame[:3]


@BOTH_ORDERS
def test_frames_are_those_of_tshark(writer: Writer, tmp_path):
    other = BIG if writer is LITTLE else LITTLE
    second = 10**9
    data = (
        writer.section()
        + writer.interface("a")
        + writer.interface("b", (IF_TSRESOL, b"\x09"))
        + writer.enhanced(FRAME, time=1_700_000_000_123456)
        + writer.enhanced(FRAME[:33], (EPB_FLAGS, writer.pack("I", 1)), interface=1, time=1_700_000_000_123456789)
        + writer.obsolete(FRAME, time=1_700_000_001_000001)
        + writer.block(0xBAD, writer.pack("I", 32473) + b"custom")
        + writer.block(0x99, b"unknown!")
        + writer.simple(FRAME)
        + writer.enhanced(FRAME, interface=1, time=1_700_000_002 * second, original=9000)
        + other.section()
        + other.interface("c", (IF_TSRESOL, b"\x8a"), (IF_TSOFFSET, other.pack("q", 1_000_000_000)))
        + other.enhanced(FRAME, time=(700_000_000 << 10) + 512)
        + other.block(0x40000BAD, other.pack("I", 32473) + b"x")
        + other.enhanced(b"", time=0x12345 << 10)
    )
    assert_frames_as_in_tshark(data, tmp_path / "built.pcapng")


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("journal", (9, b"MESSAGE=x\n__REALTIME_TIMESTAMP=1422990000000000\n__CURSOR=abc\n")),
        ("sysdig event", (0x204, struct.pack("<HQQIH", 0, 10**18, 1, 26, 1) + b"abcdefgh")),
        ("sysdig event v2", (0x208, struct.pack("<HQQIHI", 0, 10**18, 1, 30, 1, 0) + b"abcdefgh")),
        ("sysdig large event", (0x216, struct.pack("<HQQIHI", 0, 10**18, 1, 30, 1, 0) + b"abcdefgh")),
        ("decryption secrets", (0xA, struct.pack("<II", 0x544C534B, 4) + b"abcd")),
        ("custom", (0xBAD, struct.pack("<I", 32473) + b"abcd")),
        ("custom, not to be copied", (0x40000BAD, struct.pack("<I", 32473))),
        ("local use", (0x8000BEEF, b"abcd")),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_is_a_frame_is_counted_as_wireshark_counts(name, block, tmp_path):
    data = LITTLE.section() + LITTLE.interface() + LITTLE.block(*block) + LITTLE.enhanced(FRAME, time=10**15)
    path = tmp_path / f"{name}.pcapng"
    path.write_bytes(data)
    assert len(read_capture(path).records) == len(tshark_frames(path))


@pytest.mark.parametrize(("snaplen", "captured"), [(0, 100), (64, 64), (65, 65), (200, 100)])
def test_simple_packets_are_cut_at_the_snaplen(snaplen, captured, tmp_path):
    data = LITTLE.section() + LITTLE.interface(snaplen=snaplen) + LITTLE.simple(bytes(captured), 100)
    assert_frames_as_in_tshark(data, tmp_path / "simple.pcapng")
    assert read_capture(tmp_path / "simple.pcapng").records["captured"].tolist() == [captured]


# --- times ----------------------------------------------------------------------------------------------------------


@fuzz
@given(
    exponent=st.integers(0, 18) | st.integers(0, 63).map(lambda e: e | 0x80),
    units=st.integers(0, 2**64 - 1),
    offset_s=st.integers(-(2**31), 2**31),
    writer=st.sampled_from([LITTLE, BIG]),
)
def test_time_is_exact_to_the_nanosecond_in_every_resolution(read, exponent, units, offset_s, writer):
    per_second = 2 ** (exponent & 0x7F) if exponent & 0x80 else 10**exponent
    exact_ns = units * 10**9 // per_second + offset_s * 10**9
    if not -(2**63) <= exact_ns < 2**63 or units * 10**9 // per_second >= 2**63:
        return  # beyond the year 2262
    options = ((IF_TSRESOL, bytes([exponent])), (IF_TSOFFSET, writer.pack("q", offset_s)))
    capture = read(writer.section() + writer.interface("a", *options) + writer.enhanced(FRAME, time=units))
    # Above 10^10 units a second the fraction is computed in floating point.
    assert abs(int(capture.records["time_ns"][0]) - exact_ns) <= (1 if per_second > 10**10 else 0)


@BOTH_ORDERS
@pytest.mark.parametrize(("nanoseconds", "expected_ns"), [(False, 5_000_007_000), (True, 5_000_000_007)])
def test_pcap_in_either_order_and_resolution(writer: Writer, nanoseconds, expected_ns, read):
    capture = read(writer.pcap((5, 7, FRAME), (6, 0, b""), nanoseconds=nanoseconds, link_type=113))
    assert capture.records["time_ns"].tolist() == [expected_ns, 6_000_000_000]
    assert packet_bytes(capture) == [FRAME, b""]
    assert capture.interfaces[0].link_type == LinkType.LINUX_SLL
    assert capture.truncated_at is None


def test_the_frame_check_sequence_bits_are_no_part_of_the_link_type(read):
    assert read(LITTLE.pcap((1, 1, FRAME), link_type=0x14000001)).interfaces[0].link_type == 1


def test_a_cut_pcap_is_read_up_to_its_last_whole_record(read):
    whole = LITTLE.pcap((1, 1, FRAME), (2, 2, FRAME))
    for size in range(24, len(whole) + 1):
        capture = read(whole[:size])
        records = (size - 24) // 76
        assert capture.records.size == records
        assert capture.truncated_at == (None if size == 24 + 76 * records else 24 + 76 * records)


@BOTH_ORDERS
def test_statistics_have_the_time_of_the_packets(writer: Writer, read):
    options = ((IF_TSRESOL, b"\x09"), (IF_TSOFFSET, writer.pack("q", 3600)))
    counters = ((4, writer.pack("Q", 10)), (5, writer.pack("Q", 2)), (7, writer.pack("Q", 3)))
    capture = read(
        writer.section()
        + writer.interface("a", *options)
        + writer.enhanced(FRAME, time=10**18)
        + writer.statistics(*counters, time=10**18)
        + writer.statistics((5, b"short"), time=10**18)
    )
    first, second = capture.statistics
    assert (first.interface, first.received, first.lost) == (0, 10, 5)
    assert first.time_ns == capture.records["time_ns"][0]
    assert (second.received, second.lost) == (None, 0)


# --- sections, interfaces, options ----------------------------------------------------------------------------------


@BOTH_ORDERS
def test_interfaces_are_numbered_within_their_section(writer: Writer, read):
    other = BIG if writer is LITTLE else LITTLE
    capture = read(
        writer.section()
        + writer.interface("a")
        + writer.interface("b")
        + writer.enhanced(b"1", interface=1)
        + other.section()
        + other.interface("c")
        + other.interface("d")
        + other.enhanced(b"2", interface=1)
        + other.obsolete(b"3", interface=0)
        + other.simple(b"4")
        + other.statistics((5, other.pack("Q", 7)), interface=1)
    )
    assert [capture.interfaces[i].name for i in capture.records["interface"]] == ["b", "d", "c", "c"]
    assert packet_bytes(capture) == [b"1", b"2", b"3", b"4"]
    assert [(s.interface, s.lost) for s in capture.statistics] == [(3, 7)]


def test_a_packet_of_an_undeclared_interface_keeps_its_number_and_belongs_to_none(read):
    capture = read(
        LITTLE.section()
        + LITTLE.interface("a")
        + LITTLE.enhanced(b"1", interface=1)
        + LITTLE.enhanced(b"2", interface=0xFFFFFFFF)
        + LITTLE.enhanced(b"3", interface=0)
        + LITTLE.section()
        + LITTLE.simple(b"4")
        + LITTLE.section()
        + LITTLE.interface("b")
        + LITTLE.enhanced(b"5")
    )
    names = [capture.interfaces[i].name if i < 2 else None for i in capture.records["interface"].tolist()]
    assert names == [None, None, "a", None, "b"]


@BOTH_ORDERS
def test_direction_is_that_of_the_flags(writer: Writer, read):
    flags = [0, 1, 2, 3, 0xFFFFFFFD]
    capture = read(
        writer.section()
        + writer.interface()
        + b"".join(writer.enhanced(b"abc", (1, b"note"), (EPB_FLAGS, writer.pack("I", f))) for f in flags)
        + writer.enhanced(b"abc", (EPB_FLAGS, b"\1\0"))
    )
    assert capture.records["direction"].tolist() == [0, 1, 2, 3, 1, 0]


def test_a_packet_longer_than_its_block_points_at_nothing(read):
    body = LITTLE.pack("IIIII", 0, 0, 0, 64, 64) + FRAME
    capture = read(LITTLE.section() + LITTLE.interface() + LITTLE.block(ENHANCED_PACKET, body) + LITTLE.enhanced(FRAME))
    assert capture.records["captured"].tolist() == [0, 60]
    assert capture.records["interface"][0] >= len(capture.interfaces)


@BOTH_ORDERS
def test_options_longer_than_their_block_end_with_it(writer: Writer, read):
    lying = writer.pack("HHI", 1, 0, 0) + writer.pack("HH", 2, 60000) + b"eth0"
    capture = read(writer.section() + writer.block(1, lying) + writer.interface("b") + writer.enhanced(FRAME))
    assert len(capture.interfaces) == 2
    assert capture.records.size == 1
    assert capture.truncated_at is None


@BOTH_ORDERS
def test_names_of_both_families(writer: Writer, read):
    six = bytes.fromhex("fd00" + 13 * "00" + "07")
    capture = read(
        writer.section()
        + writer.names((1, b"\xac\x11\x00\x02web1\0other\0"), (2, six + b"web6\0"), (1, b"\1\2\3"), (9, b"?"))
        + writer.names((1, b"\xac\x11\x00\x03\xff\0"))
    )
    assert capture.names == {"172.17.0.2": "web1", "fd00::7": "web6", "172.17.0.3": "\ufffd"}


def test_comments_that_are_no_facts_are_passed_over(read):
    deep = b'{"a":' * 12_000
    comments = [(1, b"{ hello"), (1, b"\xff{"), (1, b"{\xff}"), (1, deep), (1, b'{"node": "n"}')]
    assert read(LITTLE.section(*comments)).facts == {"node": "n"}


def test_netlink_and_snapshots_are_no_capture_points():
    def interface(link_type: int, **facts: str) -> Interface:
        return Interface(name="", link_type=link_type, snaplen=0, units_per_second=1, facts=facts)

    assert is_packet_interface(interface(LinkType.ETHERNET))
    assert is_packet_interface(interface(LinkType.RAW, what="packets"))
    assert not is_packet_interface(interface(LinkType.NETLINK))
    assert not is_packet_interface(interface(LinkType.WIRESHARK_UPPER_PDU, what="snapshot"))


# --- files that cannot be used --------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\r\r\x00", b"PK\3\4" * 20, b"\xd4\xc3\xb2\xa1" + bytes(19)])
def test_what_is_no_capture_is_refused_by_name(data, read):
    with pytest.raises(TtraceError, match=r"some\.pcapng"):
        read(data)


def test_a_section_header_without_its_magic_is_damage(read):
    with pytest.raises(TtraceError, match="damaged at byte 0"):
        read(LITTLE.block(0x0A0D0D0A, bytes(16)))


@pytest.mark.parametrize("make", [Path.mkdir, Path.is_file, os.mkfifo], ids=["folder", "missing", "fifo"])
def test_what_is_no_file_is_refused_by_name(make, tmp_path):
    path = tmp_path / "thing"
    make(path)
    # Someone holds the pipe open, or opening it would wait.
    held = os.open(path, os.O_RDWR) if path.is_fifo() else None
    with pytest.raises(TtraceError, match="thing"):
        read_capture(path)
    if held is not None:
        os.close(held)


def test_damage_in_the_middle_ends_the_reading_there(read):
    good = LITTLE.section() + LITTLE.interface() + LITTLE.enhanced(FRAME)
    for bad in (
        struct.pack("<II", 6, 13) + bytes(20),
        struct.pack("<II", 6, 8),
        LITTLE.enhanced(FRAME)[:-4] + b"\0\0\0\1",
    ):
        capture = read(good + bad + LITTLE.enhanced(FRAME))
        assert capture.records.size == 1
        assert capture.truncated_at == len(good)


# --- lengths that lie -----------------------------------------------------------------------------------------------


@BOTH_ORDERS
@pytest.mark.parametrize("kind", [0x0A0D0D0A, 1, 2, 3, 4, 5, 6, 0xBAD, 0x99])
@pytest.mark.parametrize("length", [0xFFFFFFFC, 0x80000000, 0x7FFFFFFC, 1 << 20])
def test_a_block_longer_than_the_file_ends_it(writer: Writer, kind, length, read):
    good = writer.section() + writer.interface() + writer.enhanced(FRAME)
    capture = read(good + writer.pack("II", kind, length) + writer.pack("I", 0x1A2B3C4D) + bytes(60))
    assert capture.records.size == 1
    assert capture.truncated_at == len(good)


@BOTH_ORDERS
@pytest.mark.parametrize("captured", [0xFFFFFFFF, 0xFFFFFFFC, 0x80000000, 77])
def test_a_packet_longer_than_the_file_points_at_nothing(writer: Writer, captured, read):
    head = writer.section() + writer.interface(snaplen=0xFFFFFFFF)
    body = writer.pack("IIIII", 0, 0, 0, captured, captured) + FRAME
    obsolete = writer.pack("HHIIII", 0, 0, 0, 0, captured, captured) + FRAME
    simple = writer.pack("I", captured) + FRAME
    capture = read(head + writer.block(6, body) + writer.block(2, obsolete) + writer.block(3, simple))
    assert capture.records["captured"].tolist() == [0, 0, 60]
    assert capture.malformed == 2
    whole = writer.pcap((1, 1, FRAME))
    capture = read(whole + writer.pack("IIII", 2, 2, captured, captured) + FRAME)
    assert packet_bytes(capture) == [FRAME]
    assert capture.truncated_at == len(whole)


@BOTH_ORDERS
@pytest.mark.parametrize("length", [0xFFFF, 0x8000, 9, 0])
def test_options_of_any_length_stay_within_their_block(writer: Writer, length, read):
    lie = writer.pack("HH", 2, length) + b"abcdefgh"
    capture = read(
        writer.block(0x0A0D0D0A, writer.pack("IHHq", 0x1A2B3C4D, 1, 0, -1) + lie)
        + writer.block(1, writer.pack("HHI", 1, 0, 0) + lie)
        + writer.block(4, writer.pack("HH", 1, length) + b"\1\2\3\4name")
        + writer.block(5, writer.pack("III", 0, 0, 0) + lie)
        + writer.block(6, writer.pack("IIIII", 0, 0, 0, 4, 4) + b"data" + lie)
        + writer.enhanced(FRAME, interface=0)
    )
    assert packet_bytes(capture) == [b"data", FRAME]
    assert len(capture.interfaces[0].name) <= 8
    assert len(capture.statistics) == 1
    assert capture.truncated_at is None


def test_interfaces_and_options_without_end_are_a_bounded_number(read):
    many = LITTLE.interface("x") * 70_000
    capture = read(LITTLE.section() + many + LITTLE.enhanced(FRAME, interface=69_999) + LITTLE.enhanced(FRAME))
    assert len(capture.interfaces) == 1 << 16
    assert (capture.records.size, capture.malformed) == (2, 1)
    comments = LITTLE.pack("HH", 1, 0) * 70_000 + LITTLE.pack("HH", 2, 4) + b"late"
    capture = read(LITTLE.section() + LITTLE.block(1, LITTLE.pack("HHI", 1, 0, 0) + comments) + LITTLE.enhanced(FRAME))
    assert (capture.records.size, capture.interfaces[0].name) == (1, "")


# --- any bytes ------------------------------------------------------------------------------------------------------


def test_a_real_file_cut_near_any_block_has_the_whole_blocks_before_the_cut(tmp_path):
    data = REAL.read_bytes()
    blocks = whole_blocks(data)
    path = tmp_path / "cut.pcapng"
    path.write_bytes(data)
    packets = sum(kind == ENHANCED_PACKET for kind, _ in blocks)
    cuts = sorted({size for _, end in blocks for size in (end, end + 1, end + 11, end - 1, end - 5)}, reverse=True)
    ends = [end for _, end in blocks]
    for size in cuts:
        if size < 4 or size > len(data):
            continue
        os.truncate(path, size)
        capture = read_capture(path)
        while ends and ends[-1] > size:
            ends.pop()
            packets -= blocks[len(ends)][0] == ENHANCED_PACKET
        last = ends[-1] if ends else 0
        assert (capture.records.size, capture.truncated_at) == (packets, None if last == size else last)


@fuzz
@given(
    head=st.sampled_from([b"\n\r\r\n", LITTLE.section(), BIG.section(), LITTLE.pcap(), BIG.pcap(nanoseconds=True)]),
    body=st.binary(max_size=400),
)
def test_any_bytes_are_rows_or_an_error_for_people(read, head, body):
    assert_sound(read, head + body)


@st.composite
def mutated(draw) -> bytes:
    """A real file with some bytes changed, cut out or doubled."""
    data = bytearray(REAL.read_bytes()[: draw(st.integers(200, 20_000))])
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data) - 1))
        how = draw(st.integers(0, 3))
        if how == 0:
            data[at] = draw(st.integers(0, 255))
        elif how == 1:
            data[at & ~3 : (at & ~3) + 4] = draw(st.sampled_from([bytes(4), b"\xff" * 4, b"\x0c\0\0\0", b"\0\0\0\x80"]))
        elif how == 2:
            del data[at : at + draw(st.integers(1, 64))]
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 64))]
        if not data:
            break
    return bytes(data)


@fuzz
@given(data=mutated())
def test_a_damaged_real_file_is_rows_or_an_error_for_people(read, data):
    assert_sound(read, data)


def assert_sound(read, data: bytes) -> None:
    """Rows inside the file, in order, or a TtraceError."""
    try:
        capture = read(data)
    except TtraceError:
        return
    rows = capture.records
    ends = rows["offset"].astype(np.int64) + rows["captured"]
    assert (ends <= len(data)).all()
    assert (np.diff(rows["offset"].astype(np.int64)) >= 0).all()
    if capture.truncated_at is not None:
        assert 0 <= capture.truncated_at < len(data)
