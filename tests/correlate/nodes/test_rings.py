"""A recording cut into a ring of files, as `ttrace capture --rotate-…` writes them, says what it said as one file."""

import json
import random
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.explain.frame_reference import find_frame
from ttrace.correlate.summaries.captures import capture_facts
from ttrace.correlate.summaries.one_file import describe_capture
from ttrace.errors import TtraceError
from ttrace.pcapng.blocks import BlockType
from ttrace.pcapng.read import read_capture
from ttrace.pcapng.write import enhanced_packet, interface_statistics, section_header, snapshot_packets
from ttrace.report import render_telling
from ttrace.report.telling import Telling
from ttrace.tests.correlate.same_in_parts import assert_same_in_parts

PCAPS = Path(__file__).parents[3] / "pcaps"
STARTED_FACTS = {"moment": "start", "netns": None, "kind": "capture"}


def blocks_of(path: Path) -> list[tuple[int, bytes]]:
    """(type, block) of a capture."""
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        found.append((kind, data[at : at + length]))
        at += length
    return found


def time_of(block: bytes) -> int:
    high, low = struct.unpack_from("<II", block, 12)
    return high << 32 | low


def cut(path: Path, folder: Path, files: int, *, ring: str = "a") -> list[Path]:
    """Cut a recording into so many files, each with a head and an end of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    capture = read_capture(path)
    blocks = blocks_of(path)
    heads = [block for kind, block in blocks if kind in (BlockType.INTERFACE_DESCRIPTION, BlockType.NAME_RESOLUTION)]
    packets = [block for kind, block in blocks if kind == BlockType.ENHANCED_PACKET]
    (snapshot_interface,) = (i for i, one in enumerate(capture.interfaces) if one.facts["what"] == "snapshot")
    starts = [block for block in packets if b'"moment": "start"' in block]
    edges = [len(packets) * number // files for number in range(files + 1)]
    written = []
    for number in range(1, files + 1):
        mine = packets[edges[number - 1] : edges[number]]
        body = section_header(node=capture.facts["node"], system="", application="", ring=(ring, number))
        body += b"".join(heads)
        since_ns = time_of(mine[0])
        if number > 1:
            body += b"".join(block for block in starts if b'"kind": "capture"' not in block)
            body += moment("start", snapshot_interface, since_ns, {"started_ns": since_ns, "ended_ns": None})
        body += b"".join(mine)
        if number < files:
            ended_ns = time_of(packets[edges[number]])
            body += moment("stop", snapshot_interface, ended_ns, {"started_ns": since_ns, "ended_ns": ended_ns})
        for interface in range(snapshot_interface):
            count = sum(struct.unpack_from("<I", block, 8)[0] == interface for block in mine)
            body += interface_statistics(interface=interface, time_ns=time_of(mine[-1]), received=count, dropped=0)
        written.append(folder / f"{path.stem}-{number:05}.pcapng")
        written[-1].write_bytes(body)
    return written


def moment(name: str, interface: int, time_ns: int, data: dict) -> bytes:
    (packet,) = snapshot_packets(moment=name, netns=None, kind="capture", data=data)
    return enhanced_packet(interface=interface, time_ns=time_ns, data=packet)


def said(files: Sequence[str]) -> list[str]:
    """What is said of each path, but for files, frames and what numbers it."""
    document = json.loads("".join(render_telling(Telling.chosen(correlate_captures(files), every_path=True), "json")))
    for path in document["paths"]:
        for hop in path["hops"]:
            hop.pop("file", None), hop.pop("frame", None)
    return sorted(json.dumps(path, sort_keys=True) for path in document["paths"])


@pytest.mark.parametrize("recording", ["docker-http", "docker-dropped", "docker-udp"])
@pytest.mark.parametrize("count", [2, 7])
def test_rings_of_two_nodes_say_what_two_files_say(tmp_path, recording, count):
    whole = [str(PCAPS / recording / f"{node}.pcapng") for node in ("master", "slave")]
    files = [path for file in whole for path in cut(Path(file), tmp_path / Path(file).stem, count, ring=file)]
    expected = said(whole)
    assert len(expected) > 1
    assert said([str(tmp_path / "master"), f"slave={tmp_path / 'slave'}"]) == expected
    mixed = [str(path) for path in files]
    random.Random(count).shuffle(mixed)
    assert said(mixed) == expected


def test_ring_is_the_same_in_parts(tmp_path):
    for node in ("master", "slave"):
        cut(PCAPS / "docker-http" / f"{node}.pcapng", tmp_path / node, 5, ring=node)
    files = [str(tmp_path / "master"), str(tmp_path / "slave")]
    assert assert_same_in_parts(files, correlate_captures(files)) > 1


def test_frames_are_named_by_their_file(tmp_path):
    master = PCAPS / "docker-http" / "master.pcapng"
    files = cut(master, tmp_path / "m", 4)
    result = correlate_captures([f"m={tmp_path / 'm'}"])
    for number, path in enumerate(files):
        capture = read_capture(path)
        packets = [i for i, record in enumerate(capture.records, 1)
                   if capture.interfaces[record["interface"]].facts["what"] == "packets"]  # fmt: skip
        for name in (path.name, str(path)):
            row = result.sightings[find_frame(result, f"{name}:{packets[0]}")]
            assert (row["file"], row["frame"]) == (number, packets[0])


def test_a_file_that_is_missing_is_a_time_of_which_nothing_is_known(tmp_path):
    """What is seen last in front of the gap went on in it."""
    master = PCAPS / "docker-http" / "master.pcapng"
    files = cut(master, tmp_path / "m", 7)
    files[3].unlink()
    result = correlate_captures([f"m={tmp_path / 'm'}"])
    assert len({span for spans in result.coverage.files.values() for span in spans}) == 2
    outcomes = {result.path(number).outcome for number in range(1, result.packets.count + 1)}
    assert "lost" not in outcomes


def test_each_file_counts_its_own_losses(tmp_path):
    files = cut(PCAPS / "docker-http" / "master.pcapng", tmp_path / "m", 3)
    time_ns = time_of([block for kind, block in blocks_of(files[1]) if kind == BlockType.ENHANCED_PACKET][-1])
    with files[1].open("ab") as file:
        file.write(interface_statistics(interface=0, time_ns=time_ns, received=9, dropped=4))
    result = correlate_captures([f"m={tmp_path / 'm'}"])
    assert [facts.lost for facts in capture_facts(result)] == [0, 4, 0]
    ((begin, end),) = {gap for gaps in result.coverage.gaps.values() for gap in gaps}
    first = [block for kind, block in blocks_of(files[1]) if kind == BlockType.ENHANCED_PACKET]
    assert begin >= min(map(time_of, first))
    assert end <= time_ns
    assert describe_capture(str(files[1]))[0].points[0].lost == 4


@pytest.mark.fault("ring", "correlate: one file of a ring is given twice, as a copy", "refused, both are named")
def test_copy_of_a_file_is_refused(tmp_path):
    files = cut(PCAPS / "docker-http" / "master.pcapng", tmp_path / "m", 3)
    shutil.copy(files[1], tmp_path / "m" / "copy.pcapng")
    with pytest.raises(TtraceError, match=r"`.*` and `.*` are the same file of a ring") as raised:
        correlate_captures([str(tmp_path / "m")])
    assert "copy.pcapng" in raised.value.message
    assert files[1].name in raised.value.message


@pytest.mark.fault(
    "ring", "correlate: the folder of a ring has other files, empty ones and folders", "captures alone are read"
)
def test_folder_is_the_captures_in_it(tmp_path):
    files = cut(PCAPS / "docker-http" / "master.pcapng", tmp_path / "m", 11)
    (tmp_path / "m" / "notes.txt").write_text("hello")
    (tmp_path / "m" / "begun.pcapng").write_bytes(b"")
    (tmp_path / "m" / "x.pcapng").mkdir()
    result = correlate_captures([f"m={tmp_path / 'm'}"])
    assert [facts.path for facts in result.files] == [str(path) for path in files]


@pytest.mark.fault("ring", "correlate: a folder without captures", "one line that says what captures are called")
def test_folder_without_captures_is_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(TtraceError, match="no capture in the folder") as raised:
        correlate_captures([f"m={tmp_path}"])
    assert ".pcapng" in raised.value.hint


@pytest.mark.fault(
    "ring", "correlate: the last file of a ring was cut by kill -9", "all whole blocks count; said to be cut short"
)
def test_ring_that_was_killed(tmp_path):
    files = cut(PCAPS / "docker-http" / "master.pcapng", tmp_path / "m", 3)
    data = files[2].read_bytes()
    files[2].write_bytes(data[: data.index(b'"moment": "stop"') - 20])
    result = correlate_captures([f"m={tmp_path / 'm'}"])
    assert [facts.truncated for facts in result.files] == [False, False, True]
    assert result.topology.nodes["m"].ended_ns is None


@pytest.mark.parametrize("facts", [
    {"ring": "a"}, {"ring": 7, "number": 1}, {"ring": "a", "number": "1"}, {"ring": None, "number": 1},
    {"ring": "a", "number": 10**30}, {"ring": "a", "number": -5}, {"ring": "a", "number": True},
])  # fmt: skip
@pytest.mark.fault("ring", "correlate: a header that says nonsense of a ring", "it is read like any other file")
def test_nonsense_about_a_ring(tmp_path, facts):
    path = tmp_path / "x.pcapng"
    blocks = blocks_of(PCAPS / "docker-http" / "master.pcapng")
    text = json.dumps({"ttrace": 1, "node": "n", **facts}).encode()
    options = struct.pack("<HH", 1, len(text)) + text + bytes(-len(text) % 4) + bytes(4)
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + options
    head = struct.pack("<II", 0x0A0D0D0A, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
    path.write_bytes(head + b"".join(block for _, block in blocks[1:]))
    assert correlate_captures([str(path)]).packets.count > 3


def test_files_of_a_ring_behind_each_other_are_one_capture(tmp_path):
    """As `cat` and `mergecap -a` make one of them."""
    whole = [PCAPS / "docker-http" / f"{node}.pcapng" for node in ("master", "slave")]
    joined = []
    for path in whole:
        joined.append(tmp_path / path.name)
        joined[-1].write_bytes(b"".join(file.read_bytes() for file in cut(path, tmp_path / path.stem, 4)))
    assert said([str(path) for path in joined]) == said([str(path) for path in whole])


@pytest.mark.fault("ring", "correlate: a file in the folder of a ring is no capture", "one line that names it")
def test_garbage_in_the_folder_is_named(tmp_path):
    cut(PCAPS / "docker-http" / "master.pcapng", tmp_path / "m", 3)
    (tmp_path / "m" / "odd.pcapng").write_bytes(b"no capture at all")
    with pytest.raises(TtraceError, match=r"odd\.pcapng` is not a capture file"):
        correlate_captures([str(tmp_path / "m")])


@pytest.mark.fault("ring", "correlate: a folder holds the rings of two runs", "nothing is claimed of the time between")
def test_rings_of_two_runs_in_one_folder(tmp_path):
    """The capture was started again: what passed meanwhile is in neither."""
    files = cut(PCAPS / "docker-http" / "master.pcapng", tmp_path / "m", 7)
    other = cut(PCAPS / "docker-http" / "master.pcapng", tmp_path / "other", 7, ring="b")
    for path in files[4:]:
        path.unlink()
        shutil.copy(other[files.index(path)], path)
    files[3].unlink()
    result = correlate_captures([f"m={tmp_path / 'm'}"])
    assert len({span for spans in result.coverage.files.values() for span in spans}) == 2
    assert len(set(result.topology.piece_of)) == 2
    outcomes = {result.path(number).outcome for number in range(1, result.packets.count + 1)}
    assert "lost" not in outcomes


@pytest.mark.fault(
    "ring", "correlate: the first files of a ring are gone, as they are in time", "the rest tells what it has"
)
def test_first_files_are_gone(tmp_path):
    files = cut(PCAPS / "docker-http" / "master.pcapng", tmp_path / "m", 5)
    for path in files[:2]:
        path.unlink()
    result = correlate_captures([f"m={tmp_path / 'm'}"])
    assert result.packets.count > 3
    began = min(begin for spans in result.coverage.files.values() for begin, _ in spans)
    assert began >= min(int(read_capture(path).records["time_ns"].min()) for path in files[2:])
    assert result.topology.namespaces[0].has_conntrack
