"""A capture that others wrote as several files is one point; files that only look like its pieces are not."""

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from ttrace.correlate import correlate_captures
from ttrace.correlate.nodes.pieces import common_name
from ttrace.correlate.summaries.captures import capture_facts
from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.write import enhanced_packet, interface_description
from ttrace.tests.correlate.same_in_parts import assert_same_in_parts
from ttrace.tests.correlate.scene import paths
from ttrace.tests.other_hands import split

RECORDED = Path(__file__).parents[3] / "pcaps" / "docker-http" / "master.pcapng"
CLIENT, NAT, SERVER = "10.1.0.2", "10.2.0.1", "10.2.0.2"
START_US = 1_700_000_000_000_000
Frames = list[tuple[int, bytes]]
"""(time in us, packet)."""


def pcap(path: Path, frames: Frames, *, offset_us: int = 0) -> str:
    body = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LinkType.RAW)
    for time_us, data in frames:
        seconds, rest = divmod(START_US + time_us + offset_us, 1_000_000)
        body += struct.pack("<IIII", seconds, rest, len(data), len(data)) + data
    path.write_bytes(body)
    return str(path)


def pcapng(path: Path, frames: Frames, name: str = "eth0", *, points: int = 1) -> str:
    """`points`: interfaces of that name, of which the last has the frames."""
    body = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    one = interface_description(link_type=LinkType.RAW, name=name, description="", facts={})
    body += one.replace(b"{}", b"##") * points
    for time_us, data in frames:
        body += enhanced_packet(interface=points - 1, time_ns=(START_US + time_us) * 1000, data=data)
    path.write_bytes(body)
    return str(path)


def stream(source: str, delay_us: int, ttl: int, *, ip_id: int = 1, count: int = 40) -> Frames:
    """One connection that sends a segment each millisecond, as a place sees it."""
    found = []
    for number in range(count):
        ip = IP(src=source, dst=SERVER, id=ip_id and ip_id + number, ttl=ttl)
        segment = TCP(sport=1000, dport=80, seq=1 + 10 * number, ack=7, flags="A" if number else "S")
        found.append((1000 * number + delay_us, bytes(ip / segment / (b"x" * 10 if number else b""))))
    return found


def in_pieces(folder: Path, frames: Frames, names: Sequence[str]) -> list[str]:
    each = -(-len(frames) // len(names))
    return [pcap(folder / name, frames[i * each : (i + 1) * each]) for i, name in enumerate(names)]


NAMES = {
    "tcpdump -C": ["a.pcap", "a.pcap1", "a.pcap2"],
    "tcpdump -C -W": ["a.pcap00", "a.pcap01", "a.pcap02"],
    "tcpdump -C, without an ending": ["a", "a1", "a2"],
    "tcpdump -G": ["a-20261129180000.pcap", "a-20261129180001.pcap", "a-20261129180002.pcap"],
    "tcpdump -G, dates apart": [f"a_2026-11-29_18:00:0{second}.pcap" for second in range(3)],
    "dumpcap -b": ["a_00001_20261129180000.pcap", "a_00002_20261129180001.pcap", "a_00003_20261129180002.pcap"],
    "by hand": ["a-1.pcap", "a-2.pcap", "a-3.pcap"],
}  # fmt: skip


@pytest.mark.parametrize("how", NAMES)
def test_pieces_are_one_point_and_frames_keep_their_files(tmp_path, how):
    pieces = in_pieces(tmp_path, stream(CLIENT, 0, 64), NAMES[how])
    server = pcap(tmp_path / "server.pcap", stream(NAT, 50, 63))
    result = correlate_captures([*pieces, server])
    assert_same_in_parts([*pieces, server], result)
    assert [(point.node, point.interface) for point in result.topology.points] == [("a", "a"), ("server", "server")]
    found = paths(result)
    assert [(path.hops[0].file, path.hops[0].frame) for path in found] == [
        (pieces[i // 14], i % 14 + 1) for i in range(40)
    ]
    assert len({path.connection for path in found}) == 1
    for path in found:
        assert [hop.node for hop in path.hops] == ["a", "server"]
        assert [(rewrite.old, rewrite.new) for rewrite in path.rewrites] == [(f"{CLIENT}:1000", f"{NAT}:1000")]


def test_pieces_in_any_order_and_a_ring_that_began_again(tmp_path):
    """`tcpdump -W` writes its first file again: numbers say nothing of the times."""
    pieces = in_pieces(tmp_path, stream(CLIENT, 0, 64), ["a.pcap2", "a.pcap0", "a.pcap1"])
    result = correlate_captures(sorted(pieces))
    assert [(point.node, point.interface) for point in result.topology.points] == [("a", "a")]


def test_an_empty_piece_belongs_to_the_others(tmp_path):
    pieces = in_pieces(tmp_path, stream(CLIENT, 0, 64), ["a-20261129180001.pcap", "a-20261129180002.pcap"])
    empty = pcap(tmp_path / "a-20261129180000.pcap", [])
    assert len(correlate_captures([empty, *pieces]).topology.points) == 1


def test_that_pieces_share_no_packet_is_no_news(tmp_path):
    pieces = in_pieces(tmp_path, stream(CLIENT, 0, 64), NAMES["tcpdump -C"])
    result = correlate_captures(pieces)
    assert_same_in_parts(pieces, result)
    assert [facts.nothing_in_common for facts in capture_facts(result)] == [None] * 3


def test_pieces_of_one_node_that_is_named(tmp_path):
    pieces = in_pieces(tmp_path, stream(CLIENT, 0, 64), NAMES["dumpcap -b"])
    topology = correlate_captures([f"n={piece}" for piece in pieces]).topology
    assert [(point.node, point.interface) for point in topology.points] == [("n", "a")]


@pytest.mark.parametrize("ip_id", [1, 0])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_two_points_whose_clocks_are_apart_are_no_pieces(tmp_path, ip_id, count):
    """Their times follow each other, but their frames are the same: also behind a translation."""
    first = pcap(tmp_path / "a_00001.pcap", stream(CLIENT, 0, 64, ip_id=ip_id, count=count))
    second = pcap(tmp_path / "a_00002.pcap", stream(NAT, 50, 63, ip_id=ip_id, count=count), offset_us=70_000_000)
    result = correlate_captures([first, second])
    assert_same_in_parts([first, second], result)
    if ip_id or count > 2:
        assert [point.node for point in result.topology.points] == ["a_00001", "a_00002"]


def test_points_at_one_time_are_no_pieces_whatever_they_are_called(tmp_path):
    for names in (["a.pcap", "a.pcap1"], ["web.in.pcap", "web.out.pcap"], ["a/x.pcap", "b/x.pcap"]):
        files = []
        for number, name in enumerate(names):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            files.append(pcap(tmp_path / name, stream(CLIENT, 50 * number, 64 - number)))
        result = correlate_captures(files)
        assert_same_in_parts(files, result)
        assert len({point.node for point in result.topology.points}) == 2, names
        assert all(len(path.hops) == 2 for path in paths(result)), names


def test_names_of_nodes_are_not_counted(tmp_path):
    files = in_pieces(tmp_path, stream(CLIENT, 0, 64), ["node1.pcap", "node2.pcap"])
    assert [point.node for point in correlate_captures(files).topology.points] == ["node1", "node2"]


def test_interfaces_must_be_the_same(tmp_path):
    frames = stream(CLIENT, 0, 64)
    files = [pcapng(tmp_path / f"a_{i:05}.pcapng", frames[20 * i : 20 * i + 20], f"eth{i}") for i in range(2)]
    assert len({point.node for point in correlate_captures(files).topology.points}) == 2
    files = [pcapng(tmp_path / f"b_{i:05}.pcapng", frames[20 * i : 20 * i + 20]) for i in range(2)]
    assert [(p.node, p.interface) for p in correlate_captures(files).topology.points] == [("b", "eth0")]


def test_frames_of_the_other_ip_version_are_known_again(tmp_path):
    def frames(delay_us: int) -> Frames:
        ip = IPv6(src="fd00::1", dst="fd00::2")
        return [(1000 * i + delay_us, bytes(ip / TCP(seq=1 + 9 * i, flags="PA") / b"123456789")) for i in range(9)]

    files = [pcap(tmp_path / f"a_{i:05}.pcap", frames(i), offset_us=i * 5_000_000) for i in range(2)]
    assert len({point.node for point in correlate_captures(files).topology.points}) == 2


@pytest.mark.slow
def test_nothing_is_missed_between_pieces(tmp_path):
    """A packet that is last seen just before a file ends would have been seen in the next one."""
    frames = stream(CLIENT, 0, 64, count=4000)
    names = ["b_00001_20261129180000.pcap", "b_00002_20261129180001.pcap"]
    seen = stream(NAT, 50, 63, count=4000)
    del seen[1999]  # the last of the first half: lost, or missed by the capture, but not for the end of a file
    files = [pcap(tmp_path / "a.pcap", frames), *in_pieces(tmp_path, seen, names)]
    result = correlate_captures(files)
    (path,) = [path for path in paths(result) if len(path.hops) == 1]
    assert path.reason is None or path.reason.kind != "capture-ended"


def test_pieces_of_a_ttrace_capture_say_what_it_said(tmp_path):
    whole = correlate_captures([str(RECORDED)])
    files = split(RECORDED, tmp_path, 60)
    result = correlate_captures(files)
    assert_same_in_parts(files, result)

    def told(one):
        return sorted(
            (p.info, p.outcome, len(p.hops), tuple((r.old, r.new, r.rule) for r in p.rewrites))
            for p in paths(one)
            if p.protocol == "tcp"
        )

    assert told(result) == told(whole)


def test_two_interfaces_of_one_name_in_a_plain_file_are_two_points(tmp_path):
    frames = stream(CLIENT, 0, 64, count=3)
    path = tmp_path / "m.pcapng"
    pcapng(path, [], points=2)
    body = path.read_bytes()
    for time_us, data in frames:
        for number in range(2):
            body += enhanced_packet(interface=number, time_ns=(START_US + time_us + number * 9) * 1000, data=data)
    path.write_bytes(body)
    result = correlate_captures([str(path)])
    assert_same_in_parts([str(path)], result)
    assert [[hop.interface for hop in p.hops] for p in paths(result)] == [["eth0", "eth0 (2)"]] * 3


def test_what_counts_in_a_name():
    names = {
        "x_00001_20261129180000.pcapng.gz": "x",
        "x.pcap3": "x",
        "x17": "x17",
        "node1.pcap": "node1",
        "eth0-2.pcap": "eth0",
        "20261129.pcap": "20261129",
        "a17": "a",
        "b17": "b17",
        "c_2026-11-29T18:00:00-eth0.pcap": "c-eth0",
    }
    assert {name: common_name(name, ["a", "b17"]) for name in names} == names
