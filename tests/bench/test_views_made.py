"""The views: what the boxes did to the bytes, and that what is called their truth is what happened to them."""

import gzip
import struct
from collections import Counter

import pytest

from ttrace.bench.truth.clock import Clock, read_pcap
from ttrace.bench.truth.views.captures import Capture, UnreadableError, read_any
from ttrace.bench.truth.views.crossing import Fate
from ttrace.bench.truth.views.example import CLIENT, SERVER, conversation, ipv4, records, tcp, udp
from ttrace.bench.truth.views.kinds import KINDS, Kind
from ttrace.bench.truth.views.points import make_view

from .frames import body, ends, fragment, network_ok, ones, transport_ok

BY_NAME = {kind.name: kind for kind in KINDS}
ROUTER = bytes((10, 9, 9, 9))


def conversations(count=8, rounds=6):
    """Connections that take turns, each frame of its own."""
    each = [conversation(40000 + n, 1000 + n * 77_777, rounds, 2000 + 100 * n) for n in range(count)]
    return Capture(1, records([frame for row in zip(*each, strict=True) for frame in row]), 0)


def written(view):
    """Per point, the frames in its file and their times in it."""
    return [([r.data for r in found], [r.time_ns for r in found]) for _, found in map(read_pcap, view.paths)]


def source_nat(**more):
    return Kind("test", "", ("s",), **more)


@pytest.mark.parametrize("kind", [k for k in KINDS if not k.snaplens], ids=lambda kind: kind.name)
def test_what_a_box_rewrites_has_right_checksums(kind, tmp_path):
    view = make_view(conversations(), kind, "seed", tmp_path)
    for point, (frames, _) in enumerate(written(view)):
        assert frames
        assert all(network_ok(frame) for frame in frames)
        whole = [f for f in frames if fragment(f)[1:] == (0, False)]
        offloaded = kind.offloaded and point == 0
        assert all(transport_ok(f) for f in whole if not (offloaded and ends(f)[0] == CLIENT))


def test_an_offloaded_checksum_is_the_sum_of_the_pseudo_header(tmp_path):
    view = make_view(conversations(), BY_NAME["both"], "seed", tmp_path)
    (frames, _), _ = written(view)
    sent = [frame for frame in frames if ends(frame)[0] == CLIENT]
    for frame in sent:
        pseudo = frame[26:34] + struct.pack("!BBH", 0, 6, len(body(frame)))
        assert struct.unpack_from("!H", frame, 50)[0] == ones(pseudo)


def test_source_nat_gives_each_connection_a_port_of_its_own_at_one_address(tmp_path):
    view = make_view(conversations(30), source_nat(random_ports=True), "seed", tmp_path)
    (before, _), (behind, _) = written(view)
    sources = {(ends(f)[0], struct.unpack_from("!H", f, 34)[0]) for f in behind if ends(f)[1] == SERVER}
    assert len(sources) == 30
    assert len({address for address, _ in sources}) == 1
    assert {ends(f)[0] for f in before if ends(f)[1] == SERVER} == {CLIENT}
    assert {port for _, port in sources} != {40000 + n for n in range(30)}


def test_time_to_live_falls_on_the_way_of_both_directions(tmp_path):
    view = make_view(conversations(), BY_NAME["three"], "seed", tmp_path)
    hops = {}
    for seen in view.frames:
        hops.setdefault((seen.packet, seen.direction), {})[seen.point] = seen.data[22]
    for (_, direction), found in hops.items():
        here = [found[point] for point in sorted(found)]
        assert here == (sorted(here, reverse=True) if direction == 0 else sorted(here))
        assert len(set(here)) == 3


def test_what_an_error_quotes_is_translated_with_it(tmp_path):
    asked = udp(CLIENT, SERVER, (5353, 33434), b"probe", identification=77)
    refusal = struct.pack("!BBHI", 3, 3, 0, 0) + asked[14:42]
    refusal = refusal[:2] + struct.pack("!H", ~ones(refusal) & 0xFFFF) + refusal[4:]
    capture = Capture(1, records([asked, ipv4(ROUTER, CLIENT, 1, refusal)]), 0)
    view = make_view(capture, source_nat(random_ports=True), "seed", tmp_path)
    (before, _), (behind, _) = written(view)
    for frames in (before, behind):
        sent = next(f for f in frames if f[23] == 17)
        error = next(f for f in frames if f[23] == 1)
        quoted = body(error)[8:]
        assert quoted[12:20] == sent[26:34]
        assert quoted[20:24] == sent[34:38]
        assert ends(error) == (ROUTER, sent[26:30])
        assert network_ok(error)
        assert transport_ok(error)
        assert ones(quoted[:20]) == 0xFFFF
    assert body(next(f for f in behind if f[23] == 1))[20:24] != CLIENT


def test_fragments_make_the_datagram_again(tmp_path):
    datagram = udp(CLIENT, SERVER, (5000, 6000), bytes(range(256)) * 8, identification=99)
    kind = source_nat(mtu=576)
    view = make_view(Capture(1, records([datagram, *conversation()]), 0), kind, "seed", tmp_path)
    (before, _), (behind, _) = written(view)
    (whole,) = [f for f in before if f[23] == 17]
    pieces = sorted((f for f in behind if f[23] == 17), key=lambda f: fragment(f)[1])
    assert len(pieces) == 4
    assert all(len(f) - 14 <= 576 and network_ok(f) and fragment(f)[0] == 99 for f in pieces)
    assert [fragment(f)[2] for f in pieces] == [True, True, True, False]
    joined = b"".join(body(f) for f in pieces)
    assert joined[8:] == body(whole)[8:]
    assert {seen.packet for seen in view.frames if seen.data[23] == 17} == {0}


def test_the_same_seed_makes_the_same_files_and_another_others(tmp_path):
    made = []
    for number, seed in enumerate(("one", "one", "two")):
        folder = tmp_path / str(number)
        folder.mkdir()
        view = make_view(conversations(), BY_NAME["everything"], seed, folder)
        made.append([path.read_bytes() for path in view.paths])
    assert made[0] == made[1] != made[2]


def test_a_lost_packet_is_behind_no_box_and_is_sent_again(tmp_path):
    view = make_view(conversations(20), source_nat(lost=0.3), "seed", tmp_path)
    points = {}
    for seen in view.frames:
        points.setdefault(seen.packet, set()).add(seen.point)
    lost = {packet for packet, fate in view.truth.fates.items() if fate is Fate.LOST}
    assert len(lost) > 20
    assert all(len(points[packet]) == 1 for packet in lost)
    assert all(points[packet] == {0, 1} for packet in points.keys() - lost)
    origin = {seen.packet: seen for seen in view.frames}
    with_data = [packet for packet in lost if len(body(origin[packet].data)) > 20]
    assert with_data
    for packet in with_data:
        again = origin[packet + len(view.crossing.records)]
        assert body(again.data)[20:] == body(origin[packet].data)[20:]
        assert again.data[18:20] != origin[packet].data[18:20]


def test_nothing_is_lost_that_was_answered(tmp_path):
    view = make_view(conversations(20), source_nat(lost=1.0), "seed", tmp_path)
    seen = {one.packet: one for one in view.frames}
    lost = [seen[packet] for packet, fate in view.truth.fates.items() if fate is Fate.LOST]
    assert lost
    assert not any(one.data[47] & 2 for one in lost)  # its connection was made


def test_an_answer_passes_each_point_behind_what_it_answers(tmp_path):
    view = make_view(conversations(20), BY_NAME["everything"], "seed", tmp_path)
    first, last = {}, {}
    for seen in view.truth.seen:
        key = seen.packet, seen.point
        first[key] = min(first.get(key, seen.time_ns), seen.time_ns)
        last[key] = max(last.get(key, seen.time_ns), seen.time_ns)
    frames = 3 + 3 * 6
    checked = 0
    for flow in range(20):
        for turn in range(3, frames, 3):
            request, answer = 20 * turn + flow, 20 * (turn + 1) + flow
            for point in range(3):
                if (request, point) in first and (answer, point) in first:
                    assert first[request, point] < last[answer, point]
                    checked += 1
    assert checked > 300


def test_what_a_capture_missed_did_pass(tmp_path):
    view = make_view(conversations(20), source_nat(missed=0.1), "seed", tmp_path)
    assert 20 < len(view.missed) < 150
    in_files = {(seen.packet, seen.point) for seen in view.frames}
    passed = {(seen.packet, seen.point) for seen in view.truth.seen}
    assert not view.missed & in_files
    assert view.missed <= passed
    assert Fate.LOST not in view.truth.fates.values()


def test_a_mirror_shows_each_frame_twice_at_its_point_only(tmp_path):
    view = make_view(conversations(), BY_NAME["mirror"], "seed", tmp_path)
    counts = Counter((seen.packet, seen.point) for seen in view.frames)
    assert {point: {n for (_, p), n in counts.items() if p == point} for point in (0, 1)} == {0: {2}, 1: {1}}


def test_files_are_cut_and_show_their_clocks(tmp_path):
    clock = Clock(3_000_000_000, 100.0, resolution_ns=1)
    kind = source_nat(snaplens=(96, 64), clocks=(Clock(resolution_ns=1), clock))
    view = make_view(conversations(), kind, "seed", tmp_path)
    (before, own), (behind, other) = written(view)
    assert max(map(len, before)) == 71  # nothing here is longer
    assert max(map(len, behind)) == 64
    here = [seen.time_ns for seen in view.frames if seen.point == 0]
    there = [seen.time_ns for seen in view.frames if seen.point == 1]
    assert own == here
    wrong = [shown - true for shown, true in zip(other, there, strict=True)]
    assert abs(wrong[0] - 3_000_000_000) < 1000
    assert wrong[-1] - wrong[0] == pytest.approx((there[-1] - there[0]) * 1e-4, rel=0.01)


def test_what_stays_on_its_link_does_not_cross(tmp_path):
    shout = udp(CLIENT, bytes((255, 255, 255, 255)), (68, 67), b"who", identification=5)
    view = make_view(Capture(1, records([shout, *conversation()]), 0), BY_NAME["routed"], "seed", tmp_path)
    assert [seen.point for seen in view.frames if seen.origin == 0] == [0]


def capture_bytes(order, *, nano=False):
    frame = tcp(CLIENT, SERVER, (1, 2), 3, 4, 16)
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
    return head + struct.pack(f"{order}4I", 17, 250, len(frame), len(frame)) + frame


def pcapng_bytes(order):
    frame = tcp(CLIENT, SERVER, (1, 2), 3, 4, 16)
    section = struct.pack(f"{order}IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    interface = struct.pack(f"{order}IIHHIHHB3xHHI", 1, 32, 1, 0, 0, 9, 1, 9, 0, 0, 32)
    padded = frame + b"\0" * (-len(frame) % 4)
    size = 32 + len(padded)
    packet = (
        struct.pack(f"{order}7I", 6, size, 0, 0, 17, len(frame), len(frame)) + padded + struct.pack(f"{order}I", size)
    )
    return section + interface + packet


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("made", ["pcap", "nano", "pcapng", "gzip"])
def test_captures_of_any_form_are_read(order, made, tmp_path):
    data = {
        "pcap": capture_bytes(order),
        "nano": capture_bytes(order, nano=True),
        "pcapng": pcapng_bytes(order),
        "gzip": gzip.compress(capture_bytes(order)),
    }[made]
    path = tmp_path / "capture"
    path.write_bytes(data)
    found = read_any(path, 10)
    assert found.link == 1
    assert [record.data for record in found.records] == [tcp(CLIENT, SERVER, (1, 2), 3, 4, 16)]
    expected = {"pcap": 17_000_250_000, "nano": 17_000_000_250, "pcapng": 17, "gzip": 17_000_250_000}
    assert found.records[0].time_ns == expected[made]


@pytest.mark.parametrize("data", [b"", b"no capture at all, but text", capture_bytes("<")[:30]])
def test_what_is_no_capture_says_so(data, tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(data)
    with pytest.raises(UnreadableError):
        read_any(path, 10)
