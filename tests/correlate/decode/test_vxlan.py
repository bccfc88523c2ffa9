"""VXLAN by its content on any port, and by `--vxlan-port`; what is never taken for it."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scapy.contrib.lldp import (
    LLDPDU,
    LLDPDUChassisID,
    LLDPDUEndOfLLDPDU,
    LLDPDUPortID,
    LLDPDUTimeToLive,
)
from scapy.contrib.mpls import MPLS
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_RA, IPv6
from scapy.layers.l2 import ARP, LLC, STP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ntp import NTPHeader
from scapy.layers.ppp import PPPoE
from scapy.layers.radius import Radius
from scapy.layers.rtp import RTP
from scapy.layers.snmp import SNMP
from scapy.layers.tftp import TFTP, TFTP_RRQ
from scapy.packet import Packet, Raw

from ttrace.correlate import correlate_captures
from ttrace.correlate.decode.frames import dissect_packets
from ttrace.correlate.decode.observations import Observations
from ttrace.correlate.decode.tunnels import find_tunnel, vxlan_at
from ttrace.correlate.result.words import protocol_name
from ttrace.correlate.schema import SIGHTING
from ttrace.errors import UsageError
from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.write import enhanced_packet, interface_description, section_header

from ..frames import capture_of
from ..scene import IN, OUT, Node

MACS = {"src": "02:00:00:00:00:0a", "dst": "02:00:00:00:00:0b"}
PORT = 7777
WELL_KNOWN = (4789, 8472)
PACKET = IP(src="10.50.0.2", dst="10.51.0.2", id=9) / TCP(sport=4000, dport=80, flags="S")
SIX = IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=5, dport=6) / b"hello"
LLDP = LLDPDU() / LLDPDUChassisID(id="switch1") / LLDPDUPortID(id="port7") / LLDPDUTimeToLive() / LLDPDUEndOfLLDPDU()


def vxlan(
    inside: Packet | bytes, *, header: bytes = b"\x08\0\0\0\0\0\x2a\0", sport: int = 47000, dport: int = PORT
) -> bytes:
    outer = IP(src="192.168.77.1", dst="192.168.77.2", id=7) / UDP(sport=sport, dport=dport)
    return bytes(outer / Raw(header + bytes(inside)))


def observe(*frames: bytes, ports: tuple[int, ...] = (), link_type: int = LinkType.RAW) -> Observations:
    capture = capture_of(list(frames), link_type)
    return dissect_packets(capture, 0, np.zeros(1, np.uint32), np.zeros(1, np.uint16), vxlan_ports=ports)


BY_CONTENT = {
    "ipv4": Ether(**MACS) / PACKET,
    "ipv6": Ether(**MACS) / SIX,
    "tagged": Ether(**MACS) / Dot1Q(vlan=5) / PACKET,
    "tagged twice": Ether(**MACS) / Dot1AD(vlan=3) / Dot1Q(vlan=5) / PACKET,
    "arp": Ether(**MACS) / ARP(psrc="10.0.0.1", pdst="10.0.0.2"),
    "router advertisement": Ether(**MACS) / IPv6(src="fe80::1", dst="ff02::1") / ICMPv6ND_RA(),
    "multicast": Ether(**MACS) / IP(dst="224.0.0.251") / UDP(sport=5353, dport=5353),
}
BY_PORT = {
    "lldp": (Ether(**MACS) / LLDP, "lldp"),
    "spanning tree": (Dot3(**MACS) / LLC() / STP(), "llc"),
    "mpls": (Ether(**MACS, type=0x8847) / MPLS(label=16, s=1, ttl=9) / PACKET, "tcp"),
    "pppoe": (Ether(**MACS, type=0x8864) / PPPoE(sessionid=9) / Raw(b"\0\x21" + bytes(PACKET)), "tcp"),
    "tagged thrice": (Ether(**MACS) / Dot1AD(vlan=3) / Dot1Q(vlan=5) / Dot1Q(vlan=6) / PACKET, "tcp"),
    "eapol": (Ether(**MACS, type=0x888E) / Raw(bytes(40)), "eapol"),
    "experimental": (Ether(**MACS, type=0x88B5) / Raw(bytes(40)), "0x88b5"),
}
OTHER_HEADERS = {
    "reserved bits": (bytes.fromhex("4800000000002a00"), Ether(**MACS) / PACKET),
    "reserved byte": (bytes.fromhex("0800000000002a80"), Ether(**MACS) / PACKET),
    "group policy": (bytes.fromhex("8808004d00002a00"), Ether(**MACS) / PACKET),
    "generic protocol extension, ethernet": (bytes.fromhex("0c00000300002a00"), Ether(**MACS) / PACKET),
    "generic protocol extension, ipv4": (bytes.fromhex("0c00000100002a00"), PACKET),
    "generic protocol extension, ipv6": (bytes.fromhex("0c00000200002a00"), SIX),
}


@pytest.mark.parametrize("name", BY_CONTENT)
@pytest.mark.parametrize("port", [PORT, *WELL_KNOWN])
def test_ip_and_arp_are_found_by_content_on_any_port(name, port):
    frame = BY_CONTENT[name]
    for sport, dport in ((47000, port), (port, 47000)):
        (inside,) = observe(vxlan(frame, sport=sport, dport=dport)).rows
        (plain,) = observe(bytes(frame), link_type=LinkType.ETHERNET).rows
        assert inside["outer"] == 1
        for column in ("flow", "content", "payload", "ethertype", "length", "ttl"):
            assert inside[column] == plain[column], column


@pytest.mark.parametrize("name", BY_PORT)
@pytest.mark.parametrize("port", [PORT, *WELL_KNOWN])
def test_anything_else_inside_is_opened_at_the_ports_that_are_given(name, port):
    frame, protocol = BY_PORT[name]
    (closed,) = observe(vxlan(frame, dport=port)).rows
    assert (closed["outer"], protocol_name(int(closed["protocol"]), 0)) == (0, "udp")
    (plain,) = observe(bytes(frame), link_type=LinkType.ETHERNET).rows
    for sport, dport in ((47000, port), (port, 47000)):
        (inside,) = observe(vxlan(frame, sport=sport, dport=dport), ports=(9, port)).rows
        assert protocol_name(int(inside["protocol"]), int(inside["ethertype"])) == protocol
        for column in ("flow", "content", "ethertype", "length"):
            assert inside[column] == plain[column], column


@pytest.mark.parametrize("name", OTHER_HEADERS)
def test_other_flags_are_opened_at_the_ports_that_are_given(name):
    header, carried = OTHER_HEADERS[name]
    frame = vxlan(carried, header=header)
    assert observe(frame).outers.size == 0
    seen = observe(frame, ports=(PORT,))
    (plain,) = observe(bytes(carried.payload if Ether in carried else carried)).rows
    assert (seen.rows["flow"][0], seen.rows["content"][0]) == (plain["flow"], plain["content"])
    assert (seen.outers["kind"][0], seen.outers["key"][0]) == (1, 42)


@pytest.mark.parametrize(
    "frame",
    [
        vxlan(Ether(**MACS) / LLDP, header=bytes(8)),
        vxlan(Ether(**MACS) / LLDP, header=bytes.fromhex("0c00000400002a00")),
        vxlan(Ether(**MACS) / LLDP)[: 28 + 8 + 13],
        bytes(IP() / TCP(dport=PORT) / Raw(b"\x08\0\0\0\0\0\x2a\0" + bytes(Ether() / LLDP))),
        vxlan(Ether(**MACS) / LLDP, dport=PORT + 1),
        bytes(IP(flags="MF") / UDP(dport=PORT) / Raw(b"\x08\0\0\0\0\0\x2a\0" + bytes(Ether() / LLDP))),
    ],
    ids=["no identifier", "service header", "cut", "tcp", "another port", "fragment"],
)
def test_what_is_no_vxlan_at_a_given_port_stays_what_it_is(frame):
    assert observe(frame, ports=(PORT,)).outers.size == 0


def test_every_cut_at_a_given_port_is_a_packet_of_one_of_both():
    for inner in (Ether(**MACS) / LLDP, Ether(**MACS) / PACKET, Ether(**MACS) / SIX):
        frame = vxlan(inner)
        for size in range(len(frame)):
            seen = observe(frame[:size], ports=(PORT,))
            assert seen.rows.size == 1
            assert seen.outers.size == np.count_nonzero(seen.rows["outer"])


FRAMES = [vxlan(frame) for frame in (*BY_CONTENT.values(), *(frame for frame, _ in BY_PORT.values()))]
FRAMES += [vxlan(frame, header=header) for header, frame in OTHER_HEADERS.values()]


@settings(deadline=None, max_examples=300)
@given(
    frame=st.sampled_from(FRAMES),
    size=st.integers(0, 150),
    changes=st.dictionaries(st.integers(0, 90), st.integers(0, 255), max_size=4),
    before=st.binary(max_size=9),
    behind=st.binary(min_size=4, max_size=90),
)
def test_nothing_but_the_captured_bytes_is_read_at_a_given_port(frame, size, changes, before, behind):
    data = bytearray(frame[:size])
    for at, value in changes.items():
        data[at : at + 1] = bytes([value]) if at < len(data) else b""
    alone = observe(bytes(data), ports=(PORT,))
    around = capture_of([bytes(data)], LinkType.RAW, (before, behind))
    between = dissect_packets(around, 0, np.zeros(1, np.uint32), np.zeros(1, np.uint16), vxlan_ports=(PORT,))
    assert alone.rows.tolist() == between.rows.tolist()
    assert alone.outers.tolist() == between.outers.tolist()
    assert alone.outers.size == np.count_nonzero(alone.rows["outer"])


def test_the_inner_frames_are_those_of_tshark(tmp_path):
    inner = [*BY_CONTENT.values(), *(frame for frame, _ in BY_PORT.values())]
    frames = [vxlan(frame) for frame in inner]
    path = tmp_path / "vxlan.pcapng"
    path.write_bytes(
        section_header(node="n", system="", application="")
        + interface_description(link_type=LinkType.RAW, name="x", description="", facts={})
        + b"".join(enhanced_packet(interface=0, time_ns=i, data=f) for i, f in enumerate(frames))
    )
    argv = ["tshark", "-r", str(path), "-d", f"udp.port=={PORT},vxlan", "-T", "fields", "-e", "frame.protocols"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    seen = observe(*frames, ports=(PORT,))
    for row, line in zip(seen.rows, done.stdout.splitlines(), strict=True):
        layers = line.split("vxlan:")[1].split(":")
        name = protocol_name(int(row["protocol"]), int(row["ethertype"]))
        assert name in layers or name == "0x88b5"
    assert (seen.outers["key"] == 42).all()


# --- the command line -----------------------------------------------------------------------------------------------


def two_nodes(folder: Path) -> list[str]:
    """An LLDP frame at the end of a tunnel and inside it, as a switch of a bridged overlay sends it."""
    alpha, beta = Node("alpha"), Node("beta")
    frame = bytes(Ether(**MACS) / LLDP)
    outer = bytes(Ether() / IP(vxlan(frame)))
    for number, node in enumerate((alpha, beta)):
        node.interface("eth0", 2, link_type=LinkType.ETHERNET, addresses=[f"192.168.77.{number + 1}"])
        node.interface("vxlan0", 4, kind="vxlan", link_type=LinkType.ETHERNET)
    alpha.see("vxlan0", OUT, 0, frame)
    alpha.see("eth0", OUT, 10, outer)
    beta.see("eth0", IN, 100, outer)
    beta.see("vxlan0", IN, 110, frame)
    return [alpha.write(folder), beta.write(folder)]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from ttrace.cli import main; main()", "correlate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.slow
def test_the_port_joins_what_is_inside_with_what_was_outside(tmp_path):
    files = two_nodes(tmp_path)
    for ports, protocols, levels in (
        ([], ["lldp", "udp"], [None, None]),
        (["--vxlan-port", "1", "--vxlan-port", str(PORT)], ["lldp"], [None, 1, 1, None]),
    ):
        done = run(*files, *ports, "--format", "json")
        assert done.returncode == 0, done.stderr
        found = sorted(json.loads(done.stdout)["paths"], key=lambda path: path["protocol"])
        assert sorted({path["protocol"] for path in found}) == protocols
        assert [hop["encapsulation"] and hop["encapsulation"]["levels"] for hop in found[0]["hops"]] == levels


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_what_is_no_port_is_wrong_usage(port, tmp_path):
    done = run(*two_nodes(tmp_path), "--vxlan-port", port)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--vxlan-port" in done.stderr
    assert "Traceback" not in done.stderr
    if port != "http":
        with pytest.raises(UsageError, match="is not a port number"):
            correlate_captures(two_nodes(tmp_path), vxlan_ports=[int(port)])


# --- what is never taken for a tunnel -------------------------------------------------------------------------------

QUIC_INITIAL = bytes.fromhex("c3000000010883 94c8f03e51570800000044 9e".replace(" ", "")) + bytes(range(256)) * 4
STUN = struct.pack(">HHI", 0x0001, 8, 0x2112A442) + bytes(range(12)) + struct.pack(">HHI", 0x0025, 4, 0)
PAYLOADS = {
    "dns query": bytes(DNS(id=7, rd=1, qd=DNSQR(qname="example.org"))),
    "dns answer": bytes(
        DNS(id=0, qr=1, qd=DNSQR(qname="example.org"), an=DNSRR(rrname="example.org", rdata="1.2.3.4"))
    ),
    "multicast dns": bytes(DNS(id=0, qr=1, aa=1, an=DNSRR(rrname="h.local", rdata="1.2.3.4"))),
    "quic": QUIC_INITIAL,
    "quic, short header": b"\x40" + bytes(range(60)) * 9,
    "stun": STUN,
    "ntp": bytes(NTPHeader()),
    "rtp": bytes(RTP(sequence=8) / Raw(bytes(160))),
    "dhcp": bytes(BOOTP(op=1) / DHCP(options=[("message-type", 1), "end"])),
    "snmp": bytes(SNMP()),
    "tftp": bytes(TFTP() / TFTP_RRQ(filename="x" * 80)),
    "tftp data": b"\0\3\x08\0" + bytes(512),
    "radius": bytes(Radius()) + bytes(40),
    "syslog": b"<13>Oct 11 22:14:15 host app[1]: " + b"words " * 30,
    "wireguard": b"\4\0\0\0" + bytes(range(100)),
    "esp": bytes(range(8, 200)),
    "gtp-u": bytes.fromhex("30ff005400000001") + bytes(PACKET),
    "l2tp": bytes.fromhex("c802003c00000000") + bytes(60),
    "teredo": bytes(SIX),
    "ip in udp": bytes(PACKET),
    "gre in udp": b"\0\0\x08\0" + bytes(PACKET),
    "tzsp": bytes.fromhex("0100000101") + bytes(Ether(**MACS) / PACKET),
    "ethernet in udp": bytes(Ether(**MACS) / PACKET),
    "zeros": bytes(600),
    "ones": b"\xff" * 600,
    "little-endian length and zeros": struct.pack("<II", 8, 0) + bytes(200),
    "words of eight": struct.pack(">I", 0x08000000) * 100,
    "icmp in udp": bytes(IP() / ICMP()),
}


@pytest.mark.parametrize("name", PAYLOADS)
@pytest.mark.parametrize("port", [53, 443, PORT, *WELL_KNOWN])
def test_other_protocols_are_no_tunnels(name, port):
    packets = [
        IP() / UDP(sport=40000, dport=port) / Raw(PAYLOADS[name]),
        IPv6() / UDP(sport=port, dport=9) / PAYLOADS[name],
    ]
    assert observe(*map(bytes, packets)).outers.size == 0


@njit
def _tunnels_in_random_bytes(count, size, seed, head, row, vxlan):
    """How many of `count` datagrams of random bytes behind `head` are taken for tunnels (xorshift64)."""
    data = np.empty(8 + size, np.uint8)
    state = np.uint64(seed)
    found = 0
    for _ in range(count):
        for at in range(0, size, 8):
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            for k in range(8):
                data[8 + at + k] = (state >> np.uint64(8 * k)) & np.uint64(255)
        data[8 : 8 + head.size] = head
        if find_tunnel(data, 0, data.size, data.size, row, vxlan)[0] != 0:
            found += 1
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "count", "found"),
    [
        (b"", 2_000_000, (0, 0)),
        # Even behind a whole header random bytes are no frame: 3 of 65,536 EtherTypes, and a datagram that fits.
        (b"\x08\0\0\0\0\0\x2a\0", 1_000_000, (0, 0)),
        (b"\0\0\x65\x58\0\0\x2a\0", 1_000_000, (0, 0)),
        # Geneve without Ethernet has no EtherType inside, only versions and lengths that must fit: one in 25,000 does.
        (b"\0\0\x08\0\0\0\x2a\0", 1_000_000, (20, 80)),
    ],
    ids=["nothing", "vxlan", "geneve", "geneve with ip"],
)
def test_random_bytes_are_no_tunnels(head, count, found):
    rows = np.zeros(1, SIGHTING)
    rows["protocol"], rows["ip_version"], rows["destination_port"] = 17, 4, 4789
    taken = _tunnels_in_random_bytes(
        count, 104, 88172645463325252, np.frombuffer(head, np.uint8), rows[0], vxlan_at(())
    )
    assert found[0] <= taken <= found[1]
