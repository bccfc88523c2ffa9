"""What is a packet's content behind the IP header: what NAT leaves, and nothing else."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from ttrace.correlate.schema import NOTE_CUT
from ttrace.pcapng.blocks import LinkType

from ..frames import dissect
from .translations import translations

fuzz = settings(deadline=None, max_examples=300)
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


@fuzz
@given(translations())
def test_translation_changes_the_flow_and_not_the_content(translation):
    before, after, different = translation
    a, b = dissect(before, after, link_type=LinkType.RAW)
    assert a["content"] == b["content"]
    assert a["payload"] == b["payload"] != 0
    assert (a["flow"] != b["flow"]) == different
    assert a["length"] == b["length"]


def test_the_checksum_of_dccp_is_no_content():
    def packet(destination: str, checksum: int) -> bytes:
        header = struct.pack(">HHBBHBBHI", 1, 2, 4, 0, checksum, 0, 0, 0, 99)
        return bytes(IP(src="10.0.0.1", dst=destination, id=7, proto=33) / Raw(header + b"payload"))

    a, b = dissect(packet("10.0.0.2", 1), packet("10.0.0.3", 2), link_type=LinkType.RAW)
    assert a["content"] == b["content"]


@pytest.mark.parametrize("change", ["id", "sequence", "acknowledgment", "window", "flags", "length"])
def test_another_tcp_segment_is_another_content(change):
    fields = {"id": 5, "sequence": 6, "acknowledgment": 7, "window": 8, "flags": 0x10, "length": 9}

    def segment(f: dict[str, int]) -> bytes:
        tcp = TCP(seq=f["sequence"], ack=f["acknowledgment"], window=f["window"], flags=f["flags"])
        return bytes(IP(id=f["id"]) / tcp / Raw(bytes(f["length"])))

    a, b = dissect(segment(fields), segment(fields | {change: fields[change] + 1}), link_type=LinkType.RAW)
    assert a["content"] != b["content"]


@fuzz
@given(payload=st.binary(min_size=12, max_size=40), at=st.integers(0, 11), bit=st.integers(0, 7))
def test_another_start_of_a_datagram_is_another_content(payload, at, bit):
    other = bytearray(payload)
    other[at] ^= 1 << bit
    a, b = dissect(*(bytes(IP() / UDP() / Raw(bytes(p))) for p in (payload, other)), link_type=LinkType.RAW)
    assert a["content"] != b["content"]
    assert a["payload"] != b["payload"]


def test_padding_of_a_short_frame_is_no_payload():
    packet = bytes(LINK / IP() / UDP() / b"hi")
    a, b = dissect(packet, packet + bytes(16))
    assert a["payload"] == b["payload"] != 0
    assert a["content"] == b["content"]


def test_a_cut_packet_has_no_payload_hash_but_the_same_content():
    packet = bytes(LINK / IP() / TCP() / Raw(bytes(500)))
    a, b = dissect(packet, packet[:64])
    assert a["content"] == b["content"]
    assert (a["payload"] != 0, b["payload"]) == (True, 0)
    assert b["payload_length"] == 500
    (c,) = dissect(packet[:40])
    assert c["notes"] & NOTE_CUT


def test_both_directions_have_exchanged_flows():
    a, b = dissect(
        bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9, dport=10)),
        bytes(IP(src="10.0.0.2", dst="10.0.0.1") / UDP(sport=10, dport=9)),
        link_type=LinkType.RAW,
    )
    assert (a["flow"], a["flow_reverse"]) == (b["flow_reverse"], b["flow"])
    ask, answer = dissect(
        bytes(IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(type=8, id=4)),
        bytes(IP(src="10.0.0.2", dst="10.0.0.1") / ICMP(type=0, id=4)),
        link_type=LinkType.RAW,
    )
    assert (ask["flow"], ask["flow_reverse"]) == (answer["flow_reverse"], answer["flow"])
