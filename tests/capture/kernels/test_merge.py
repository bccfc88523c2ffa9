"""What all rings and inboxes hold is written by time, and what is written is given back."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ttrace.capture.kernels.merge import is_urgent
from ttrace.capture.kernels.messages import keep_datagrams
from ttrace.pcapng.blocks import NETLINK_HEADER
from ttrace.pcapng.write import enhanced_packet

from .made_up import WAITING_BYTES, Packet, made_up, message, put_datagrams, statuses, written

TRACE = 0x0A11


def packet(time_ns: int, size: int = 60) -> Packet:
    return Packet(time_ns=time_ns, data=time_ns.to_bytes(8, "little").ljust(size, b"."))


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from((60, 1514, 5000))), max_size=24), st.data())
@settings(max_examples=60, deadline=None)
def test_packets_and_messages_are_written_by_time(arrivals, data):
    """Each arrival is at a ring (0 to 2) or the inbox (3), a microsecond after the one before."""
    rings: list[list[Packet]] = [[], [], []]
    expected, messages = b"", []
    for number, (inlet, size) in enumerate(arrivals):
        time_ns = 1_000_000 + 1_000 * number
        if inlet < 3:
            rings[inlet].append(packet(time_ns, size))
            expected += rings[inlet][-1].block(inlet)
        else:
            messages.append((time_ns, message(TRACE, bytes([number]) * (size % 50))))
            text = NETLINK_HEADER + messages[-1][1]
            expected += enhanced_packet(interface=3, time_ns=time_ns, data=text)
    in_block = data.draw(st.integers(1, 5))
    filled = [[part[at : at + in_block] for at in range(0, len(part), in_block)] for part in rings]
    intake = made_up(filled, blocks=24, inboxes=1)
    for time_ns, text in messages:
        put_datagrams(intake, 0, [text])
        keep_datagrams(intake, 0, 1, time_ns, 0)
    assert written(intake) == expected


def test_nothing_later_than_the_horizon_is_written():
    intake = made_up([[[packet(1_000), packet(3_000)]], [[packet(2_000), packet(4_000)]]])
    assert written(intake, horizon_ns=2_500) == packet(1_000).block(0) + packet(2_000).block(1)
    assert [statuses(intake, ring) for ring in (0, 1)] == [[1, 0, 0, 0]] * 2
    assert written(intake, horizon_ns=3_000) == packet(3_000).block(0)
    assert [statuses(intake, ring)[0] for ring in (0, 1)] == [0, 1]


def test_the_packet_limit_is_of_all_rings_and_messages_go_with_it():
    intake = made_up([[[packet(1_000), packet(3_000)]], [[packet(2_000), packet(4_000)]]])
    expected = packet(1_000).block(0) + packet(2_000).block(1) + packet(3_000).block(0)
    assert written(intake, limit=3) == expected


def test_a_ring_that_is_full_all_the_way_round_is_read_once():
    blocks = [[packet(1_000 * number)] for number in range(1, 5)]
    intake = made_up([blocks])
    assert written(intake) == b"".join(packets[0].block(0) for packets in blocks)
    assert statuses(intake, 0) == [0, 0, 0, 0]
    assert written(intake) == b""


def test_more_pieces_than_one_write_takes_are_written_in_their_order():
    """Packets that are not copied are pieces of their own, of which a writev takes 1,024."""
    blocks = [[packet(1_000 * (6 * block + number), 5_000) for number in range(6)] for block in range(400)]
    intake = made_up([blocks], blocks=400)
    assert written(intake) == b"".join(one.block(0) for packets in blocks for one in packets)


def test_half_a_ring_or_half_an_inbox_is_urgent():
    assert not is_urgent(made_up([[[packet(1)], [packet(2)]]], inboxes=1))
    assert is_urgent(made_up([[[packet(1)], [packet(2)], [packet(3)]]], inboxes=1))
    intake = made_up([[]], inboxes=1)
    put_datagrams(intake, 0, [message(TRACE, bytes(32_000))] * 128)
    for _ in range(WAITING_BYTES // 2 // 32_000 // 128 + 1):
        assert not is_urgent(intake)
        keep_datagrams(intake, 0, 128, np.int64(1), 0)
    assert is_urgent(intake)
    assert len(written(intake)) > WAITING_BYTES // 2
    assert not is_urgent(intake)
