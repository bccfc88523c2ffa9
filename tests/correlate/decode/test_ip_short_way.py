"""The short way through dissection gives what the general way gives, whatever the bytes.

As raw IP a datagram takes the general way, in Ethernet it may take the short one.
"""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttrace.correlate.decode.frames import dissect_packets
from ttrace.correlate.schema import SIGHTING
from ttrace.pcapng.blocks import LinkType

from ..frames import capture_of

ETHERNET = bytes(12) + b"\x08\x00"
PLACES, NAMESPACES = np.zeros(1, np.uint32), np.zeros(1, np.uint16)
fuzz = settings(deadline=None, max_examples=500)


def assert_both_ways_agree(datagrams, vxlan_ports=()):
    short = dissect_packets(
        capture_of([ETHERNET + d for d in datagrams], LinkType.ETHERNET), 0, PLACES, NAMESPACES, None, vxlan_ports
    )
    general = dissect_packets(capture_of(datagrams, LinkType.RAW), 0, PLACES, NAMESPACES, None, vxlan_ports)
    for name in SIGHTING.names:
        assert short.rows[name].tolist() == general.rows[name].tolist(), name
    assert short.outers.tolist() == general.outers.tolist()
    assert short.kept.tolist() == general.kept.tolist()
    return short


words = st.integers(0, 0xFFFF) | st.sampled_from([0, 1, 0xFFFF])


@st.composite
def datagrams(draw):
    """IPv4, a transport header and a payload of any size; lengths, flags and fields that may be wrong; maybe cut."""
    protocol = draw(st.sampled_from([6, 17, 6, 17, 1, 47, 4]))
    payload = draw(st.binary(max_size=24)) + bytes(range(256)) * 8
    payload = payload[: draw(st.sampled_from([0, 1, 2, 3, 7, 8, 12, 15, 16, 17, 31, 32, 33, 96, 127, 128, 129, 1460]))]
    ports = struct.pack(">HH", draw(words), draw(st.sampled_from([4789, 6081, 80])))
    if protocol == 6:
        offset = draw(st.sampled_from([5, 5, 8, 0, 15]))
        numbers = struct.pack(">IIHHHH", draw(words), draw(words) << 16, offset << 12 | draw(words) & 0xFFF,
                              draw(words), draw(words), 0)  # fmt: skip
        body = ports + numbers + bytes(max(0, offset - 5) * 4) + payload
    else:
        body = ports + struct.pack(">HH", 8 + len(payload), draw(words)) + payload
    length = draw(st.sampled_from([20 + len(body)] * 5 + [0, 20, 39, 40, 20 + len(body) + 9]))
    fragment = draw(st.sampled_from([0x4000, 0x4000, 0, 0x8000, 0x2000, 5]))
    version = draw(st.sampled_from([0x45, 0x45, 0x45, 0x46, 0x44, 0x65]))
    whole = struct.pack(">BBHHHBBHII", version, draw(words) & 255, length, draw(words), fragment, draw(words) & 255,
                        protocol, draw(words), draw(words) << 16 | 7, draw(words)) + body  # fmt: skip
    if draw(st.booleans()):
        return whole + bytes(draw(st.sampled_from([0, 0, 6])))
    return whole[: draw(st.integers(20, max(20, len(whole))))]


@pytest.mark.slow
@fuzz
@given(st.lists(datagrams(), min_size=1, max_size=8), st.sampled_from([(), (80,)]))
def test_any_datagram(frames, vxlan_ports):
    # What is not IP at all has another EtherType as raw IP.
    assert_both_ways_agree([f for f in frames if f[0] >> 4 == 4 and f[0] & 15 >= 5], vxlan_ports)


@fuzz
@given(words, words, words, words, st.sampled_from([6, 17]))
def test_checksums_that_tell_nothing(source, destination, port, field, protocol):
    """Among them those that are the sum of the pseudo header, as checksum offload leaves it."""
    size = 20 + 4
    pseudo = (source + destination + protocol + size) % 0xFFFF
    frames = []
    for value in (field, pseudo, pseudo or 0xFFFF):
        header = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + size, 1, 0, 64, protocol, 0, source, destination)
        if protocol == 6:
            body = struct.pack(">HHIIHHHH", port, 80, 1, 2, 0x5010, 3, value, 0)
        else:
            body = struct.pack(">HHHH", port, 80, size, value) + bytes(12)
        frames.append(header + body + bytes(4))
    rows = assert_both_ways_agree(frames).rows
    assert rows["residue"][1] == 0


def test_a_plain_frame_is_dissected():
    header = struct.pack(">BBHHHBBHII", 0x45, 0, 44, 1, 0x4000, 64, 6, 0, 0x0A000001, 0x0A000002)
    segment = struct.pack(">HHIIHHHH", 1000, 80, 0xDEADBEEF, 2, 0x5018, 3, 0x1234, 0)
    row = assert_both_ways_agree([header + segment + b"data"]).rows[0]
    assert (row["source_port"], row["destination_port"], row["sequence"]) == (1000, 80, 0xDEADBEEF)
    assert (row["payload_length"], row["ttl"], row["length"]) == (4, 64, 44)
    assert all(row[name] for name in ("residue", "payload", "content", "flow"))
