"""Packets of a ring become the blocks that the plain writer (`pcapng.write`) makes of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .made_up import Packet, made_up, written

TIME_NS = 1_700_000_000_123_456_789
SIZES = (0, 1, 3, 14, 59, 60, 1514, 4095, 4096, 4097, 4098, 9001)
"""From 4,096 bytes on, packets are not copied."""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tag", [None, (None, 42), (0x88A8, 0xE123)])
@pytest.mark.parametrize("ethernet", [True, False])
def test_a_packet_is_the_block_of_the_plain_writer(size, tag, ethernet):
    packet = Packet(
        time_ns=TIME_NS, data=bytes(range(256)) * (size // 256) + bytes(range(size % 256)),
        length=size + 7 if size else 0, outgoing=size % 2 == 1, tag=tag,
    )  # fmt: skip
    intake = made_up([[[packet]]], ethernet=ethernet)
    assert written(intake) == packet.block(0, ethernet=ethernet)


def packets() -> st.SearchStrategy[list[Packet]]:
    """A block's packets, in the order of their times."""
    packet = st.builds(
        Packet,
        time_ns=st.integers(0, (2**32 - 1) * 1_000_000_000),
        data=st.one_of(st.binary(max_size=80), st.sampled_from(SIZES).map(lambda size: b"\xa5" * size)),
        outgoing=st.booleans(),
        tag=st.none() | st.tuples(st.none() | st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    ).filter(lambda packet: len(packet.data) != 12)  # both addresses and nothing else is no frame
    return st.lists(packet, max_size=3).map(lambda found: sorted(found, key=lambda packet: packet.time_ns))


@given(st.lists(packets(), max_size=3))
@settings(max_examples=60, deadline=None)
def test_any_packets_of_one_ring_are_written_in_its_order(blocks):
    expected = b"".join(packet.block(0) for block in blocks for packet in block)
    assert written(made_up([blocks])) == expected
