"""Dissection against tshark, against trace headers, and against any bytes."""

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, TCPerror, UDPerror
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6TimeExceeded,
    IPerror6,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1Q, Ether, Loopback
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from ttrace.correlate.decode.frames import dissect_packets
from ttrace.correlate.result.words import address_text, endpoint, packet_info
from ttrace.correlate.schema import NOTE_ERROR, NOTE_NO_FLOW
from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.read import read_capture
from ttrace.pcapng.write import enhanced_packet, interface_description, section_header

from ..frames import decode, dissect, trace
from .translations import translations

PCAPS = Path(__file__).parents[3] / "pcaps"
fuzz = settings(deadline=None, max_examples=300)
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
TAGGED = LINK / Dot1Q(vlan=7)
DOUBLE = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x88A8) / Dot1Q(vlan=3) / Dot1Q(vlan=7)

# --- against tshark -------------------------------------------------------------------------------------------------

FIELDS = {
    "ip.src": ("source", str),
    "ip.dst": ("destination", str),
    "ipv6.src": ("source", str),
    "ipv6.dst": ("destination", str),
    "ip.proto": ("protocol", int),
    "ip.ttl": ("ttl", int),
    "ipv6.hlim": ("ttl", int),
    "ip.id": ("ip_id", lambda t: int(t, 16)),
    "ip.len": ("length", int),
    "ip.frag_offset": ("offset", int),
    "ip.flags.mf": ("more", int),
    "tcp.srcport": ("source_port", int),
    "tcp.dstport": ("destination_port", int),
    "udp.srcport": ("source_port", int),
    "udp.dstport": ("destination_port", int),
    "tcp.seq_raw": ("sequence", int),
    "tcp.ack_raw": ("acknowledgment", int),
    "tcp.flags": ("tcp_flags", lambda t: int(t, 16) & 0x1FF),
    "tcp.window_size_value": ("window", int),
    "tcp.len": ("payload_length", int),
    "icmp.type": ("icmp_type", int),
    "icmp.code": ("icmp_code", int),
    "icmpv6.type": ("icmp_type", int),
    "icmpv6.code": ("icmp_code", int),
    "icmp.ident": ("source_port", int),
    "icmp.seq": ("sequence", int),
    "icmpv6.echo.sequence_number": ("sequence", int),
    "arp.src.proto_ipv4": ("source", str),
    "arp.dst.proto_ipv4": ("destination", str),
}


def tshark_rows(path: Path) -> dict[int, dict[str, str]]:
    """Frame number to the outermost value of each field that is there."""
    names = ["frame.number", "frame.protocols", *FIELDS]
    options = ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE"]
    argv = ["tshark", "-r", str(path), *options, "-T", "fields", "-E", "occurrence=f"]
    done = subprocess.run(
        [*argv, *(word for name in names for word in ("-e", name))], capture_output=True, text=True, check=True
    )
    rows = {}
    for line in done.stdout.splitlines():
        values = dict(zip(names, line.split("\t"), strict=True))
        rows[int(values.pop("frame.number"))] = values
    return rows


def our_fields(row: np.void) -> dict[str, object]:
    found = {name: int(row[name]) for name in row.dtype.names}
    found["source"] = address_text(int(row["source_high"]), int(row["source_low"]))
    found["destination"] = address_text(int(row["destination_high"]), int(row["destination_low"]))
    found["offset"] = found["fragment"] & 0x1FFF
    found["more"] = found["fragment"] >> 13 & 1
    return found


def assert_as_tshark(path: Path, rows: np.ndarray) -> int:
    """Every field that tshark shows is the same in the row of that frame; the number of fields compared."""
    theirs = tshark_rows(path)
    compared = 0
    for row in rows:
        values = theirs[int(row["frame"])]
        layers = values.pop("frame.protocols").split(":")
        outer = next((layer for layer in layers if layer in ("ip", "ipv6")), None)
        mine = our_fields(row)
        for name, text in values.items():
            layer = name.split(".")[0]
            of_embedded = row["notes"] & NOTE_ERROR and layer in ("tcp", "udp")
            of_inner = layer in ("ip", "ipv6") and layer != outer
            if text and not of_embedded and not of_inner:
                column, convert = FIELDS[name]
                assert mine[column] == convert(text), f"frame {row['frame']}: {name}"
                compared += 1
    return compared


@pytest.mark.parametrize("scene", ["docker-http", "docker-ping", "docker-udp", "docker-dropped"])
def test_recorded_captures_field_by_field(scene):
    path = PCAPS / scene / "master.pcapng"
    capture = read_capture(path)
    size = len(capture.interfaces)
    rows = dissect_packets(capture, 0, np.zeros(size, np.uint32), np.zeros(size, np.uint16)).rows
    assert rows.size > 5
    assert assert_as_tshark(path, rows) > 6 * rows.size


def _transports() -> list[Packet]:
    payload = Raw(b"some payload, long enough to be cut")
    v4 = IP(src="10.0.0.1", dst="10.9.9.9", id=4321, ttl=33)
    v6 = IPv6(src="fd00::1", dst="fd00::9", hlim=44)
    tcp = TCP(
        sport=40000, dport=80, seq=0xDEADBEEF, ack=0xFEEDF00D, flags="PA", window=501, options=[("NOP", None)] * 4
    )
    return [
        v4 / tcp / payload,
        v4 / TCP(sport=1, dport=2, flags="SEC") / b"",
        v4 / UDP(sport=53, dport=5353) / payload,
        v4 / ICMP(type=8, id=77, seq=9) / payload,
        v4 / ICMP(type=0, id=77, seq=9) / payload,
        v4 / ICMP(type=3, code=3) / IPerror(src="10.9.9.9", dst="10.0.0.1", id=5) / UDPerror(sport=9,
        dport=10) / payload,
        v4 / SCTP(sport=5, dport=6) / payload,
        IP(src="10.0.0.1", dst="10.9.9.9", options=[b"\x94\x04\x00\x00"]) / tcp / payload,
        IP(src="10.0.0.1", dst="10.9.9.9", id=99, flags="MF") / UDP(sport=7, dport=8, len=3000) / Raw(bytes(64)),
        IP(src="10.0.0.1", dst="10.9.9.9", id=99, frag=9, proto=17) / Raw(bytes(64)),
        IP(src="10.0.0.1", dst="10.9.9.9", proto=47) / Raw(bytes(40)),
        v6 / tcp / payload,
        v6 / UDP(sport=53, dport=5353) / payload,
        v6 / ICMPv6EchoRequest(id=5, seq=6, data=b"abcdefgh"),
        v6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt() / tcp / payload,
        v6 / IPv6ExtHdrFragment(id=0x12345678, m=1, offset=0) / UDP(sport=3, dport=4, len=100) / Raw(bytes(32)),
        v6 / ICMPv6TimeExceeded() / IPerror6(src="fd00::9", dst="fd00::1") / TCPerror(sport=1, dport=2),
    ]  # fmt: skip


WITH_ETHERTYPE = (LinkType.ETHERNET, LinkType.LINUX_SLL, LinkType.LINUX_SLL2)
LINKS = {
    LinkType.ETHERNET: [LINK, TAGGED, DOUBLE],
    LinkType.RAW: [None],
    LinkType.NULL: [Loopback()],
    LinkType.LINUX_SLL: [CookedLinux(pkttype=0), CookedLinux(pkttype=4)],
    LinkType.LINUX_SLL2: [CookedLinuxV2(pkttype=0), CookedLinuxV2(pkttype=4)],
}


@pytest.mark.parametrize("link_type", LINKS, ids=lambda v: v.name)
def test_every_link_type_field_by_field(link_type, tmp_path):
    frames = [
        bytes(link / packet if link is not None else packet) for link in LINKS[link_type] for packet in _transports()
    ]
    frames += [
        bytes(link / ARP(psrc="10.0.0.1", pdst="10.0.0.2")) for link in LINKS[link_type] if link_type in WITH_ETHERTYPE
    ]
    path = tmp_path / "built.pcapng"
    path.write_bytes(
        section_header(node="n", system="", application="")
        + interface_description(link_type=link_type, name="x", description="", facts={})
        + b"".join(enhanced_packet(interface=0, time_ns=i, data=f) for i, f in enumerate(frames))
    )
    rows = dissect(*frames, link_type=link_type)
    assert rows.size == len(frames)
    assert assert_as_tshark(path, rows) > 6 * len(frames)


def test_a_cooked_capture_tells_the_direction():
    for cooked, link_type in ((CookedLinux, 113), (CookedLinuxV2, 276)):
        frames = [bytes(cooked(pkttype=kind) / IP() / UDP()) for kind in range(5)]
        assert dissect(*frames, link_type=link_type)["direction"].tolist() == [1, 1, 1, 1, 2]


# --- NAT leaves the content -----------------------------------------------------------------------------------------


# --- trace headers --------------------------------------------------------------------------------------------------


def header_copy(packet: bytes) -> np.void:
    """The header of a packet as a trace message carries it."""
    start = (packet[0] & 15) * 4 if packet[0] >> 4 == 4 else 40
    messages = decode(trace(network=packet[:start], transport=packet[start : start + 20]))
    assert messages.malformed == 0
    assert messages.headers.size == 1
    return messages.headers[0]


@fuzz
@given(translations())
def test_a_trace_header_has_flow_and_content_of_the_frame(translation):
    packet = translation[0]
    (frame,) = dissect(packet, link_type=LinkType.RAW)
    copy = header_copy(packet)
    for column in (
        "flow",
        "flow_reverse",
        "content",
        "source_port",
        "sequence",
        "length",
        "ttl",
        "protocol",
        "icmp_type",
    ):
        assert copy[column] == frame[column]


def test_a_trace_header_of_an_icmp_error_has_its_content_and_no_flow():
    packet = bytes(
        IP(src="10.0.0.9", dst="10.0.0.1", id=1)
        / ICMP(type=3, code=1)
        / IPerror(src="10.0.0.1", dst="10.0.0.2", id=5)
        / UDPerror(sport=9, dport=10)
    )
    (frame,) = dissect(packet, link_type=LinkType.RAW)
    copy = header_copy(packet)
    assert copy["content"] == frame["content"]
    assert copy["notes"] == NOTE_ERROR | NOTE_NO_FLOW
    assert frame["notes"] == NOTE_ERROR


def test_a_super_packet_of_ipv6_has_its_length_in_an_option():
    """BIG TCP (RFC 2675): the length field is 0."""
    size = 100_000
    option = struct.pack(">BBBBI", 6, 0, 0xC2, 4, size + 28)
    header = bytes(IPv6(src="fd00::1", dst="fd00::2", nh=0, plen=0))
    packet = header + option + bytes(TCP(sport=5, dport=6, seq=7)) + bytes(size)
    (row,) = dissect(packet, link_type=LinkType.RAW)
    assert (row["length"], row["payload_length"], row["sequence"]) == (len(packet), size, 7)
    assert row["payload"] != 0
    (row,) = dissect(packet[:90], link_type=LinkType.RAW)
    assert (row["length"], row["payload_length"], row["payload"]) == (len(packet), size, 0)


# --- any bytes ------------------------------------------------------------------------------------------------------

link_types = st.sampled_from([0, 1, 101, 113, 276, 12, 105, 228])


@st.composite
def frames(draw) -> bytes:
    """Bytes, or a real frame with some of them changed and cut."""
    packet = draw(st.sampled_from([bytes(LINK / p) for p in _transports()] + [bytes(p) for p in _transports()]))
    if draw(st.integers(0, 3)) == 0:
        return draw(st.binary(max_size=120))
    data = bytearray(packet[: draw(st.integers(0, len(packet)))])
    for _ in range(draw(st.integers(0, 4))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@pytest.mark.slow
@fuzz
@given(frame=frames(), link_type=link_types, before=st.binary(max_size=9), behind=st.binary(min_size=4, max_size=90))
def test_nothing_but_the_captured_bytes_is_read(frame, link_type, before, behind):
    (alone,) = dissect(frame, link_type=link_type)
    (between,) = dissect(frame, link_type=link_type, around=(before, behind))
    assert alone.tolist() == between.tolist()
    assert packet_info(alone)
    assert endpoint(alone, "source")
