"""What is known of a file without its bytes: the same from all of it, and from a walk that keeps no packet."""

import pickle
from pathlib import Path

import pytest

from ttrace.correlate.nodes.file_facts import file_facts
from ttrace.correlate.nodes.snapshots import gather_snapshots
from ttrace.correlate.nodes.sources import parse_sources
from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.chunks import open_in_chunks
from ttrace.pcapng.read import read_capture

CAPTURES = sorted(str(file) for file in (Path(__file__).parents[3] / "pcaps").glob("*/master.pcapng"))


def facts_of(capture, records):
    return file_facts([capture], [records], gather_snapshots([capture], parse_sources([capture.path])))[0]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: Path(path).parent.name)
def test_they_are_the_same_in_pieces_and_after_a_way_elsewhere(path):
    whole, stream = read_capture(path), open_in_chunks(path)
    facts = facts_of(whole, whole.records.size)
    assert facts == facts_of(stream.capture, stream.size) == pickle.loads(pickle.dumps(facts))
    assert len(pickle.dumps(facts)) < 4_000


def test_capture_points_are_told_from_where_messages_and_snapshots_come_from():
    facts = facts_of(read_capture(CAPTURES[0]), 1)
    told = dict(zip((i.name for i in facts.interfaces), facts.captures_packets, strict=True))
    assert told["docker0"]
    assert not told["snapshot"]
    kinds = {i.link_type for i, captured in zip(facts.interfaces, facts.captures_packets, strict=True) if not captured}
    assert kinds == {LinkType.NETLINK, LinkType.WIRESHARK_UPPER_PDU}


def test_a_file_that_is_cut_says_so(tmp_path):
    path = tmp_path / "cut.pcapng"
    path.write_bytes(Path(CAPTURES[0]).read_bytes()[:-7])
    assert not facts_of(read_capture(CAPTURES[0]), 1).truncated
    assert facts_of(read_capture(path), 1).truncated
