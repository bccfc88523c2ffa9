"""What goes no further than its link."""

import numpy as np
import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6MLReport2, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from ttrace.correlate.decode.link_scope import is_link_chatter, stays_on_link

from ..frames import dissect

UNICAST = [IP(dst="10.0.0.2") / UDP(), IP(dst="223.255.255.255") / UDP(), IPv6(dst="2001:db8::1") / UDP()]
LINK_ONLY = [
    ARP(),
    IP(dst="224.0.0.1") / UDP(),
    IP(dst="239.1.2.3") / UDP(),
    IP(dst="255.255.255.255") / UDP(),
    IPv6(dst="ff02::1") / UDP(),
    IPv6(dst="fe80::1") / UDP(),
    IPv6(dst="febf::1") / UDP(),
]
NEIGHBOURS = [IPv6(dst="2001:db8::1") / ICMPv6ND_NS(tgt="2001:db8::1"), IPv6(dst="2001:db8::1") / ICMPv6MLReport2()]


def rows_of(packet: Packet) -> np.ndarray:
    return dissect(bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet))


@pytest.mark.parametrize("packet", UNICAST, ids=lambda packet: packet.dst)
def test_unicast_goes_on(packet):
    assert not stays_on_link(rows_of(packet))[0]
    assert not is_link_chatter(rows_of(packet))[0]


@pytest.mark.parametrize("packet", LINK_ONLY, ids=lambda packet: getattr(packet, "dst", "arp"))
def test_what_is_for_the_link_stays(packet):
    assert stays_on_link(rows_of(packet))[0]
    assert is_link_chatter(rows_of(packet))[0]


@pytest.mark.parametrize("packet", NEIGHBOURS, ids=["solicitation", "listener report"])
def test_neighbours_speak_of_links_even_by_unicast(packet):
    assert not stays_on_link(rows_of(packet))[0]
    assert is_link_chatter(rows_of(packet))[0]


def test_an_echo_is_no_chatter():
    assert not is_link_chatter(rows_of(IPv6(dst="2001:db8::1") / ICMPv6EchoRequest()))[0]
