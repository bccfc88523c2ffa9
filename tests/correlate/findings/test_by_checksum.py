"""Checksums that are wrong on a wire, and those that only look so in a capture."""

import copy
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet

from ttrace.correlate.findings.kinds import Kind, Severity
from ttrace.correlate.findings.values import Finding
from ttrace.pcapng.blocks import LinkType
from ttrace.tests.correlate.scene import (
    DNAT,
    DOCKER0,
    DROP,
    DROP_RULE,
    ETH0,
    IN,
    IPTABLES_RULES,
    OUT,
    Direction,
    Node,
    docker_host,
    keep_recording,
)

from .told import findings_in, findings_of, of_kind

UNKNOWN = Direction.UNKNOWN
CLIENT, SERVER, OTHER = "10.1.0.9", "10.2.0.8", "10.1.0.7"
CLIENT_6, SERVER_6 = "fd00:1::9", "fd00:2::8"
MACS = {"src": "02:00:00:00:00:0a", "dst": "02:00:00:00:00:0b"}
SECOND_US = 1_000_000
ASKS = {
    "TCP": IP(src=CLIENT, dst=SERVER) / TCP(sport=1000, dport=80, flags="S", seq=7),
    "UDP": IP(src=CLIENT, dst=SERVER) / UDP(sport=1000, dport=53) / b"question",
    "ICMP": IP(src=CLIENT, dst=SERVER) / ICMP(type=8, id=7, seq=1) / b"12345678",
    "TCP over IPv6": IPv6(src=CLIENT_6, dst=SERVER_6) / TCP(sport=1000, dport=80, flags="S", seq=7),
    "UDP over IPv6": IPv6(src=CLIENT_6, dst=SERVER_6) / UDP(sport=1000, dport=53) / b"question",
    "ICMPv6": IPv6(src=CLIENT_6, dst=SERVER_6) / ICMPv6EchoRequest(id=7, seq=1, data=b"12345678"),
}


def _sum_at(data: bytes) -> int:
    """Where the checksum of what the datagram carries stands."""
    start, protocol = (20, data[9]) if data[0] >> 4 == 4 else (40, data[6])
    return start + {6: 16, 17: 6, 1: 2, 58: 2}[protocol]


def _with_sum(packet: Packet | bytes, change: Callable[[int], int]) -> bytes:
    data = bytearray(bytes(packet))
    at = _sum_at(data)
    data[at : at + 2] = change(int.from_bytes(data[at : at + 2], "big")).to_bytes(2, "big")
    return bytes(data)


def broken(packet: Packet | bytes) -> bytes:
    """The packet with a wrong checksum."""
    return _with_sum(packet, lambda right: right ^ 0x5A5A)


def offloaded(packet: Packet) -> bytes:
    """As the kernel leaves it to a device: with the sum of the pseudo header."""
    data = bytes(packet)
    size = len(data) - (20 if data[0] >> 4 == 4 else 40)
    ends, protocol = (data[12:20], data[9]) if data[0] >> 4 == 4 else (data[8:40], data[6])
    total = sum(int.from_bytes(ends[at : at + 2], "big") for at in range(0, len(ends), 2)) + protocol + size
    return _with_sum(packet, lambda _: (total & 0xFFFF) + (total >> 16))


def hop_less(data: bytes) -> bytes:
    """One hop further: of IPv4 with the sum of the header as it has to be."""
    packet = IP(data) if data[0] >> 4 == 4 else IPv6(data)
    if data[0] >> 4 == 4:
        packet.ttl -= 1
        del packet.chksum
    else:
        packet.hlim -= 1
    return bytes(packet)


def numbered(packet: Packet, number: int) -> Packet:
    """The packet as it is sent once more."""
    again = packet.copy()
    if isinstance(again, IP):
        again.id = 100 + number
    else:
        again.fl = 100 + number
    return again


def router(*, snapshots: bool = True) -> Node:
    node = Node("r", snapshots=snapshots)
    node.interface("eth0", 2, addresses=["10.1.0.1"])
    node.interface("eth1", 3, addresses=["10.2.0.1"])
    return node


def one_point(direction: Direction = UNKNOWN) -> tuple[Node, Direction]:
    """A capture of another tool, of one interface."""
    node = Node("host", snapshots=False)
    node.interface("eth0", 2)
    return node, direction


def talk(node: Node, point: str, direction: Direction, client: str, change: Callable[[Packet], bytes] = bytes) -> None:
    """A connection of `client` that comes to its end; `change`: what its packets look like."""
    back = {IN: OUT, OUT: IN}.get(direction, UNKNOWN)
    ways = {True: IP(src=client, dst=SERVER), False: IP(src=SERVER, dst=client)}
    ports = {True: {"sport": 2000, "dport": 80}, False: {"sport": 80, "dport": 2000}}
    steps = [("S", True, 5, 0), ("SA", False, 9, 6), ("A", True, 6, 10), ("FA", True, 6, 10), ("FA", False, 10, 7),
             ("A", True, 7, 11)]  # fmt: skip
    for number, (flags, forward, seq, ack) in enumerate(steps):
        packet = ways[forward] / TCP(flags=flags, seq=seq, ack=ack, **ports[forward])
        packet.id = 500 + number
        node.see(point, direction if forward else back, 1000 + 100 * number, change(packet) if forward else packet)


def found(folder: Path, *nodes: Node) -> list[Finding]:
    for node in nodes:
        keep_recording(node)
    return of_kind(findings_of(folder, *nodes), Kind.CHECKSUM_WRONG)


@pytest.mark.parametrize("protocol", ASKS)
def test_a_router_breaks_it(tmp_path: Path, protocol: str) -> None:
    node = router()
    for number in range(3):
        asked = bytes(numbered(ASKS[protocol], number))
        node.see("eth0", IN, number * SECOND_US, asked)
        node.see("eth1", OUT, number * SECOND_US + 50, broken(hop_less(asked)))
    (finding,) = found(tmp_path, node)
    assert finding.text.startswith(f"the {protocol.split()[0]} checksum of 3 ")
    assert "is wrong at r eth1 out, and was right at r eth0 in: " in finding.text
    assert finding.text.endswith("and nobody answers")
    assert (finding.severity, finding.confidence, finding.packets) == (Severity.FAULT, 1.0, 3)
    asked_at, sent_at = node.frame_numbers()[:2]
    assert [one.frame for one in finding.evidence] == [sent_at, asked_at]
    assert all((tmp_path / "r.pcapng").samefile(one.file or "") for one in finding.evidence)


def test_frames_of_a_compressed_capture_are_read_again(tmp_path: Path) -> None:
    node = router()
    for number in range(3):
        node.see("eth0", IN, number * SECOND_US, broken(numbered(ASKS["UDP"], number)))
    keep_recording(node)
    path = Path(node.write(tmp_path))
    packed = path.with_suffix(".pcapng.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    (finding,) = of_kind(findings_in([str(packed)]), Kind.CHECKSUM_WRONG)
    assert finding.packets == 3


def test_what_follows_from_it_is_not_said_again(tmp_path: Path) -> None:
    node = router()
    for number in range(3):
        node.see("eth0", IN, number * SECOND_US, broken(numbered(ASKS["TCP"], number)))
    keep_recording(node)
    assert [one.kind for one in findings_of(tmp_path, node)] == [Kind.CHECKSUM_WRONG]


def test_the_device_of_the_sender_did_not_fill_it_in_right(tmp_path: Path) -> None:
    one, other = Node("a"), Node("b")
    for node, address in ((one, CLIENT), (other, SERVER)):
        node.interface("eth0", 2, addresses=[address])
    for number in range(3):
        asked = numbered(ASKS["TCP"], number)
        one.see("eth0", OUT, number * SECOND_US, offloaded(asked))
        other.see("eth0", IN, number * SECOND_US + 50, broken(asked))
    (finding,) = found(tmp_path, one, other)
    assert "is wrong at b eth0 in, and was still to be filled in at a eth0 out" in finding.text


@pytest.mark.parametrize("fixed", [True, False])
def test_a_translator(tmp_path: Path, fixed: bool) -> None:
    """It has to correct the checksum, for it is of the addresses as well."""
    node = router()
    for number in range(3):
        asked = IP(src=CLIENT, dst="10.1.0.1", id=number + 1) / TCP(sport=1000, dport=8080, flags="S", seq=7)
        node.see("eth0", IN, number * SECOND_US, asked)
        old = bytes(asked)
        sent = IP(src=CLIENT, dst=SERVER, id=number + 1, ttl=63) / TCP(sport=1000, dport=80, flags="S", seq=7)
        kept = bytes(sent) if fixed else _with_sum(sent, lambda _, old=old: int.from_bytes(old[36:38], "big"))
        node.see("eth1", OUT, number * SECOND_US + 50, kept)
    node.conntrack(20, ((CLIENT, 1000), ("10.1.0.1", 8080)), ((SERVER, 80), (CLIENT, 1000)), status=DNAT)
    findings = found(tmp_path, node)
    assert [one.text.split(":")[0] for one in findings] == (
        [] if fixed else ["the TCP checksum of 3 SYNs of tcp 10.1.0.9"]
    )


def test_a_syn_ack_is_not_heard(tmp_path: Path) -> None:
    node, direction = one_point()
    talk(node, "eth0", direction, OTHER)
    for number in range(3):
        node.see("eth0", direction, number * SECOND_US, numbered(ASKS["TCP"], number))
        accepted = IP(src=SERVER, dst=CLIENT, id=number) / TCP(sport=80, dport=1000, flags="SA", seq=99, ack=8)
        node.see("eth0", direction, number * SECOND_US + 300, broken(accepted))
    (finding,) = found(tmp_path, node)
    assert finding.text.startswith(
        "the TCP checksum of 3 SYN-ACKs of tcp 10.2.0.8:80 -> 10.1.0.9:1000 is wrong at host"
    )
    assert finding.text.endswith("the handshake does not go on")
    assert finding.confidence == pytest.approx(0.95)


def _stuck(node: Node, direction: Direction, data: Callable[[Packet], bytes]) -> None:
    """A request that is sent three times, in a connection that began."""
    ports, back = {"sport": 1000, "dport": 80}, {"sport": 80, "dport": 1000}
    node.see("eth0", direction, 0, ASKS["TCP"])
    node.see("eth0", direction, 100, IP(src=SERVER, dst=CLIENT, id=3) / TCP(flags="SA", seq=99, ack=8, **back))
    node.see("eth0", direction, 200, IP(src=CLIENT, dst=SERVER, id=4) / TCP(flags="A", seq=8, ack=100, **ports))
    for number in range(3):
        sent = IP(src=CLIENT, dst=SERVER, id=10 + number) / TCP(flags="PA", seq=8, ack=100, **ports) / b"GET / HTTP/1.0"
        node.see("eth0", direction, 300 + number * SECOND_US, data(sent))


def test_data_is_never_acknowledged(tmp_path: Path) -> None:
    node, direction = one_point()
    _stuck(node, direction, broken)
    talk(node, "eth0", direction, CLIENT)
    (finding,) = found(tmp_path, node)
    assert finding.text.startswith("the TCP checksum of 3 packets of tcp 10.1.0.9:1000 -> 10.2.0.8:80 is wrong at host")
    assert finding.text.endswith("it is sent again, and never acknowledged")


def test_data_that_is_lost_elsewhere(tmp_path: Path) -> None:
    node, direction = one_point()
    _stuck(node, direction, bytes)
    talk(node, "eth0", direction, CLIENT)
    assert found(tmp_path, node) == []


def test_the_header_of_ip(tmp_path: Path) -> None:
    node = router()
    for number in range(3):
        asked = bytearray(bytes(numbered(ASKS["TCP"], number)))
        asked[10] ^= 0x40
        node.see("eth0", IN, number * SECOND_US, bytes(asked))
    (finding,) = found(tmp_path, node)
    assert finding.text.startswith("the IP header checksum of 3 SYNs of tcp 10.1.0.9:1000")


@pytest.mark.parametrize("inner", [bytes, offloaded])
def test_around_a_packet_in_a_tunnel(tmp_path: Path, inner: Callable[[Packet], bytes]) -> None:
    """Where the device fills in what is inside, what is around it fits only then."""
    node = Node("b")
    node.interface("eth0", 2, addresses=["192.168.77.2"], link_type=LinkType.ETHERNET)
    for number in range(3):
        packet = IP(inner(numbered(ASKS["TCP"], number)))
        around = IP(src="192.168.77.1", dst="192.168.77.2", id=number) / UDP(sport=555, dport=4789)
        whole = around / VXLAN(vni=5, flags=8) / Ether(**MACS) / packet
        node.see("eth0", IN, number * SECOND_US, bytes(Ether(**MACS, type=0x800)) + broken(whole))
    findings = found(tmp_path, node)
    assert [one.text.split(" of ")[0] for one in findings] == (["the outer UDP checksum"] if inner is bytes else [])


# What only looks like it.


def _unanswered(node: Node, direction: Direction, change: Callable[[Packet], bytes], protocol: str = "TCP") -> None:
    for number in range(3):
        node.see("eth0", direction, number * SECOND_US, change(numbered(ASKS[protocol], number)))


@pytest.mark.parametrize("protocol", ASKS)
@pytest.mark.parametrize("direction", [IN, OUT])
def test_left_to_a_device(tmp_path: Path, protocol: str, direction: Direction) -> None:
    node = router()
    _unanswered(node, direction, offloaded if protocol != "ICMP" else bytes, protocol)
    assert found(tmp_path, node) == []


def test_zero_is_none(tmp_path: Path) -> None:
    node = router()
    for protocol in ("UDP", "TCP"):
        _unanswered(node, IN, lambda packet: _with_sum(packet, lambda _: 0), protocol)
    assert found(tmp_path, node) == []


def test_a_packet_that_was_cut_says_nothing(tmp_path: Path) -> None:
    node = router()
    node.snaplen = 60
    for number in range(3):
        asked = numbered(ASKS["UDP"], number)
        node.see("eth0", IN, number * SECOND_US, broken(asked / bytes(100)))
    assert found(tmp_path, node) == []


def test_fragments_and_super_packets_say_nothing(tmp_path: Path) -> None:
    node = router()
    for number in range(3):
        piece = IP(src=CLIENT, dst=SERVER, id=number, flags="MF") / UDP(sport=1000, dport=53) / bytes(1000)
        node.see("eth0", IN, number * SECOND_US, broken(piece))
        large = IP(src=CLIENT, dst=SERVER, id=number) / UDP(sport=1001, dport=53) / bytes(3000)
        node.see("eth0", IN, number * SECOND_US + 10, broken(large))
    assert found(tmp_path, node) == []


def test_a_sender_whose_buffers_hold_anything(tmp_path: Path) -> None:
    """Its own capture shows wrong sums also of what was taken."""
    node, direction = one_point()
    talk(node, "eth0", direction, CLIENT, broken)
    _unanswered(node, direction, broken)
    assert found(tmp_path, node) == []


@pytest.mark.parametrize("direction", [IN, OUT, UNKNOWN])
def test_nothing_to_compare_with(tmp_path: Path, direction: Direction) -> None:
    node, direction = one_point(direction)
    _unanswered(node, direction, broken)
    assert found(tmp_path, node) == []


def test_others_whose_packets_came_in_right(tmp_path: Path) -> None:
    """Only where it came in itself: it may be the capture of the sender."""
    for direction, findings in ((IN, 1), (OUT, 0), (UNKNOWN, 0)):
        node, _ = one_point()
        talk(node, "eth0", direction, OTHER)
        _unanswered(node, direction, broken)
        assert len(found(tmp_path, node)) == findings


def test_nobody_minds(tmp_path: Path) -> None:
    """A connection that goes on shows that only the capture has it wrong."""
    node = router()
    talk(node, "eth0", IN, CLIENT, broken)
    assert found(tmp_path, node) == []


def test_one_of_several_was_right(tmp_path: Path) -> None:
    """And had no answer either: it is not the checksum."""
    node = router()
    for number in range(3):
        asked = numbered(ASKS["TCP"], number)
        node.see("eth0", IN, number * SECOND_US, asked if number == 1 else broken(asked))
    assert found(tmp_path, node) == []


def test_right_again_behind_the_sender(tmp_path: Path) -> None:
    node = router()
    for number in range(3):
        asked = numbered(ASKS["TCP"], number)
        node.see("eth0", IN, number * SECOND_US, broken(asked))
        node.see("eth1", OUT, number * SECOND_US + 50, hop_less(bytes(asked)))
    assert found(tmp_path, node) == []


def test_conntrack_calls_it_invalid(tmp_path: Path) -> None:
    """The rule that drops what is INVALID is the place, and the checksum the reason."""
    rules = copy.deepcopy(IPTABLES_RULES)
    condition = "-m conntrack --ctstate INVALID"
    rules["iptables"]["ip"] = rules["iptables"]["ip"].replace("-d 203.0.113.9/32", condition)
    host = docker_host()
    host._namespaces["root"].ruleset = rules
    for number in range(3):
        asked = broken(IP(src=CLIENT, dst="172.17.0.2", id=number + 1) / TCP(sport=1000, dport=80, flags="S", seq=7))
        host.see("eth0", IN, number * SECOND_US, asked)
        chain = {"rules": [("FORWARD", DROP_RULE, DROP)], "policy": None, "iif": ETH0, "oif": DOCKER0}
        host.trace(number * SECOND_US + 5, asked, "FORWARD", trace_id=number + 1, **chain)
    keep_recording(host)
    told = {one.kind: one.text for one in findings_of(tmp_path, host)}
    assert told.keys() == {Kind.CHECKSUM_WRONG, Kind.CONNTRACK_INVALID, Kind.RULE_DROP}
    assert "TCP checksum of 3 SYNs" in told[Kind.CHECKSUM_WRONG]
    assert "drops what is: its checksum is wrong" in told[Kind.CONNTRACK_INVALID]


def test_a_rule_dropped_it(tmp_path: Path) -> None:
    """And not for its checksum."""
    node = router()
    for number in range(3):
        asked = broken(numbered(ASKS["TCP"], number))
        node.see("eth0", IN, number * SECOND_US, asked)
        node.trace(number * SECOND_US + 5, asked, "INPUT", policy=0, trace_id=number + 1, iif=2)
    assert found(tmp_path, node) == []
