"""Which flows are put into one part."""

import numpy as np

from ttrace.correlate.in_parts.flow_groups import FlowGroups
from ttrace.correlate.in_parts.work_folder import WorkFolder


def test_flows_that_share_a_content_are_in_one_part_and_others_are_not():
    groups = FlowGroups(WorkFolder())
    pairs = np.arange(1, 101, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    numbers = groups.see(pairs, np.arange(100) * 1_000)
    groups.share(np.full(2, 77, np.uint64), numbers[[3, 90]])
    groups.share(np.full(40, 78, np.uint64), numbers[40:80])  # a scanner's SYN: it tells nothing
    found = groups.assign(1)
    groups.close()
    assert found.part[3] == found.part[90]
    assert found.parts == 99
    assert np.unique(found.part).size == 99
