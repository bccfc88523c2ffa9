"""What waits in the feed when another file begins."""

from ttrace.capture.sockets.arena import Arena
from ttrace.capture.sockets.netfilter import WAITING_BYTES
from ttrace.capture.stream.feed import Feed
from ttrace.capture.stream.output import OutputFile
from ttrace.capture.stream.ready import kernels
from ttrace.pcapng.write import enhanced_packet

EARLIER_NS, LATER_NS = 1_000_000_000, 2_000_000_000


def snapshot(interface: int, time_ns: int) -> bytes:
    return enhanced_packet(interface=interface, time_ns=time_ns, data=b"a snapshot")


def test_a_snapshot_that_waits_is_of_the_interface_that_the_next_file_has_for_it(tmp_path):
    arena = Arena(buffer_bytes=WAITING_BYTES)
    with OutputFile(str(tmp_path / "1")) as first, OutputFile(str(tmp_path / "2")) as second:
        feed = Feed(kernels(), arena, first, [], [], None, snapshots=3)
        feed.add(snapshot(3, EARLIER_NS))
        feed.write_until(EARLIER_NS)
        feed.add(snapshot(3, LATER_NS))
        feed.go_on_in(second, [], [-1, 2])
        feed.add(snapshot(2, LATER_NS))
        feed.go_on_in(second, [], [-1, 4])
        feed.write_until(LATER_NS)
        feed.close()
        for output in (first, second):
            output.begin()
    arena.close()
    assert (tmp_path / "1").read_bytes() == snapshot(3, EARLIER_NS)
    assert (tmp_path / "2").read_bytes() == 2 * snapshot(4, LATER_NS)
