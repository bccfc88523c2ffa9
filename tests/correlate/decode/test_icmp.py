"""ICMP: queries whose identifier stands for a port, and errors that belong to the packet they carry."""

import struct

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
from scapy.layers.inet6 import ICMPv6TimeExceeded, IPerror6, IPv6, IPv6ExtHdrFragment
from scapy.packet import Raw

from ttrace.correlate.schema import NOTE_ERROR, NOTE_NO_FLOW
from ttrace.pcapng.blocks import LinkType

from ..frames import dissect


@pytest.mark.parametrize("kind", [13, 15, 17], ids=["timestamp", "information", "mask"])
def test_the_identifier_of_any_icmp_query_is_a_port(kind):
    def query(identifier: int) -> bytes:
        header = struct.pack(">BBHHH", kind, 0, 0, identifier, 3)
        return bytes(IP(src="10.0.0.1", dst="10.0.0.2", id=7, proto=1) / Raw(header + bytes(12)))

    a, b = dissect(query(5), query(6), link_type=LinkType.RAW)
    assert a["content"] == b["content"]
    assert a["flow"] != b["flow"]


def test_an_icmp_error_has_the_reversed_flow_of_the_packet_it_is_about():
    about = IP(src="10.0.0.1", dst="10.0.0.2", id=5) / UDP(sport=9, dport=10) / b"data"
    error = IP(src="10.0.0.9", dst="10.0.0.1") / ICMP(type=11) / IPerror(bytes(about)[:28])
    six = IPv6(src="fd00::1", dst="fd00::2") / TCP(sport=9, dport=10)
    error6 = IPv6(src="fd00::9", dst="fd00::1") / ICMPv6TimeExceeded() / IPerror6(bytes(six))
    for packet, carrier in ((about, error), (six, error6)):
        a, b = dissect(bytes(packet), bytes(carrier), link_type=LinkType.RAW)
        assert (b["flow"], b["flow_reverse"]) == (a["flow_reverse"], a["flow"])


@pytest.mark.parametrize("version", [4, 6])
def test_translation_of_an_icmp_error_leaves_its_content(version):
    """NAT translates the packet inside as well."""

    def error(source: str, destination: str, sport: int) -> bytes:
        if version == 4:
            about = bytes(IP(src=source, dst=destination, id=5) / UDP(sport=sport, dport=10) / b"data")
            return bytes(IP(src=destination, dst=source, id=1) / ICMP(type=3, code=1) / Raw(about))
        about = bytes(IPv6(src=source, dst=destination, fl=77) / UDP(sport=sport, dport=10) / b"data")
        return bytes(IPv6(src=destination, dst=source) / ICMPv6TimeExceeded() / Raw(about))

    ends = [("10.0.0.1", "10.9.9.9"), ("192.0.2.1", "10.9.9.9")]
    if version == 6:
        ends = [("fd00::1", "2001:db8::9"), ("2001:db8::1", "2001:db8::9")]
    before, after = dissect(error(*ends[0], 9), error(*ends[1], 4321), link_type=LinkType.RAW)
    assert before["content"] == after["content"]
    assert before["flow"] != after["flow"]


@pytest.mark.parametrize("version", [4, 6])
def test_an_error_about_a_later_fragment_takes_no_payload_for_ports(version):
    payload = Raw(bytes(UDP(sport=9, dport=10) / b"data"))
    if version == 4:
        whole = IP(src="10.0.0.1", dst="10.0.0.2", proto=17) / payload
        late = IP(src="10.0.0.1", dst="10.0.0.2", proto=17, frag=99) / payload
        head = IP(src="10.0.0.9", dst="10.0.0.1") / ICMP(type=11, code=1)
    else:
        whole = IPv6(src="fd00::1", dst="fd00::2", nh=17) / payload
        late = IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrFragment(offset=99, nh=17) / payload
        head = IPv6(src="fd00::9", dst="fd00::1") / ICMPv6TimeExceeded(code=1)
    packet, about_whole, about_late = dissect(
        bytes(whole), bytes(head / Raw(bytes(whole))), bytes(head / Raw(bytes(late))), link_type=LinkType.RAW
    )
    assert (about_whole["notes"], about_late["notes"]) == (NOTE_ERROR, NOTE_ERROR | NOTE_NO_FLOW)
    assert about_whole["flow_reverse"] == packet["flow"]
    assert packet["flow"] not in (about_late["flow"], about_late["flow_reverse"])
