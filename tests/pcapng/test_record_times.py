"""When the records of a file were captured."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.capture_file import RECORD, CaptureFile, Interface, of_snapshots
from ttrace.pcapng.record_times import RecordTimes

PACKETS = Interface(name="eth0", link_type=LinkType.ETHERNET, snaplen=0, units_per_second=10**9)
SNAPSHOTS = replace(PACKETS, name="snapshot", facts={"what": "snapshot"})
MALFORMED = 0xFFFFFFFF


def capture(*records: tuple[int, int]) -> CaptureFile:
    """A file with records of (time, interface)."""
    rows = np.zeros(len(records), RECORD)
    rows["time_ns"], rows["interface"] = np.array(records, np.int64).reshape(-1, 2).T
    return CaptureFile(path="x", data=np.empty(0, np.uint8), records=rows, interfaces=[PACKETS, SNAPSHOTS])


def test_snapshots_say_nothing_of_what_was_captured():
    times = RecordTimes.of(capture((5, 1), (7, 0), (6, 0), (9, 1)))
    assert (times.size, times.first_ns, times.span_ns) == (4, 5, (6, 7))


def test_a_file_of_snapshots_alone_has_no_span():
    times = RecordTimes.of(capture((5, 1)))
    assert (times.size, times.first_ns, times.span_ns) == (1, 5, None)
    assert RecordTimes.of(capture()).size == 0


def test_what_is_malformed_is_no_snapshot():
    file = capture((5, MALFORMED), (6, 1))
    assert of_snapshots(file.records, file.interfaces).tolist() == [False, True]
    assert RecordTimes.of(file).span_ns == (5, 5)


@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from([0, 1, MALFORMED])), max_size=20), st.integers(1, 7))
def test_pieces_say_what_the_file_says(records, size):
    file, times = capture(*records), RecordTimes()
    for begin in range(0, len(records), size):
        times.see(file.records[begin : begin + size], file.interfaces)
    assert vars(times) == vars(RecordTimes.of(file))
