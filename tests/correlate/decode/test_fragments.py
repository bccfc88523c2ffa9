"""Fragments take flow and ports from the first piece of their datagram."""

import numpy as np
import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.packet import Raw

from ttrace.correlate.decode.fragments import adopt_first_fragment, pieces_of
from ttrace.correlate.schema import NOTE_CUT, NOTE_NO_FLOW
from ttrace.pcapng.blocks import LinkType

from ..frames import dissect

DATA = bytes(UDP(sport=9, dport=10, chksum=1)) + bytes(64)


def piece(offset: int, *, number: int = 7, more: bool = True, destination: str = "10.0.0.2", size: int = 64) -> bytes:
    """A fragment of a datagram of 72 bytes; `offset` in units of 8 bytes."""
    header = IP(src="10.0.0.1", dst=destination, id=number, proto=17, frag=offset, flags="MF" if more else 0)
    return bytes(header / Raw(DATA[offset * 8 :][:size]))


def adopted(*packets: bytes) -> np.ndarray:
    """SIGHTING rows a microsecond apart, behind adopt_first_fragment."""
    rows = dissect(*packets, link_type=LinkType.RAW)
    rows["time_ns"] += np.arange(rows.size) * 1000
    adopt_first_fragment(rows)
    return rows


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "the later one first"])
def test_a_later_fragment_has_ports_and_flow_of_the_first(order):
    packets = [piece(0), piece(8, more=False)]
    rows = adopted(*(packets[k] for k in order))
    for column, value in (("source_port", 9), ("destination_port", 10), ("notes", 0)):
        assert rows[column].tolist() == [value, value]
    assert len(set(rows["flow"].tolist())) == len(set(rows["flow_reverse"].tolist())) == 1


def test_without_the_first_it_keeps_the_flow_of_its_addresses():
    alone, other = piece(8, more=False), piece(0, number=8)
    rows = adopted(alone, other)
    assert rows["source_port"].tolist() == [0, 9]
    assert rows["notes"].tolist() == [NOTE_NO_FLOW, 0]
    assert rows["flow"][0] == dissect(alone, link_type=LinkType.RAW)["flow"][0]


def test_an_id_that_comes_again_begins_a_new_datagram():
    again = bytes(
        IP(src="10.0.0.1", dst="10.0.0.2", id=7, proto=17, flags="MF") / UDP(sport=5, dport=6) / Raw(bytes(56))
    )
    rows = adopted(piece(0), piece(8, more=False), again, piece(8, more=False))
    assert rows["source_port"].tolist() == [9, 9, 5, 5]


def test_other_addresses_and_points_are_other_datagrams():
    rows = dissect(piece(0), piece(8, destination="10.0.0.3"), piece(8), link_type=LinkType.RAW)
    rows["place"] = [0, 0, 1]
    adopt_first_fragment(rows)
    assert rows["source_port"].tolist() == [9, 0, 0]


def test_a_first_fragment_that_was_cut_leaves_the_ports_unknown():
    rows = adopted(piece(0)[:24], piece(8, more=False))
    assert (rows["notes"] & NOTE_NO_FLOW != 0).all()
    assert rows["notes"][0] & NOTE_CUT


def test_later_pieces_over_udp_in_ipv6_are_known_by_the_first():
    def six(offset: int, data: bytes, more: int) -> bytes:
        head = IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrFragment(offset=offset, id=5, m=more, nh=17)
        return bytes(head / Raw(data))

    rows = adopted(six(0, DATA[:64], 1), six(8, DATA[64:], 0))
    assert rows["content"][0] == rows["content"][1]
    assert rows["payload"].tolist() == [0, 0]


def test_pieces_are_found_and_whole_datagrams_are_not():
    whole = bytes(IP() / UDP())
    rows = dissect(whole, piece(0), whole, piece(8, more=False), link_type=LinkType.RAW)
    assert pieces_of(rows).tolist() == [1, 3]
    assert pieces_of(rows[:1]).tolist() == []
