"""Captures made to take long: time that grows with their size, or one line that says what the limit is."""

import gzip
import json
import struct

import pytest
import zstandard

from ttrace.correlate import correlate_captures
from ttrace.errors import TtraceError
from ttrace.pcapng import spool
from ttrace.pcapng.read import read_capture
from ttrace.report import render_telling
from ttrace.report.telling import Telling
from ttrace.tests.command_line import run_here
from ttrace.tests.pcapng.blocks import LITTLE

PACKET = bytes.fromhex(
    "0200000000020200000000010800450000300001000040110000c000020ac00002140fa01388001c0000" + 20 * "00"
)
START = 1_700_000_000_000_000


def shape(tried: str, result: str = "a report, in time that grows with the size"):
    return pytest.mark.fault("hostile shapes", tried, result)


def described(netns: str, inode: int) -> tuple[int, bytes]:
    return 1, json.dumps({"netns": netns, "inode": inode, "ifindex": 2, "what": "packets"}).encode()


def seen_at(points: int) -> bytes:
    return b"".join(LITTLE.enhanced(PACKET, interface=i, time=START + i) for i in range(points))


def points(count: int) -> bytes:
    return LITTLE.section() + b"".join(LITTLE.interface(f"e{i}") for i in range(count)) + seen_at(count)


def namespaces(count: int) -> bytes:
    made = (LITTLE.interface("e", described(f"n{i}", i + 1)) for i in range(count))
    return LITTLE.section((1, b'{"ttrace": 1, "node": "m"}')) + b"".join(made) + seen_at(count)


def sections(count: int) -> bytes:
    one = LITTLE.section() + LITTLE.interface("e")
    return b"".join(one + LITTLE.enhanced(PACKET, time=START + i) for i in range(count))


def other_blocks(count: int) -> bytes:
    return LITTLE.section() + LITTLE.interface("e") + LITTLE.block(0x99, b"") * count + seen_at(1)


def equal_packets(count: int) -> bytes:
    packets = (LITTLE.enhanced(PACKET, interface=i % 2, time=START + i) for i in range(count))
    return LITTLE.section() + LITTLE.interface("e0") + LITTLE.interface("e1") + b"".join(packets)


def fragments(count: int) -> bytes:
    head = LITTLE.section() + LITTLE.interface("e")
    return head + b"".join(
        LITTLE.enhanced(PACKET[:20] + struct.pack(">H", 0x2000 | i % 8000) + PACKET[22:], time=START + i)
        for i in range(count)
    )


def snapshots(count: int, kind: str, data) -> bytes:
    tags = struct.pack(">HH4sHH", 12, 4, b"json", 0, 0)
    facts = {"ttrace": "snapshot", "moment": "change", "netns": "root", "kind": kind}
    head = LITTLE.section((1, b'{"ttrace": 1, "node": "m"}')) + LITTLE.interface("e", described("root", 1))
    head += LITTLE.interface("snapshot", (1, b'{"what": "snapshot"}'), link_type=252) + seen_at(1)
    return head + b"".join(
        LITTLE.enhanced(tags + json.dumps(facts | {"data": data(i)}).encode(), interface=1, time=START + i)
        for i in range(count)
    )


def links(count: int) -> bytes:
    return snapshots(count, "links", lambda i: [{"index": i, "name": f"e{i}"}])


def rules(count: int) -> bytes:
    lines = "".join(f"\t\tip saddr 10.0.0.1 dnat to 10.1.0.1:{i} # handle {i}\n" for i in range(count))
    return snapshots(1, "ruleset", lambda _: {"nft": "table ip nat {\n\tchain X {\n" + lines + "\t}\n}\n"})


def long_names(count: int) -> bytes:
    made = b"".join(LITTLE.interface(f"{i}" + "x" * 60_000) for i in range(count))
    return LITTLE.section() + made + seen_at(count)


SHAPES = [
    pytest.param(points, 3000, marks=shape("one packet at 3,000 capture points")),
    pytest.param(namespaces, 3000, marks=shape("one packet in 3,000 namespaces")),
    pytest.param(sections, 3000, marks=shape("3,000 sections of one packet each")),
    pytest.param(other_blocks, 50_000, marks=shape("50,000 empty blocks of an unknown type")),
    pytest.param(equal_packets, 20_000, marks=shape("20,000 equal packets at two points")),
    pytest.param(fragments, 10_000, marks=shape("10,000 fragments of one datagram")),
    pytest.param(links, 3000, marks=shape("3,000 snapshots")),
    pytest.param(rules, 20_000, marks=shape("a snapshot of 20,000 rules")),
    pytest.param(long_names, 50, marks=shape("50 interfaces with names of 60,000 characters")),
]


@pytest.mark.parametrize(("make", "count"), SHAPES)
def test_hostile_shapes_are_a_report(make, count, tmp_path):
    path = tmp_path / "x.pcapng"
    path.write_bytes(make(count))
    result = correlate_captures([str(path)])
    assert "\nCaptures\n" in "".join(render_telling(Telling.chosen(result), "text"))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(points, marks=shape("one packet at 20,000 capture points", "one line names the limit, 16,384")),
        pytest.param(namespaces, marks=shape("20,000 namespaces", "one line names the limit, 16,384")),
    ],
)
def test_more_than_any_node_has_is_refused(make, tmp_path):
    path = tmp_path / "x.pcapng"
    path.write_bytes(make(20_000))
    with pytest.raises(TtraceError, match=r"20,000 capture points, more than the 16,384") as caught:
        correlate_captures([str(path)])
    assert caught.value.hint


# --- decompression bombs --------------------------------------------------------------------------------------------


def pack_gzip(data: bytes) -> bytes:
    return gzip.compress(data, 9)


BOMBS = pytest.mark.parametrize(
    ("name", "pack"),
    [
        pytest.param(name, pack, marks=shape(f"{name} that expands a thousandfold", "one line, with what allows it"))
        for name, pack in (("gzip", pack_gzip), ("zstd", zstandard.compress))
    ],
)


@pytest.fixture
def low_limits(monkeypatch):
    monkeypatch.setattr(spool, "UNSUSPICIOUS", 1 << 20)


def bomb() -> bytes:
    """A capture, and 20 MB of blocks that say nothing."""
    return points(2) + LITTLE.block(0x99, bytes(1 << 20)) * 20


@BOMBS
@pytest.mark.usefixtures("low_limits")
def test_a_bomb_is_refused(name, pack, tmp_path):
    path = tmp_path / f"x.{name}"
    path.write_bytes(pack(bomb()))
    with pytest.raises(TtraceError, match=rf"`{path}` expands to more than \d+ MiB, 100 times its size") as caught:
        read_capture(path)
    assert "--max-expanded" in caught.value.hint
    assert read_capture(path, 30 << 20).records.size == 2
    with pytest.raises(TtraceError, match=r"expands to more than 9 MiB$"):
        read_capture(path, 9 << 20)


@shape("a gzip bomb and `--max-expanded`", "one line")
def test_the_limit_of_the_command_line(tmp_path, monkeypatch):
    path = tmp_path / "x.gz"
    path.write_bytes(pack_gzip(bomb()))
    for command in ("show", "correlate"):
        done = run_here(monkeypatch, command, "--max-expanded", "5", str(path))
        assert done.returncode == 1
        assert done.stderr.decode().startswith(f"error: `{path}` expands to more than 5 MiB\nhint: ")


@shape("a TMPDIR with little room, and a compressed capture", "one line before it is full")
def test_room_is_looked_at_before_it_is_taken(tmp_path, monkeypatch):
    path = tmp_path / "x.gz"
    path.write_bytes(pack_gzip(bomb()))

    class Room:
        f_blocks, f_frsize, f_bavail = 1000, 4096, 100

    monkeypatch.setattr(spool.os, "statvfs", lambda _: Room)
    with pytest.raises(TtraceError, match=r"no room in `.*` for what `.*x.gz` holds: 0 MiB are left") as caught:
        read_capture(path, 1 << 30)
    assert "TMPDIR" in caught.value.hint
