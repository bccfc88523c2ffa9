"""The pcapng writer: what it builds, tshark reads."""

import json
import struct
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from ttrace.pcapng.blocks import Direction, LinkType
from ttrace.pcapng.write import (
    SNAPSHOT_PART_BYTES,
    enhanced_packet,
    interface_description,
    interface_statistics,
    name_resolution,
    section_header,
    snapshot_packets,
)

from .conftest import tshark

FRAME = bytes.fromhex("ffffffffffff 020000000001 0806 0001080006040001020000000001 0a000001 000000000000 0a000002")
TIME_NS = 1_700_000_000_123_456_789


def write_sample(path):
    path.write_bytes(
        section_header(node="master", system="Linux 6.18", application="ttrace test")
        + interface_description(
            link_type=LinkType.ETHERNET, name="eth0", description="root namespace", facts={"what": "packets"},
            snaplen=1600, mac=bytes.fromhex("020000000001"), filter_text="arp",
        )
        + interface_description(
            link_type=LinkType.WIRESHARK_UPPER_PDU, name="snapshot", description="root namespace",
            facts={"what": "snapshot"},
        )
        + name_resolution({"10.0.0.1": "web1", "fd00::1": "web1"})
        + enhanced_packet(interface=0, time_ns=TIME_NS, data=FRAME, length=60, direction=Direction.OUT)
        + b"".join(
            enhanced_packet(interface=1, time_ns=TIME_NS, data=data)
            for data in snapshot_packets(moment="start", netns="root", kind="links", data=[{"name": "eth0"}])
        )
        + interface_statistics(interface=0, time_ns=TIME_NS, received=5, dropped=4)
    )  # fmt: skip


def test_sample_file_is_read_by_tshark_with_all_its_facts(tmp_path):
    path = tmp_path / "sample.pcapng"
    write_sample(path)
    rows = tshark(
        path,
        fields=(
            "frame.time_epoch",
            "frame.len",
            "frame.interface_name",
            "frame.packet_flags_direction",
            "frame.protocols",
        ),
    )
    assert rows == [
        ["1700000000.123456789", "60", "eth0", "0x00000002", "eth:ethertype:arp"],
        ["1700000000.123456789", "138", "snapshot", "", "exported_pdu:json"],
    ]


def test_sample_file_is_read_by_capinfos(tmp_path):
    path = tmp_path / "sample.pcapng"
    write_sample(path)
    done = subprocess.run(["capinfos", str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for line in (
        'Capture comment:     {"ttrace": 1, "node": "master"}',
        "Capture application: ttrace test",
        "Description = root namespace",
        "Filter string = arp",
        "Capture length = 1600",
        "Number of stat entries = 1",
    ):
        assert line in done.stdout


def test_names_are_used_by_tshark(tmp_path):
    path = tmp_path / "sample.pcapng"
    frame = FRAME[:12] + b"\x08\x00" + bytes.fromhex("4500001c000100004011 0000 0a000001 0a000002 0001000200080000")
    path.write_bytes(
        section_header(node="a", system="b", application="c")
        + interface_description(link_type=LinkType.ETHERNET, name="eth0", description="", facts={})
        + name_resolution({"10.0.0.1": "web1"})
        + enhanced_packet(interface=0, time_ns=0, data=frame)
    )
    command = ["tshark", "-N", "n", "-r", str(path), "-T", "fields", "-e", "ip.src_host"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "web1\n"


def test_no_names_is_no_block():
    assert name_resolution({}) == b""


@given(st.binary(max_size=70), st.integers(0, 2**64 - 1), st.sampled_from(Direction))
def test_packet_blocks_are_framed_and_padded(data, time_ns, direction):
    block = enhanced_packet(interface=3, time_ns=time_ns, data=data, direction=direction)
    kind, length, interface, high, low, captured, original = struct.unpack_from("<7I", block)
    assert (kind, length, interface) == (6, len(block), 3)
    assert len(block) % 4 == 0
    assert (high << 32 | low, captured, original) == (time_ns, len(data), len(data))
    assert block[28 : 28 + len(data)] == data
    assert block[-4:] == block[4:8]


@given(
    st.integers(0, 3).map(lambda size: {"text": '"\\é' * size * SNAPSHOT_PART_BYTES})
    | st.dictionaries(st.text(), st.text())
)
def test_snapshot_parts_join_to_the_data_and_fit_into_packets(data):
    packets = list(snapshot_packets(moment="stop", netns=None, kind="node", data=data))
    assert all(len(packet) < 262_144 for packet in packets)
    bodies = [json.loads(packet[12:]) for packet in packets]
    assert [(body["part"], body["parts"]) for body in bodies] == [(n + 1, len(packets)) for n in range(len(packets))]
    joined = bodies[0]["data"] if len(bodies) == 1 else json.loads("".join(body["data"] for body in bodies))
    assert joined == data
