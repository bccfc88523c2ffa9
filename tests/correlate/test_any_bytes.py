"""Any bytes through everything: a report, or an error for people. Nothing else, and nothing without bounds."""

import gzip
import json
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.l2 import ARP, Ether

from ttrace.correlate import correlate_captures
from ttrace.correlate.result.select import select
from ttrace.correlate.summaries.one_file import describe_capture
from ttrace.errors import TtraceError
from ttrace.pcapng.blocks import LinkType
from ttrace.report import render
from ttrace.report.text.capture_file import description_text
from ttrace.tests.pcapng.blocks import BIG, LITTLE, Writer

from .test_against_tshark import PACKETS, WAYS, box

PCAPS = Path(__file__).parents[2] / "pcaps"
fuzz = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
FRAMES = [
    *((link_type, wrap(box(packet))) for link_type, wrap in WAYS for packet in list(PACKETS.values())[::7]
      if {LinkType.IPV4: 4, LinkType.IPV6: 6}.get(link_type) in (None, bytes(packet)[0] >> 4)),
    (LinkType.ETHERNET, bytes(Ether() / ARP())),
    (127, bytes(40)),
]  # fmt: skip
WORDS = st.sampled_from([bytes(4), b"\xff" * 4, b"\x0c\0\0\0", b"\0\0\0\x0c", b"\0\0\0\x80", b"\xfc\xff\xff\xff"])


def damage(draw, data: bytes) -> bytes:
    """Some bytes changed, cut out or doubled; words as lengths that lie."""
    data = bytearray(data)
    for _ in range(draw(st.integers(0, 6))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        how = draw(st.integers(0, 3))
        if how == 0:
            data[at] = draw(st.integers(0, 255))
        elif how == 1:
            data[at & ~3 : (at & ~3) + 4] = draw(WORDS)
        elif how == 2:
            del data[at : at + draw(st.integers(1, 40))]
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 40))]
    return bytes(data)


@st.composite
def pcaps(draw) -> bytes:
    """A classic capture in either byte order and resolution, of any link type, damaged."""
    writer: Writer = draw(st.sampled_from([LITTLE, BIG]))
    link_type, _ = draw(st.sampled_from(FRAMES))
    frames = [data for its_type, data in FRAMES if its_type == link_type]
    packets = draw(st.lists(st.sampled_from(frames) | st.binary(max_size=90), max_size=6))
    records = [(1_700_000_000 + i, i, data) for i, data in enumerate(packets)]
    data = writer.pcap(*records, nanoseconds=draw(st.booleans()), link_type=draw(st.sampled_from([link_type, 0, 9999])))
    return damage(draw, data)


@st.composite
def pcapngs(draw) -> bytes:
    """Sections of several interfaces and every kind of block, damaged."""
    data = b""
    for _ in range(draw(st.integers(1, 2))):
        writer: Writer = draw(st.sampled_from([LITTLE, BIG]))
        chosen = draw(st.lists(st.sampled_from(FRAMES), min_size=1, max_size=4))
        data += writer.section()
        data += b"".join(writer.interface(f"e{i}", link_type=link_type) for i, (link_type, _) in enumerate(chosen))
        for number, (_, frame) in enumerate(chosen):
            kind = draw(st.integers(0, 4))
            if kind == 0:
                data += writer.simple(frame)
            elif kind == 1:
                data += writer.obsolete(frame, interface=number, time=draw(st.integers(0, 2**64 - 1)))
            elif kind == 2:
                data += writer.statistics((5, writer.pack("Q", 7)), interface=number)
            else:
                data += writer.enhanced(frame, (2, writer.pack("I", number & 3)), interface=number, time=number)
    return damage(draw, data)


@st.composite
def recordings(draw) -> bytes:
    """A part of a recording with trace, conntrack and snapshots, damaged."""
    path = draw(st.sampled_from(sorted(PCAPS.glob("*/master.pcapng"))))
    return damage(draw, path.read_bytes()[: draw(st.integers(300, 60_000))])


def pack(draw, data: bytes) -> bytes:
    """Compressed or not; damaged once more behind the first bytes."""
    how = draw(st.sampled_from([None, gzip.compress, zstandard.compress, lz4.frame.compress]))
    if how is None:
        return data
    packed = how(data)
    return packed[:6] + damage(draw, packed[6:]) if draw(st.booleans()) else packed


def assert_a_report_or_an_error(*paths: Path) -> None:
    named = [f"n{i}={path}" for i, path in enumerate(paths)]
    try:
        result = correlate_captures(named)
    except TtraceError:
        return
    chosen = select(result, every_path=True)
    document = json.loads("".join(render(result, chosen, "json")))
    assert len(document["captures"]) == len(paths)
    frames = [hop["frame"] for path in document["paths"] for hop in path["hops"] if hop["kind"] == "interface"]
    assert len(frames) == sum(capture["packets"] for capture in document["captures"])
    told = "".join(render(result, chosen, "text"))
    assert told.startswith(("Findings: ", "No fault of the network is seen: "))
    assert "\nCaptures\n" in told
    for path in paths:
        assert all(map(description_text, describe_capture(str(path))))


@pytest.mark.slow
@fuzz
@given(st.data())
@pytest.mark.fault("capture files", "any bytes, damaged captures of every kind (hypothesis)", "a report or one line")
def test_any_capture_is_a_report_or_an_error(tmp_path, data):
    paths = []
    for name in "ab"[: data.draw(st.integers(1, 2))]:
        paths.append(tmp_path / name)
        paths[-1].write_bytes(pack(data.draw, data.draw(pcaps() | pcapngs() | recordings())))
    assert_a_report_or_an_error(*paths)
