"""Every kind of packet on every link and in every tunnel, field by field as tshark has it."""

import struct
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address

import numpy as np
import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6MLReport2,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
    RouterAlert,
)
from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether
from scapy.layers.ppp import PPPoE
from scapy.layers.sctp import SCTP
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from ttrace.correlate.arrays.hashing import flow_hash
from ttrace.correlate.decode.frames import dissect_packets
from ttrace.correlate.decode.observations import Observations
from ttrace.correlate.result.words import address_text
from ttrace.correlate.schema import NOTE_CUT, NOTE_ERROR, NOTE_NO_FLOW
from ttrace.pcapng.blocks import LinkType

from .decode import test_link_layer as test_link_headers
from .decode import test_tunnels
from .decode.test_tunnels import INNER_MACS, INSIDE, MACS, V4, V6, geneve, gre, gre_full, in_six, ipip, vxlan
from .frames import capture_of
from .tshark import Layer, layers, write

PAYLOAD = Raw(b"some payload, long enough to be cut")


def four(**fields: object) -> Packet:
    return IP(src="10.0.0.1", dst="10.9.9.9", **fields)


def six(**fields: object) -> Packet:
    return IPv6(src="fd00::1", dst="fd00::9", hlim=44, **fields)


def about_four(transport: Packet, **fields: object) -> Raw:
    """What an ICMP error carries."""
    return Raw(bytes(IP(src="10.9.9.9", dst="10.0.0.1", id=77, ttl=3, **fields) / transport))


def about_six(transport: Packet) -> Raw:
    return Raw(bytes(IPv6(src="fd00::9", dst="fd00::1", hlim=3) / transport))


def error_six(kind: int, code: int, word: int, about: Raw) -> Packet:
    return six(nh=58) / Raw(struct.pack(">BBHI", kind, code, 0, word) + about.load)


UDP_9 = UDP(sport=9, dport=10) / PAYLOAD
TCP_9 = TCP(sport=9, dport=10, seq=5)
ROUTER_ALERT = [b"\x94\x04\0\0"]
FRAGMENT = IPv6ExtHdrFragment(id=0x12345678, m=1, offset=0)
LATE_FRAGMENT = IPv6ExtHdrFragment(id=0x12345678, m=0, offset=20, nh=17)
ABOUT_SIX = {
    "udp": about_six(UDP_9),
    "tcp": about_six(TCP_9),
    "echo": about_six(ICMPv6EchoRequest(id=55)),
    "hop-by-hop": about_six(IPv6ExtHdrHopByHop() / UDP_9),
    "two headers": about_six(IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting() / TCP_9),
    "fragment": about_six(FRAGMENT / UDP_9),
    "later fragment": about_six(LATE_FRAGMENT / PAYLOAD),
}
PACKETS = {
    "unreachable": four() / ICMP(type=3, code=3) / about_four(UDP_9),
    "unreachable, with options": four(options=ROUTER_ALERT) / ICMP(type=3, code=3) / about_four(UDP_9),
    "unreachable, about options": four() / ICMP(type=3, code=1) / about_four(UDP_9, options=ROUTER_ALERT),
    "time exceeded": four() / ICMP(type=11) / about_four(TCP_9),
    "time exceeded, 8 bytes": four() / ICMP(type=11) / Raw(about_four(TCP_9).load[:28]),
    "fragmentation needed": four() / ICMP(type=3, code=4, nexthopmtu=1400) / about_four(TCP_9),
    "redirect": four() / ICMP(type=5, code=1, gw="10.0.0.254") / about_four(TCP_9),
    "parameter problem": four() / ICMP(type=12, ptr=3) / about_four(UDP_9),
    "source quench": four() / ICMP(type=4) / about_four(UDP_9),
    "unreachable, about a request": four() / ICMP(type=3, code=1) / about_four(ICMP(type=8, id=55, seq=3)),
    "unreachable, about a reply": four() / ICMP(type=3, code=1) / about_four(ICMP(type=0, id=55, seq=3)),
    "unreachable, about sctp": four() / ICMP(type=3, code=2) / about_four(SCTP(sport=9, dport=10, tag=4)),
    "unreachable, about gre": four() / ICMP(type=3, code=2) / about_four(GRE(proto=0x0800) / IP() / UDP()),
    "reassembly time exceeded": four() / ICMP(type=11, code=1) / about_four(UDP_9, flags="MF"),
    "about a later fragment": four() / ICMP(type=11, code=1) / about_four(Raw(bytes(range(64))), frag=99, proto=17),
    **{f"unreachable 6, about {name}": error_six(1, 3, 0, about) for name, about in ABOUT_SIX.items()},
    **{f"too big 6, about {name}": error_six(2, 0, 1280, about) for name, about in ABOUT_SIX.items()},
    **{f"time exceeded 6, about {name}": error_six(3, 0, 0, about) for name, about in ABOUT_SIX.items()},
    "parameter problem 6": error_six(4, 1, 6, ABOUT_SIX["udp"]),
    "timestamp": four() / ICMP(type=13, id=4, seq=5),
    "router solicitation": four() / ICMP(type=10),
    "neighbour solicitation": six() / ICMPv6ND_NS(tgt="fd00::9"),
    "router advertisement": IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA(),
    "multicast report": (
        IPv6(src="fe80::1", dst="ff02::16", hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLReport2()
    ),
    "sctp": four() / SCTP(sport=5, dport=6, tag=7) / PAYLOAD,
    "sctp 6": six() / SCTP(sport=5, dport=6, tag=7) / PAYLOAD,
    "dccp": four(proto=33) / Raw(struct.pack(">HHBBHBBHI", 1, 2, 4, 0, 0, 0, 0, 0, 99) + b"payload"),
    "udp-lite": four(proto=136) / Raw(struct.pack(">HHHH", 1, 2, 8, 0) + b"payload"),
    "esp": four(proto=50) / Raw(bytes(range(60))),
    "esp 6": six(nh=50) / Raw(bytes(range(60))),
    "ospf": four(proto=89) / Raw(bytes(44)),
    "igmp": IP(src="10.0.0.1", dst="224.0.0.22", ttl=1, proto=2, options=ROUTER_ALERT)
    / Raw(bytes.fromhex("2200f9fc0000000104000000e00000fb")),
    "40 bytes of options": four(options=[b"\x07\x27\x04" + bytes(36) + b"\0"])
    / TCP(sport=5, dport=6, flags="S", options=[("MSS", 1400), ("SAckOK", b""), ("WScale", 7)]),
    "first fragment": four(id=9, flags="MF") / UDP(sport=7, dport=8, len=3000) / Raw(bytes(64)),
    "middle fragment": four(id=9, flags="MF", frag=9, proto=17) / Raw(bytes(64)),
    "last fragment": four(id=9, frag=17, proto=6) / Raw(bytes(20)),
    "do not fragment": four(id=9, flags="DF") / TCP(sport=7, dport=8, flags="FPU", seq=2**32 - 1),
    "evil": four(id=9, flags=4) / TCP(sport=7, dport=8),
    "every flag": four() / TCP(sport=5, dport=6, flags=0x1FF, window=7),
    "no checksum": four() / UDP(sport=5, dport=6, chksum=0),
    "first fragment 6": six() / FRAGMENT / UDP(sport=3, dport=4, len=100) / Raw(bytes(32)),
    "later fragment 6": six() / LATE_FRAGMENT / Raw(bytes(32)),
    "fragment that is whole": six() / IPv6ExtHdrFragment(id=5, m=0, offset=0) / TCP(sport=3, dport=4) / PAYLOAD,
    "fragment behind options": six() / IPv6ExtHdrHopByHop() / FRAGMENT / UDP(sport=3, dport=4, len=99) / Raw(bytes(32)),
    "extension headers": six()
    / IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(20))])
    / IPv6ExtHdrRouting(addresses=["fd00::5", "fd00::6"])
    / IPv6ExtHdrDestOpt()
    / TCP(sport=5, dport=6)
    / PAYLOAD,
    "nothing follows": six(nh=59) / Raw(bytes(10)),
    "options and a reply": six() / IPv6ExtHdrDestOpt() / ICMPv6EchoReply(id=5, seq=6, data=b"12345678"),
}


def box(packet: Packet) -> Packet:
    """The same bytes in a header scapy writes as they are, and a payload that it does not look into."""
    data = bytes(packet)
    start = 40 if data[0] >> 4 == 6 else (data[0] & 15) * 4
    return (IPv6 if data[0] >> 4 == 6 else IP)(data[:start]) / Raw(data[start:])


# --- ways to carry a packet -----------------------------------------------------------------------------------------


def gre_in_vxlan(packet: Packet) -> Packet:
    return vxlan(gre_full(packet))


def vxlan_in_gre(packet: Packet) -> Packet:
    return gre(vxlan(packet))


def gre_in_geneve(packet: Packet) -> Packet:
    return geneve(gre_full(packet))


def geneve_in_ipip(packet: Packet) -> Packet:
    return ipip(geneve(packet))


def gre_in_4in6(packet: Packet) -> Packet:
    return in_six(gre_full(packet))


def gre_over_six(packet: Packet) -> Packet:
    return IPv6(src=V6.src, dst=V6.dst, nh=47) / gre_full(packet).payload


def gre_in_6in4(packet: Packet) -> Packet:
    return ipip(gre_over_six(packet))


def qinq_in_vxlan(packet: Packet) -> Packet:
    return V4 / UDP(sport=47000, dport=4789) / VXLAN(vni=42, flags=8) / INSIDE / Dot1AD(vlan=3) / Dot1Q(vlan=7) / packet


def tagged_in_gre(packet: Packet) -> Packet:
    return V4 / GRE(proto=0x6558, seqnum_present=1, sequence_number=9) / Ether(**INNER_MACS) / Dot1Q(vlan=7) / packet


def over_ethernet(tunnel: Callable[[Packet], Packet]) -> Callable[[Packet], bytes]:
    def wrap(packet: Packet) -> bytes:
        return bytes(Ether(**MACS) / tunnel(packet))

    wrap.__name__ = tunnel.__name__
    return wrap


def family(six_number: int, order: str) -> Callable[[Packet], bytes]:
    """NULL (order of the host) and LOOP (network order) begin with an address family; that of IPv6 differs."""

    def wrap(packet: Packet) -> bytes:
        return struct.pack(f"{order}I", six_number if isinstance(packet, IPv6) else 2) + bytes(packet)

    wrap.__name__ = f"family_{six_number}_{'big' if order == '>' else 'little'}"
    return wrap


def mpls_in_pppoe(packet: Packet) -> bytes:
    session = Ether(**MACS, type=0x8864) / PPPoE(sessionid=9)
    return bytes(session / Raw(b"\x02\x81" + bytes(MPLS(label=16, s=1, ttl=9)) + bytes(packet)))


def tagged_mpls(packet: Packet) -> bytes:
    stack = bytes(MPLS(label=16, s=0, ttl=9)) + bytes(MPLS(label=17, s=1, ttl=9))
    return bytes(Ether(**MACS) / Dot1Q(vlan=4, type=0x8847) / Raw(stack + bytes(packet)))


def cooked(packet: Packet) -> bytes:
    return bytes(CookedLinux(pkttype=4) / packet)


def cooked_2(packet: Packet) -> bytes:
    return bytes(CookedLinuxV2(pkttype=0, ifindex=7) / packet)


NESTED = (
    gre_in_vxlan, vxlan_in_gre, gre_in_geneve, geneve_in_ipip, gre_in_4in6, gre_over_six, gre_in_6in4, qinq_in_vxlan,
    tagged_in_gre,
)  # fmt: skip
WAYS = [
    *((LinkType.ETHERNET, over_ethernet(tunnel)) for tunnel in (*test_tunnels.KINDS, *NESTED)),
    *test_link_headers.WAYS,
    (LinkType.ETHERNET, mpls_in_pppoe),
    (LinkType.ETHERNET, tagged_mpls),
    (LinkType.LINUX_SLL, cooked),
    (LinkType.LINUX_SLL2, cooked_2),
    (LinkType.RAW, bytes),
    # BSD and macOS count IPv6 as 24, 28 and 30. (Linux as 10, which tshark does not know.)
    *((LinkType.NULL, family(number, order)) for number in (24, 28, 30) for order in "<>"),
    *((LinkType.LOOP, family(number, ">")) for number in (24, 28, 30)),
]


def packets_for(link_type: int) -> dict[str, Packet]:
    version = {LinkType.IPV4: IP, LinkType.IPV6: IPv6}.get(link_type, (IP, IPv6))
    return {name: boxed for name, packet in PACKETS.items() if isinstance(boxed := box(packet), version)}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Per way, what tshark makes of all packets: it is asked once for each link type."""

    @cache
    def of_link(link_type: int) -> dict[str, list[list[Layer]]]:
        packets = packets_for(link_type)
        here = [wrap for its_type, wrap in WAYS if its_type == link_type]
        frames = [wrap(packet) for wrap in here for packet in packets.values()]
        found = layers(write(tmp_path_factory.mktemp("shown") / "x.pcapng", frames, link_type), PORTS)
        size = len(packets)
        return {wrap.__name__: found[i * size : (i + 1) * size] for i, wrap in enumerate(here)}

    return of_link


PORTS = ("-d", "udp.port==51234,vxlan")


def observe(frames: list[bytes], link_type: int) -> Observations:
    return dissect_packets(capture_of(frames, link_type), 0, np.zeros(1, np.uint32), np.zeros(1, np.uint16))


# --- the comparison -------------------------------------------------------------------------------------------------

NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "esp": 50, "icmpv6": 58, "ospf": 89, "sctp": 132, "udplite": 136}
TRANSPORT = {
    "tcp.srcport": "source_port", "tcp.dstport": "destination_port", "tcp.seq_raw": "sequence",
    "tcp.ack_raw": "acknowledgment", "tcp.window_size_value": "window", "tcp.len": "payload_length",
    "udp.srcport": "source_port", "udp.dstport": "destination_port",
    "sctp.srcport": "source_port", "sctp.dstport": "destination_port",
    "dccp.srcport": "source_port", "dccp.dstport": "destination_port",
    "icmp.type": "icmp_type", "icmp.code": "icmp_code", "icmp.ident": "source_port", "icmp.seq": "sequence",
    "icmpv6.type": "icmp_type", "icmpv6.code": "icmp_code", "icmpv6.echo.identifier": "source_port",
    "icmpv6.echo.sequence_number": "sequence",
}  # fmt: skip


KEYS = ("vxlan.vni", "geneve.vni", "gre.key")


def network_fields(layer: Layer) -> dict[str, int | str]:
    """Columns of a row as the IP header says them."""
    name = layer.name
    found: dict[str, int | str] = {"source": layer.fields[f"{name}.src"], "destination": layer.fields[f"{name}.dst"]}
    if name == "ip":
        found |= {
            column: layer.number(f"ip.{field}")
            for column, field in (("length", "len"), ("ttl", "ttl"), ("ip_id", "id"), ("protocol", "proto"))
        }
        return found | {"offset": layer.number("ip.frag_offset"), "more": layer.number("ip.flags.mf")}
    found |= {"length": layer.number("ipv6.plen") + 40, "ttl": layer.number("ipv6.hlim")}
    found["protocol"] = final_protocol(layer)
    if "ipv6.fraghdr.offset" in layer.fields:
        found |= {"offset": layer.number("ipv6.fraghdr.offset"), "more": layer.number("ipv6.fraghdr.more")}
        found["ip_id"] = layer.number("ipv6.fraghdr.ident") & 0xFFFF
    return found


def final_protocol(layer: Layer) -> int:
    """What the last of the extension headers says of what follows."""
    return layer.number([field for field in layer.fields if field.endswith(".nxt")][-1])


def transport_fields(behind: list[Layer]) -> dict[str, int]:
    found = {}
    for layer in behind:
        found |= {column: layer.number(f) for f, column in TRANSPORT.items() if f in layer.fields}
        if layer.name == "tcp":
            found["tcp_flags"] = layer.number("tcp.flags") & 0x1FF
        if layer.name in NUMBERS:
            found["protocol"] = NUMBERS[layer.name]
    return found


def flow_of_embedded(inside: list[Layer]) -> int:
    """The flow hash of the packet that an error is about."""
    network, *behind = inside
    halves = []
    for end in ("src", "dst"):
        address = ip_address(network.fields[f"{network.name}.{end}"])
        number = int(address) if address.version == 6 else 0xFFFF << 32 | int(address)
        halves += [np.uint64(number >> 64), np.uint64(number & (2**64 - 1))]
    protocol = network.number("ip.proto") if network.name == "ip" else final_protocol(network)
    sport = dport = 0
    if behind and behind[0].name in ("tcp", "udp", "sctp"):
        sport, dport = (behind[0].number(f"{behind[0].name}.{end}port") for end in ("src", "dst"))
    elif behind and behind[0].name in ("icmp", "icmpv6"):
        field = "icmp.ident" if behind[0].name == "icmp" else "icmpv6.echo.identifier"
        asks = behind[0].number(f"{behind[0].name}.type") in (8, 128)
        sport, dport = (behind[0].number(field), 0) if asks else (0, behind[0].number(field))
    return int(flow_hash(protocol, *halves, sport, dport))


@pytest.mark.slow
@pytest.mark.parametrize(("link_type", "wrap"), WAYS, ids=[f"{t.name.lower()}-{w.__name__}" for t, w in WAYS])
def test_every_packet_is_what_tshark_says(link_type, wrap, shown):
    packets = packets_for(link_type)
    seen = observe([wrap(packet) for packet in packets.values()], link_type)
    errors = compared = 0
    for name, row, found in zip(packets, seen.rows, shown(link_type)[wrap.__name__], strict=True):
        networks = [i for i, layer in enumerate(found) if layer.name in ("ip", "ipv6")]
        behind = found[networks[-1] + 1 :]
        expected = network_fields(found[networks[-1]]) | transport_fields(behind)
        ours = {column: int(row[column]) for column in row.dtype.names}
        ours |= {
            end: address_text(int(row[f"{end}_high"]), int(row[f"{end}_low"])) for end in ("source", "destination")
        }
        ours |= {"offset": ours["fragment"] & 0x1FFF, "more": ours["fragment"] >> 13}
        assert {column: ours[column] for column in expected} == expected, name
        compared += len(expected)
        assert not row["notes"] & NOTE_CUT, name
        later = bool(ours["offset"]) or "later fragment" in name
        assert bool(row["notes"] & NOTE_NO_FLOW) == later, name
        if row["notes"] & NOTE_ERROR:
            (error,) = (layer for layer in behind if layer.name in ("icmp", "icmpv6"))
            assert later or ours["flow_reverse"] == flow_of_embedded(error.inside), name
            errors += 1
        if row["outer"]:
            outer = seen.outers[row["outer"] - 1]
            between = found[networks[0] + 1 : networks[1]]
            around = network_fields(found[networks[0]]) | transport_fields(between)
            keys = [layer.number(f) for layer in between for f in KEYS if f in layer.fields]
            assert outer["key"] == (keys[0] if keys else -1), name
            for end in ("source", "destination"):
                assert address_text(int(outer[f"{end}_high"]), int(outer[f"{end}_low"])) == around[end], name
                assert outer[f"{end}_port"] == around.get(f"{end}_port", 0), name
            assert outer["protocol"] == around["protocol"], name
    names = list(packets)
    assert errors == sum(name.startswith(ERRORS) for name in names)
    assert compared > 7 * len(names)
    assert np.count_nonzero(seen.rows["outer"]) == (len(names) if wrap.__name__ in TUNNELLED else 0)


ERRORS = (
    "unreachable",
    "time exceeded",
    "fragmentation",
    "redirect",
    "parameter",
    "source quench",
    "reassembly",
    "about",
    "too big",
)
TUNNELLED = {tunnel.__name__ for tunnel in (*test_tunnels.KINDS, *NESTED)}
