"""How long the loop may sleep."""

from types import SimpleNamespace

from ttrace.capture.stream.pauses import longest_pause_ns
from ttrace.tests.capture.kernels.made_up import BLOCK_BYTES, made_up


def test_the_longest_pause_is_what_the_smallest_buffer_can_take():
    """At half a GiB a second."""
    rings = made_up([[], []]).rings
    stamped, large = SimpleNamespace(stamps=1, buffer_bytes=1 << 16), SimpleNamespace(stamps=1, buffer_bytes=1 << 30)
    assert longest_pause_ns(rings, [large]) == 4 * BLOCK_BYTES * 1_000_000_000 // (1 << 29)
    assert longest_pause_ns(rings, [large, stamped]) == (1 << 16) * 1_000_000_000 // (1 << 29)


def test_messages_with_the_time_of_their_receipt_allow_no_pause():
    assert longest_pause_ns(made_up([[]]).rings, [SimpleNamespace(stamps=None, buffer_bytes=1 << 25)]) == 0
