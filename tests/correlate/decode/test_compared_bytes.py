"""Captures that kept a part of the transport headers only, as `tcpdump -s 64` does of IPv6."""

import struct
from pathlib import Path
from socket import inet_aton

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether

from ttrace.correlate import correlate_captures

from ..scene import paths

CLIENT, VIRTUAL, NODE, SERVER = "fd17::2", "fd77::2", "fd77::1", "fd18::2"


def write(path: Path, packets: list, snaplen: int, start_us: int = 0) -> str:
    """A pcap of Ethernet frames, 1 ms apart, cut at `snaplen`."""
    content = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen, 1)
    for number, packet in enumerate(packets):
        data = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet)
        content += struct.pack("<IIII", 1000, start_us + number * 1000, min(len(data), snaplen), len(data))
        content += data[:snaplen]
    path.write_bytes(content)
    return str(path)


def conversation(client: str, server: str, server_port: int, label: int) -> list:
    """Ten TCP segments each way and ten datagrams, of which nothing but the transport header tells them apart."""
    packets = []
    for number in range(10):
        there, back = IPv6(src=client, dst=server, fl=label), IPv6(src=server, dst=client, fl=label + 1)
        segment = {"seq": 100 + 10 * number, "ack": 900 + 20 * number, "flags": "PA"}
        answer = {"seq": 900 + 20 * number, "ack": 110 + 10 * number, "flags": "PA"}
        packets += [
            there / TCP(sport=40000, dport=server_port, **segment) / bytes(10),
            back / TCP(sport=server_port, dport=40000, **answer) / bytes(20),
        ]
        packets.append(there / UDP(sport=5000, dport=server_port) / bytes(30 + number))
    return packets


@pytest.mark.parametrize("snaplens", [(64, 64), (64, 2000), (2000, 64)], ids=["both cut", "first cut", "second cut"])
def test_what_is_cut_behind_the_sequence_number_is_matched_across_nat(snaplens, tmp_path):
    before = write(tmp_path / "a.pcap", conversation(CLIENT, VIRTUAL, 8000, 0xABCDE), snaplens[0])
    after = write(tmp_path / "b.pcap", conversation(NODE, SERVER, 9000, 0xABCDE), snaplens[1], start_us=30)
    found = paths(correlate_captures([f"n/docker0={before}", f"n/eth0={after}"]))
    assert [len(path.hops) for path in found] == [2] * 30
    assert all({(r.field, r.evidence) for r in path.rewrites} == {
        ("source", "inferred"), ("destination", "inferred")} for path in found)  # fmt: skip
    assert [path.hops[0].frame for path in found] == [path.hops[1].frame for path in found]


def test_one_damaged_packet_does_not_make_the_others_shallow(tmp_path):
    """Segments that differ in their flags only are told apart, for one packet cut short says nothing of the rest."""
    packets = [
        IPv6(src=CLIENT, dst=SERVER) / TCP(sport=1, dport=2, seq=5, flags=flags)
        for flags in ("S", "A", "PA", "FA", "R")
    ] * 4
    cut = write(tmp_path / "a.pcap", [*packets, *packets[:1]], 2000)
    data = bytearray(Path(cut).read_bytes())
    last = 14 + 40 + 20
    data[-last - 8 : -last - 4] = (64).to_bytes(4, "little")
    Path(cut).write_bytes(data[: len(data) - last + 64])
    whole = write(tmp_path / "b.pcap", list(reversed(packets)), 2000, start_us=40_000)
    found = paths(correlate_captures([f"n/eth0={cut}", f"n/eth1={whole}"]))
    assert {path.info for path in found if len(path.hops) == 2} == {"SYN", "ACK", "PSH,ACK", "FIN,ACK", "RST"}


def test_the_flow_label_tells_equal_datagrams_of_two_clients_apart(tmp_path):
    """IPv6 has no identification: behind MASQUERADE two clients that say the same differ in nothing else."""
    before, after = [], []
    for number in range(20):
        which = number % 2
        datagram = UDP(sport=6000 + which, dport=53) / b"the same words, and more of the same words"
        before.append(IPv6(src=f"fd17::{which + 2}", dst=SERVER, fl=0x11110 + which) / datagram)
        translated = UDP(sport=7000 + 1 - which, dport=53) / datagram.payload
        after.append(IPv6(src=NODE, dst=SERVER, fl=0x11110 + which) / translated)
    first, second = write(tmp_path / "a.pcap", before, 2000), write(tmp_path / "b.pcap", after, 2000, start_us=30)
    found = paths(correlate_captures([f"n/docker0={first}", f"n/eth0={second}"]))
    assert [(path.hops[0].source[-5:], path.hops[1].source[-5:]) for path in found] == [
        (":6000", ":7001"), (":6001", ":7000")] * 10  # fmt: skip


def datagrams(source: str, destination: str, ids: list[int]) -> list:
    """Datagrams that are equal in the 64 bytes kept of them: only their checksums tell them apart."""
    return [
        IP(src=source, dst=destination, id=0, flags="DF") / UDP(sport=5000, dport=53) / (b"x" * 40 + b"%d" % number)
        for number in ids
    ]


def test_the_checksum_tells_payloads_apart_that_were_cut_off(tmp_path):
    """Behind NAT, and in the other order: the sum over all but addresses and ports is what stays."""
    before = write(tmp_path / "a.pcap", datagrams("172.17.0.2", "203.0.113.1", [1, 2, 3, 4]), 64)
    after = write(tmp_path / "b.pcap", datagrams("192.0.2.1", "203.0.113.1", [4, 3, 2, 1]), 64, start_us=10_000)
    found = paths(correlate_captures([f"n/docker0={before}", f"n/eth0={after}"]))
    assert [[hop.frame for hop in path.hops] for path in found] == [[1, 4], [2, 3], [3, 2], [4, 1]]
    assert all(path.rewrites for path in found)


@pytest.mark.parametrize("offloaded", ["sum of the pseudo header", "none"])
def test_a_checksum_that_is_not_there_yet_contradicts_nothing(offloaded, tmp_path):
    """What leaves by a device with checksum offload carries the sum of the pseudo header; UDP may have none at all."""
    packets = datagrams("172.17.0.2", "203.0.113.1", [1])
    length = len(packets[0][UDP])
    pseudo = inet_aton("172.17.0.2") + inet_aton("203.0.113.1") + struct.pack("!HH", 17, length)
    total = sum(struct.unpack("!6H", pseudo))
    field = (total & 0xFFFF) + (total >> 16) if offloaded != "none" else 0
    packets[0][UDP].chksum = field
    before = write(tmp_path / "a.pcap", packets, 64)
    after = write(tmp_path / "b.pcap", datagrams("192.0.2.1", "203.0.113.1", [1]), 64, start_us=10)
    (path,) = paths(correlate_captures([f"n/docker0={before}", f"n/eth0={after}"]))
    assert len(path.hops) == 2


def test_ipv6_pieces_with_another_identification_are_one_datagram_with_the_whole(tmp_path):
    """Whole on the bridge, in pieces on both wires: conntrack puts them together, and they are cut again with a new
    identification."""
    sizes = (3000, 3100, 3200)
    wholes = [
        IPv6(src=CLIENT, dst=VIRTUAL, fl=77)
        / UDP(sport=5000, dport=8000)
        / bytes(number % 250 for number in range(size))
        for size in sizes
    ]
    files = [f"a/docker0={write(tmp_path / 'a.pcap', wholes, 4000)}"]
    for number, (point, source, destination, port) in enumerate(
        (("a/eth0", NODE, VIRTUAL, 8000), ("b/eth0", NODE, SERVER, 9000)), 1
    ):
        pieces = []
        for index, whole in enumerate(wholes):
            behind = IPv6(src=source, dst=destination, fl=77, hlim=64 - number) / IPv6ExtHdrFragment()
            behind /= UDP(sport=5000, dport=port) / whole[UDP].payload
            for piece in fragment6(behind, 1280):
                piece[IPv6ExtHdrFragment].id = 1000 * number + index
                pieces.append(piece)
        files.append(f"{point}={write(tmp_path / f'{number}.pcap', pieces, 4000, start_us=30 * number)}")
    found = paths(correlate_captures(files))
    assert [len(path.hops) for path in found] == [7, 7, 7]
    assert all(
        {(r.field, r.evidence) for r in path.rewrites} == {("source", "inferred"), ("destination", "inferred")}
        for path in found
    )
