"""Extension headers of IPv6."""

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.packet import Raw

from ttrace.correlate.protocols import MORE_FRAGMENTS
from ttrace.correlate.protocols import UDP as UDP_NUMBER
from ttrace.correlate.schema import NOTE_NO_FLOW
from ttrace.pcapng.blocks import LinkType

from ..frames import dissect


def test_an_extension_header_chain_that_never_ends_is_no_loop():
    chain = bytes([0, 0]) + bytes(6)  # hop-by-hop after hop-by-hop
    packet = bytes(IPv6(nh=0, plen=8 * 8000))[:40] + chain * 8000
    (row,) = dissect(packet, link_type=LinkType.RAW)
    assert row["ip_version"] == 6


@pytest.mark.parametrize(
    "headers",
    [
        [IPv6ExtHdrHopByHop()],
        [IPv6ExtHdrRouting()],
        [IPv6ExtHdrDestOpt()],
        [IPv6ExtHdrHopByHop(), IPv6ExtHdrRouting(), IPv6ExtHdrDestOpt()],
    ],
    ids=lambda headers: "-".join(type(header).__name__.removeprefix("IPv6ExtHdr") for header in headers),
)
def test_what_stands_behind_them_is_dissected(headers):
    packet = IPv6(src="fd00::1", dst="fd00::2")
    for header in headers:
        packet /= header
    (row,) = dissect(bytes(packet / UDP(sport=9, dport=10) / b"data"), link_type=LinkType.RAW)
    assert (row["protocol"], row["source_port"], row["payload_length"], row["notes"]) == (UDP_NUMBER, 9, 4, 0)


def test_a_fragment_header_is_told_as_ipv4_has_it():
    """Offset in units of 8 bytes, and whether more follow; what is behind a later one is payload."""
    payload = bytes(UDP(sport=9, dport=10)) + bytes(56)
    packets = [
        bytes(IPv6() / IPv6ExtHdrFragment(offset=offset, m=more, id=0x12345678, nh=UDP_NUMBER) / Raw(payload))
        for offset, more in ((0, 1), (8, 0), (8, 1))
    ]
    rows = dissect(*packets, link_type=LinkType.RAW)
    assert rows["fragment"].tolist() == [MORE_FRAGMENTS, 8, MORE_FRAGMENTS | 8]
    assert rows["ip_id"].tolist() == [0x5678] * 3
    assert rows["source_port"].tolist() == [9, 0, 0]
    assert (rows["notes"][1:] & NOTE_NO_FLOW != 0).all()
