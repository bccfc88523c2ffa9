"""Tunnels: the inner packet against tshark and against itself outside, the outer header, the way through a node, any
bytes."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import ARP, GRE, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from ttrace.correlate.decode.frames import dissect_packets
from ttrace.correlate.decode.observations import Observations
from ttrace.correlate.result.words import encapsulation, endpoint, packet_info
from ttrace.correlate.schema import NOTE_OUTER
from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.write import enhanced_packet, interface_description, section_header
from ttrace.report.json.contract import path_object
from ttrace.report.text.path import path_text

from ..frames import capture_of
from ..scene import IN, OUT, Node, correlate, paths, steps
from .test_ip import FIELDS, _transports, our_fields
from .translations import translations

fuzz = settings(deadline=None, max_examples=300)
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
INNER_MACS = {"src": "02:00:00:00:00:0a", "dst": "02:00:00:00:00:0b"}
V4 = IP(src="192.168.77.1", dst="192.168.77.2", id=7, ttl=61)
V6 = IPv6(src="fd77::1", dst="fd77::2", hlim=61)
INSIDE = Ether(**INNER_MACS)


def ip_proto(packet: Packet) -> int:
    return 41 if isinstance(packet, IPv6) else 4


def ethertype(packet: Packet) -> int:
    return 0x86DD if isinstance(packet, IPv6) else 0x0800


def vxlan(inner: Packet, *, outer: Packet = V4, port: int = 4789, vni: int = 42) -> Packet:
    frame = INSIDE / inner
    return outer / UDP(sport=47000, dport=port) / VXLAN(vni=vni, flags=8) / frame


def vxlan_six(inner: Packet) -> Packet:
    return vxlan(inner, outer=V6)


def vxlan_tagged(inner: Packet) -> Packet:
    return V4 / UDP(sport=47000, dport=4789) / VXLAN(vni=42, flags=8) / INSIDE / Dot1Q(vlan=5) / inner


def vxlan_elsewhere(inner: Packet) -> Packet:
    return vxlan(inner, port=51234)


def vxlan_policy(inner: Packet) -> Packet:
    return V4 / UDP(sport=47000, dport=4789) / VXLAN(vni=42, flags=0x88, gpid=77) / INSIDE / inner


def geneve(inner: Packet) -> Packet:
    return V4 / UDP(sport=47000, dport=6081) / GENEVE(vni=42, proto=0x6558) / INSIDE / inner


def geneve_options(inner: Packet) -> Packet:
    options = b"\x01\x02\x80\x01\0\0\0\7"
    return V4 / UDP(sport=47000, dport=6081) / GENEVE(vni=42, proto=0x6558, optionlen=2) / Raw(options) / INSIDE / inner


def geneve_bare(inner: Packet) -> Packet:
    return V4 / UDP(sport=47000, dport=6081) / GENEVE(vni=42, proto=ethertype(inner)) / inner


def ipip(inner: Packet) -> Packet:
    return IP(src=V4.src, dst=V4.dst, id=7, proto=ip_proto(inner)) / inner


def in_six(inner: Packet) -> Packet:
    return IPv6(src=V6.src, dst=V6.dst, nh=ip_proto(inner)) / inner


def in_six_options(inner: Packet) -> Packet:
    return IPv6(src=V6.src, dst=V6.dst) / IPv6ExtHdrDestOpt(nh=ip_proto(inner)) / inner


def gre(inner: Packet) -> Packet:
    return V4 / GRE(proto=ethertype(inner)) / inner


def gre_full(inner: Packet) -> Packet:
    flags = {"chksum_present": 1, "key_present": 1, "key": 42, "seqnum_present": 1, "sequence_number": 5}
    return V4 / GRE(proto=ethertype(inner), **flags) / inner


def gre_bridged(inner: Packet) -> Packet:
    return V4 / GRE(proto=0x6558, key_present=1, key=42) / INSIDE / inner


def nested(inner: Packet) -> Packet:
    return vxlan(ipip(inner))


KINDS = {
    vxlan: ("VXLAN", 42), vxlan_six: ("VXLAN", 42), vxlan_tagged: ("VXLAN", 42), vxlan_elsewhere: ("VXLAN", 42),
    vxlan_policy: ("VXLAN", 42), geneve: ("Geneve", 42), geneve_options: ("Geneve", 42), geneve_bare: ("Geneve", 42),
    ipip: (None, None), in_six: (None, None), in_six_options: (None, None), gre: ("GRE", None), gre_full: ("GRE", 42),
    gre_bridged: ("GRE", 42), nested: ("VXLAN", 42),
}  # fmt: skip
TUNNELS = pytest.mark.parametrize("tunnel", KINDS, ids=lambda t: t.__name__)


def observe(*frames: Packet | bytes, link_type: int = LinkType.ETHERNET) -> Observations:
    capture = capture_of([bytes(f) for f in frames], link_type)
    return dissect_packets(capture, 0, np.zeros(1, np.uint32), np.zeros(1, np.uint16))


def on_wire(packet: Packet) -> Packet:
    return Ether(**MACS) / packet


# --- against tshark -------------------------------------------------------------------------------------------------


def tshark_rows(path: Path, extra: list[str], occurrence: str) -> list[dict[str, str]]:
    names = ["frame.protocols", *FIELDS, "vxlan.vni", "geneve.vni", "gre.key"]
    options = ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE"]
    argv = ["tshark", "-r", str(path), *options, *extra, "-T", "fields", "-E", f"occurrence={occurrence}"]
    done = subprocess.run(
        [*argv, *(word for name in names for word in ("-e", name))], capture_output=True, text=True, check=True
    )
    return [dict(zip(names, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]


@pytest.mark.slow
@TUNNELS
def test_inner_and_outer_field_by_field_as_tshark(tunnel, tmp_path):
    # An error inside a tunnel shows three headers, and tshark tells only the first and the last apart.
    inner = [p for p in _transports() if not p.haslayer("IP in ICMP") and not p.haslayer("IPv6 in ICMPv6")]
    inner = [p for p in inner if not p.haslayer(GRE) and p.getlayer(0).fields.get("proto") != 47]
    frames = [on_wire(tunnel(packet)) for packet in inner]
    path = tmp_path / "built.pcapng"
    path.write_bytes(
        section_header(node="n", system="", application="")
        + interface_description(link_type=1, name="x", description="", facts={})
        + b"".join(enhanced_packet(interface=0, time_ns=i, data=bytes(f)) for i, f in enumerate(frames))
    )
    extra = ["-d", "udp.port==51234,vxlan"]
    seen = observe(*frames)
    assert (seen.rows["outer"] > 0).all()
    compared = 0
    for row, last, first in zip(seen.rows, tshark_rows(path, extra, "l"), tshark_rows(path, extra, "f"), strict=True):
        mine, outer = our_fields(row), our_fields_of_outer(seen.outers[row["outer"] - 1])
        versions = [layer for layer in last["frame.protocols"].split(":") if layer in ("ip", "ipv6")]
        layers = last["frame.protocols"].split(":")
        transport = layers[max(i for i, layer in enumerate(layers) if layer in ("ip", "ipv6")) + 1 :]
        for name, (column, convert) in FIELDS.items():
            layer = name.split(".")[0]
            if layer in ("ip", "ipv6") and last[name]:
                if layer == versions[-1]:
                    assert mine[column] == convert(last[name]), name
                    compared += 1
                if layer == versions[0] and column in ("source", "destination"):
                    assert outer[column] == first[name], name
                    compared += 1
            elif last[name] and layer in transport and layer != "arp":
                assert mine[column] == convert(last[name]), name
                compared += 1
            if layer == "udp" and outer["protocol"] == 17:
                assert outer[column] == int(first[name]), name
                compared += 1
        keys = [
            int(first[k], 16 if first[k].startswith("0x") else 10)
            for k in ("vxlan.vni", "geneve.vni", "gre.key")
            if first[k]
        ]
        assert outer["key"] == (keys[0] if keys else -1)
    assert compared > 8 * len(frames)


def our_fields_of_outer(row: np.void) -> dict[str, object]:
    from ttrace.correlate.result.words import address_text

    found = {name: int(row[name]) for name in row.dtype.names}
    for end in ("source", "destination"):
        found[end] = address_text(int(row[f"{end}_high"]), int(row[f"{end}_low"]))
    return found


@TUNNELS
def test_kind_and_identifier(tunnel):
    for packet in (IP(id=3) / TCP() / b"hi", IPv6() / UDP() / b"hi"):
        seen = observe(on_wire(tunnel(packet)))
        (outer,) = seen.outers
        shown = encapsulation(outer)
        six = isinstance(packet, IPv6)
        kind, number = KINDS[tunnel]
        if kind is None:
            kind = {(4, False): "IPIP", (4, True): "6in4", (6, False): "4in6", (6, True): "6in6"}[
                (int(outer["ip_version"]), six)
            ]
        assert (shown.kind, shown.id, shown.levels) == (kind, number, 2 if tunnel is nested else 1)


def test_it_is_shown_in_words():
    (outer,) = observe(on_wire(vxlan(IP() / UDP()))).outers
    assert str(encapsulation(outer)) == "VXLAN 42 192.168.77.1:47000 -> 192.168.77.2:4789"
    (outer,) = observe(on_wire(vxlan_six(IP() / UDP()))).outers
    assert str(encapsulation(outer)) == "VXLAN 42 [fd77::1]:47000 -> [fd77::2]:4789"
    (outer,) = observe(on_wire(nested(IP() / UDP()))).outers
    assert str(encapsulation(outer)).endswith("192.168.77.2:4789 (2 tunnels)")
    (outer,) = observe(on_wire(gre(IP() / UDP()))).outers
    assert str(encapsulation(outer)) == "GRE 192.168.77.1 -> 192.168.77.2"


# --- the packet is the same inside and outside ----------------------------------------------------------------------

COLUMNS = [n for n in observe(IP() / UDP(), link_type=LinkType.RAW).rows.dtype.names if n not in ("frame", "outer")]


@pytest.mark.slow
@fuzz
@given(translation=translations(), tunnel=st.sampled_from(list(KINDS)))
def test_the_inner_packet_is_the_same_inside_and_outside(translation, tunnel):
    before, after, _ = translation

    def parse(data: bytes) -> Packet:  # no deeper: scapy would write what it takes for SCTP chunks anew
        return IPv6(data[:40]) / Raw(data[40:]) if data[0] >> 4 == 6 else IP(data[:20]) / Raw(data[20:])

    plain = observe(before, after, link_type=LinkType.RAW).rows
    inside = observe(*(tunnel(parse(p)) for p in (before, after)), link_type=LinkType.RAW).rows
    assert (inside["outer"] > 0).all()
    for column in COLUMNS:
        assert inside[column].tolist() == plain[column].tolist(), column
    assert inside["content"][0] == plain["content"][1]


def test_arp_in_a_tunnel_is_arp():
    question = ARP(psrc="10.0.0.1", pdst="10.0.0.2")
    plain, inside = (observe(f).rows[0] for f in (INSIDE / question, on_wire(vxlan(question))))
    for column in ("flow", "content", "ethertype", "length"):
        assert inside[column] == plain[column], column


def test_four_tunnels_are_opened_and_no_more():
    packet = IP(id=3, src="10.0.0.1") / UDP(sport=1, dport=2) / b"hi"
    (plain,) = observe(packet, link_type=LinkType.RAW).rows
    for levels in range(1, 7):
        packet = ipip(packet)
        seen = observe(packet, link_type=LinkType.RAW)
        assert seen.outers["levels"][0] == min(levels, 4)
        assert (seen.rows["content"][0] == plain["content"]) == (levels <= 4)


NO_TUNNEL = {
    "fragment": IP(src="1.1.1.1", flags="MF") / UDP(dport=4789) / VXLAN(vni=4, flags=8) / INSIDE / IP() / UDP(),
    "later fragment": IP(src="1.1.1.1", proto=4, frag=3) / IP() / UDP(),
    "reserved bits": V4 / UDP(dport=4789) / Raw(b"\x08\0\0\1\0\0\1\0") / INSIDE / IP() / UDP(),
    "policy bits at another port": V4 / UDP(dport=999) / VXLAN(vni=4, flags=0x88, gpid=7) / INSIDE / IP() / UDP(),
    "no vni bit": V4 / UDP(dport=4789) / Raw(bytes(8)) / INSIDE / IP() / UDP(),
    "inner longer than outer": V4 / UDP(dport=4789) / VXLAN(vni=4, flags=8) / INSIDE / IP(len=9000) / UDP(),
    "inner is lldp": V4 / UDP(dport=4789) / VXLAN(vni=4, flags=8) / Ether(type=0x88CC) / Raw(bytes(40)),
    "geneve version 1": V4 / UDP(dport=6081) / GENEVE(version=1, vni=4, proto=0x6558) / INSIDE / IP() / UDP(),
    "gre source route": V4 / GRE(routing_present=1) / Raw(bytes(40)),
    "gre keepalive": V4 / GRE(proto=0),
    "ipip of nothing": IP(proto=4) / Raw(bytes(40)),
    "esp": IP(proto=50) / Raw(bytes(range(60))),
}


@pytest.mark.parametrize("name", NO_TUNNEL)
def test_what_holds_no_whole_packet_stays_what_it_is(name):
    packet = NO_TUNNEL[name]
    seen = observe(packet, link_type=LinkType.RAW)
    assert seen.outers.size == 0
    assert seen.rows["outer"][0] == 0
    assert endpoint(seen.rows[0], "source").startswith(packet.src)


def test_a_cut_tunnel_packet_stays_the_outer_packet():
    frame = bytes(on_wire(vxlan(IP(id=9) / TCP() / Raw(bytes(500)))))
    whole = observe(frame).rows[0]
    outer_only = {len(observe(frame[:size]).outers) for size in range(42, 42 + 8 + 14 + 20 + 18)}
    assert outer_only == {0}
    (cut,) = observe(frame[: 42 + 8 + 14 + 40]).rows
    assert cut["outer"] == 1
    assert (cut["content"], cut["payload"]) == (whole["content"], 0)


# --- any bytes ------------------------------------------------------------------------------------------------------

TUNNELLED = [bytes(on_wire(t(p))) for t in KINDS for p in (IP(id=3) / TCP() / b"hello", IPv6() / UDP() / b"hello")]


@st.composite
def damaged(draw) -> bytes:
    frame = draw(st.sampled_from(TUNNELLED))
    data = bytearray(frame[: draw(st.integers(0, len(frame)))] if draw(st.booleans()) else frame)
    for _ in range(draw(st.integers(0, 4))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


LINK_TYPES = st.sampled_from([0, 1, 9, 12, 14, 50, 51, 101, 108, 113, 127, 228, 229, 276])


@fuzz
@given(
    frame=damaged() | st.binary(max_size=90),
    link_type=LINK_TYPES,
    before=st.binary(max_size=9),
    behind=st.binary(min_size=4, max_size=90),
)
def test_nothing_but_the_captured_bytes_is_read(frame, link_type, before, behind):
    alone = observe(frame, link_type=link_type)
    around = capture_of([frame], link_type, (before, behind))
    between = dissect_packets(around, 0, np.zeros(1, np.uint32), np.zeros(1, np.uint16))
    assert alone.rows.tolist() == between.rows.tolist()
    assert alone.outers.tolist() == between.outers.tolist()
    assert alone.outers.size == np.count_nonzero(alone.rows["outer"])
    assert packet_info(alone.rows[0])
    assert all(str(encapsulation(outer)) for outer in alone.outers)


# --- the way through nodes ------------------------------------------------------------------------------------------


def scene(folder: Path, *, traced: bool = True):
    """container c1 - veth - docker0 - vxlan0 - eth0 ~ eth0 - vxlan0 - docker0 - veth - c2, the same packet all the
    way."""
    nodes = []
    packet = IP(src="10.50.0.2", dst="10.51.0.2", id=9, ttl=64) / TCP(sport=4000, dport=80, flags="S")
    routed = IP(src="10.50.0.2", dst="10.51.0.2", id=9, ttl=63) / TCP(sport=4000, dport=80, flags="S")
    final = IP(src="10.50.0.2", dst="10.51.0.2", id=9, ttl=62) / TCP(sport=4000, dport=80, flags="S")
    for number, name in ((1, "alpha"), (2, "beta")):
        node = Node(name, boot_id=name)
        node.interface("eth0", 2, addresses=[f"192.168.77.{number}"])
        node.interface("vxlan0", 4, kind="vxlan", addresses=[f"10.49.0.{number}"])
        node.interface("docker0", 3, kind="bridge", addresses=[f"10.{49 + number}.0.1"])
        node.interface("veth1", 5, kind="veth", master=3, peer=f"c{number}")
        node.interface("eth0", 2, netns=f"c{number}", kind="veth", addresses=[f"10.{49 + number}.0.2"])
        nodes.append(node)
    alpha, beta = nodes
    outer = vxlan(routed)
    alpha.see("eth0", OUT, 0, packet, netns="c1")
    alpha.see("veth1", IN, 1, packet)
    alpha.see("docker0", IN, 2, packet)
    alpha.see("vxlan0", OUT, 10, routed)
    alpha.see("eth0", OUT, 20, outer)
    beta.see("eth0", IN, 120, outer)
    beta.see("vxlan0", IN, 125, routed)
    beta.see("docker0", OUT, 130, final)
    beta.see("veth1", OUT, 131, final)
    beta.see("eth0", IN, 132, final, netns="c2")
    if traced:
        alpha.trace(30, packet, "FORWARD", iif=3, oif=4, ct=(55, 0, 0))
        alpha.trace(31, outer, "OUTPUT", oif=2, ct=(66, 0, 0))
        alpha.trace(32, outer, "POSTROUTING", table="mangle", oif=2, ct=(66, 0, 0))
        beta.trace(141, outer, "INPUT", iif=2, ct=(67, 0, 0))
        beta.trace(142, routed, "FORWARD", iif=4, oif=3, ct=(68, 0, 0))
    return correlate(folder, alpha, beta)


@pytest.mark.parametrize("traced", [False, True])
def test_a_packet_through_a_tunnel_is_one_path_without_a_rewrite(traced, tmp_path):
    result = scene(tmp_path, traced=traced)
    (path,) = paths(result)
    chains = ("FORWARD", "INPUT", "OUTPUT", "POSTROUTING")
    assert [s for s in steps(path) if s.split(":")[-1] not in chains] == [
        "c1:eth0 out", "veth1 in", "docker0 in", "vxlan0 out", "eth0 out",
        "eth0 in", "vxlan0 in", "docker0 out", "veth1 out", "c2:eth0 in",
    ]  # fmt: skip
    assert path.rewrites == ()
    assert (path.protocol, path.info, path.outcome, path.reason.kind) == ("tcp", "SYN", "unknown", "unanswered")
    (connection,) = result.connection_list()
    assert (connection.client, connection.server) == ("10.50.0.2:4000", "10.51.0.2:80")
    tunnelled = [h for h in path.hops if getattr(h, "encapsulation", None)]
    assert [(h.node, h.interface, str(h.encapsulation)) for h in tunnelled] == [
        (node, "eth0", "VXLAN 42 192.168.77.1:47000 -> 192.168.77.2:4789") for node in ("alpha", "beta")
    ]
    assert "in VXLAN 42 192.168.77.1:47000 -> 192.168.77.2:4789\n" in path_text(path)
    shown = [hop["encapsulation"] for hop in path_object(path)["hops"] if hop.get("encapsulation")]
    assert shown[0] == {
        "kind": "vxlan", "id": 42, "source": "192.168.77.1:47000", "destination": "192.168.77.2:4789", "levels": 1
    }  # fmt: skip


def test_the_trace_of_the_outer_header_is_part_of_the_path(tmp_path):
    result = scene(tmp_path)
    (path,) = paths(result)
    assert steps(path) == [
        "c1:eth0 out", "veth1 in", "docker0 in", "FORWARD", "vxlan0 out", "OUTPUT", "POSTROUTING", "eth0 out",
        "eth0 in", "INPUT", "vxlan0 in", "FORWARD", "docker0 out", "veth1 out", "c2:eth0 in",
    ]  # fmt: skip
    outer = [h for h in path.hops if getattr(h, "chain", "") in ("OUTPUT", "INPUT")]
    assert {h.source for h in outer} == {"192.168.77.1:47000"}
    assert np.count_nonzero(result.sightings["notes"] & NOTE_OUTER) == 3


def test_connections_that_share_a_tunnel_stay_apart(tmp_path):
    """Their outer headers have one conntrack entry."""
    node = Node("alpha", boot_id="a")
    node.interface("eth0", 2, addresses=["192.168.77.1"])
    node.interface("vxlan0", 4, kind="vxlan")
    for number in range(3):
        inner = IP(src="10.50.0.2", dst=f"10.51.0.{number + 5}", id=number + 1) / ICMP(id=number) / b"data"
        outer = vxlan(inner)
        node.see("vxlan0", OUT, number * 100, inner)
        node.see("eth0", OUT, number * 100 + 10, outer)
        node.trace(number * 100 + 15, outer, "OUTPUT", oif=2, trace_id=number, ct=(66, 0, 0x10))
    result = correlate(tmp_path, node)
    assert result.connections.count == 3
    assert [steps(p) for p in paths(result)] == [["vxlan0 out", "OUTPUT", "eth0 out"]] * 3
