"""Until when every packet of the rings is handed over."""

from ttrace.capture.kernels.rings import settled_until
from ttrace.capture.sockets.buffers import HOLD_BACK_NS

from .made_up import BLOCK_BYTES, Packet, fill_block, made_up

NOW_NS = 1_700_000_000_000_000_000
LATE_NS = 10_000_000


def test_with_nothing_in_the_block_being_filled_all_is_settled_but_what_is_on_its_way():
    assert settled_until(made_up([]), NOW_NS) == NOW_NS - LATE_NS
    intake = made_up([[[Packet(time_ns=1, data=b"x")]], []])
    assert settled_until(intake, NOW_NS) == NOW_NS - LATE_NS


def test_a_block_being_filled_holds_back_what_is_younger_than_its_beginning():
    intake = made_up([[], []])
    packets = [Packet(time_ns=NOW_NS - 50_000_000, data=b"x")]
    fill_block(intake, 4 * BLOCK_BYTES, packets, status=0, opened_ns=NOW_NS - 60_000_000)
    assert settled_until(intake, NOW_NS) == NOW_NS - 60_000_000 - LATE_NS


def test_no_block_holds_back_longer_than_the_kernel_keeps_one():
    intake = made_up([[]])
    fill_block(intake, 0, [Packet(time_ns=1, data=b"x")], status=0, opened_ns=NOW_NS - 900_000_000)
    assert settled_until(intake, NOW_NS) == NOW_NS - HOLD_BACK_NS
