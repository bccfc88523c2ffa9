"""What stands before the network header, against tshark: PPP, LOOP, PPPoE, MPLS, tags; and what is not decoded."""

import numpy as np
import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import LLC, SNAP, STP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ppp import PPPoE
from scapy.packet import Packet, Raw

from ttrace.correlate import correlate_captures
from ttrace.correlate.result.select import select
from ttrace.correlate.result.words import protocol_name
from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.write import enhanced_packet, interface_description, section_header
from ttrace.report import render

from ..frames import dissect
from .test_ip import _transports, assert_as_tshark

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}


def is_six(packet: Packet) -> bool:
    return isinstance(packet, IPv6)


def ppp(packet: Packet) -> bytes:
    return (b"\x00\x57" if is_six(packet) else b"\x00\x21") + bytes(packet)


def ppp_compressed(packet: Packet) -> bytes:
    return (b"\x57" if is_six(packet) else b"\x21") + bytes(packet)


def hdlc(packet: Packet) -> bytes:
    return b"\xff\x03" + ppp(packet)


def cisco(packet: Packet) -> bytes:
    return b"\x0f\x00" + (b"\x86\xdd" if is_six(packet) else b"\x08\x00") + bytes(packet)


def loop(packet: Packet) -> bytes:
    return (b"\0\0\0\x18" if is_six(packet) else b"\0\0\0\x02") + bytes(packet)


def pppoe(packet: Packet) -> bytes:
    return bytes(Ether(**MACS, type=0x8864) / PPPoE(sessionid=9) / Raw(ppp(packet)))


def pppoe_tagged(packet: Packet) -> bytes:
    return bytes(Ether(**MACS) / Dot1Q(vlan=7, type=0x8864) / PPPoE(sessionid=9) / Raw(ppp(packet)))


def mpls(*labels: int):
    def wrap(packet: Packet) -> bytes:
        stack = b"".join(bytes(MPLS(label=n, s=i == len(labels) - 1, ttl=9)) for i, n in enumerate(labels))
        return bytes(Ether(**MACS, type=0x8847)) + stack + bytes(packet)

    wrap.__name__ = f"mpls_{len(labels)}"
    return wrap


def qinq(packet: Packet) -> bytes:
    return bytes(Ether(**MACS) / Dot1AD(vlan=3) / Dot1Q(vlan=7) / packet)


def snap(packet: Packet) -> bytes:
    return bytes(Dot3(**MACS) / LLC() / SNAP(code=0x86DD if is_six(packet) else 0x0800) / packet)


def session(packet: Packet) -> bytes:
    return bytes(PPPoE(sessionid=9) / Raw(ppp(packet)))


def cooked_vlan(packet: Packet) -> bytes:
    return bytes(CookedLinuxV2(proto=0x8100) / Dot1Q(vlan=5) / packet)


WAYS = [
    (LinkType.PPP, ppp),
    (LinkType.PPP, hdlc),
    (LinkType.PPP_HDLC, hdlc),
    (LinkType.PPP_HDLC, cisco),
    (LinkType.PPP_ETHER, session),
    (LinkType.LOOP, loop),
    (LinkType.IPV4, bytes),
    (LinkType.IPV6, bytes),
    (LinkType.ETHERNET, pppoe),
    (LinkType.ETHERNET, pppoe_tagged),
    (LinkType.ETHERNET, mpls(100)),
    (LinkType.ETHERNET, mpls(16, 17, 1000)),
    (LinkType.ETHERNET, qinq),
    (LinkType.ETHERNET, snap),
    (LinkType.LINUX_SLL2, cooked_vlan),
]


@pytest.mark.parametrize(("link_type", "wrap"), WAYS, ids=lambda v: getattr(v, "__name__", None) or str(v))
def test_field_by_field_as_tshark(link_type, wrap, tmp_path):
    packets = [
        p for p in _transports() if {LinkType.IPV4: False, LinkType.IPV6: True}.get(link_type) in (None, is_six(p))
    ]
    frames = [wrap(packet) for packet in packets]
    path = tmp_path / "built.pcapng"
    path.write_bytes(
        section_header(node="n", system="", application="")
        + interface_description(link_type=link_type, name="x", description="", facts={})
        + b"".join(enhanced_packet(interface=0, time_ns=i, data=f) for i, f in enumerate(frames))
    )
    rows = dissect(*frames, link_type=link_type)
    assert rows.size == len(frames)
    assert (rows["ip_version"] > 0).all()
    assert assert_as_tshark(path, rows) > 6 * len(frames)


@pytest.mark.parametrize(
    ("link_type", "wrap"),
    [*WAYS, (LinkType.PPP, ppp_compressed)],
    ids=lambda v: getattr(v, "__name__", None) or str(v),
)
def test_the_packet_is_the_same_on_every_link(link_type, wrap):
    for packet in (IP(id=5) / TCP() / b"hi", IPv6() / UDP() / b"hi"):
        if {LinkType.IPV4: False, LinkType.IPV6: True}.get(link_type) in (None, is_six(packet)):
            (plain,) = dissect(bytes(packet), link_type=LinkType.RAW)
            (found,) = dissect(wrap(packet), link_type=link_type)
            for column in ("flow", "content", "payload", "ttl", "ethertype", "protocol", "length"):
                assert found[column] == plain[column], column


NAMED = [
    (LinkType.ETHERNET, bytes(Ether(**MACS, type=0x88CC) / Raw(bytes(40))), "lldp"),
    (LinkType.ETHERNET, bytes(Ether(**MACS, type=0x88B5) / Raw(bytes(40))), "0x88b5"),
    (LinkType.ETHERNET, bytes(Dot3(**MACS) / LLC() / STP()), "llc"),
    (LinkType.ETHERNET, bytes(Ether(**MACS, type=0x8863) / Raw(bytes(40))), "pppoe"),
    (LinkType.ETHERNET, bytes(Ether(**MACS, type=0x8864) / PPPoE() / Raw(b"\xc0\x21" + bytes(20))), "pppoe"),
    (LinkType.ETHERNET, bytes(Ether(**MACS, type=0x8847)) + bytes(MPLS(s=1)) + bytes(40), "mpls"),
    (LinkType.ETHERNET, bytes(Ether(**MACS, type=0x8847)) + bytes(MPLS(s=0)) * 3, "mpls"),
    (LinkType.ETHERNET, bytes(10), "unreadable"),
    (LinkType.PPP, b"\xff\x03\xc0\x21" + bytes(20), "ppp"),
    (LinkType.PPP_HDLC, b"", "ppp"),
    (LinkType.LINUX_SLL, bytes(CookedLinux(proto=0x88CC) / Raw(bytes(20))), "lldp"),
    (LinkType.RAW, b"\x00" * 20, "unreadable"),
    (127, bytes(40), "link type 127"),
    (147, bytes(40), "link type 147"),
    (9999, bytes(40), "unknown link type"),
]


@pytest.mark.parametrize(("link_type", "frame", "name"), NAMED, ids=range(len(NAMED)))
def test_what_is_not_ip_is_kept_and_named(link_type, frame, name):
    (row,) = dissect(frame, link_type=link_type)
    assert row["ip_version"] == 0
    assert protocol_name(int(row["protocol"]), int(row["ethertype"])) == name


def test_what_is_not_decoded_is_counted(tmp_path):
    """Per file, in text and JSON."""
    path = tmp_path / "radio.pcapng"
    path.write_bytes(
        section_header(node="n", system="", application="")
        + interface_description(link_type=127, name="wlan0", description="", facts={})
        + interface_description(link_type=1, name="eth0", description="", facts={})
        + b"".join(enhanced_packet(interface=0, time_ns=10**18 + i, data=bytes([i]) * 40) for i in range(3))
        + enhanced_packet(interface=1, time_ns=10**18, data=NAMED[0][1])
        + enhanced_packet(interface=1, time_ns=10**18, data=bytes(Ether(**MACS) / IP() / UDP()))
    )
    result = correlate_captures([str(path)])
    text = "".join(render(result, select(result), "text"))
    assert "neither IP nor ARP: 3 link type 127, 1 lldp\n" in text
    document = "".join(render(result, select(result), "json"))
    assert '"undecoded": [{"what": "link type 127", "packets": 3}, {"what": "lldp", "packets": 1}]' in document


def test_a_label_stack_that_never_ends_is_no_loop():
    (row,) = dissect(bytes(Ether(**MACS, type=0x8847)) + bytes(4) * 16_000)
    assert row["ethertype"] == 0x8847
    (row,) = dissect(bytes(Ether(**MACS))[:12] + b"\x81\x00\x00\x01" * 16_000)
    assert row["ip_version"] == 0
    assert np.int64(row["length"]) > 0
