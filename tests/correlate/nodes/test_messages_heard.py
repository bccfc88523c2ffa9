"""Conntrack is recorded where its messages are: what was saved through a filter is a plain capture with names."""

from pathlib import Path

import pytest

from ttrace.correlate import correlate_captures
from ttrace.pcapng.blocks import LinkType
from ttrace.tests.correlate.same_in_parts import assert_same_in_parts
from ttrace.tests.correlate.scene import paths
from ttrace.tests.other_hands import saved, tcp_frames

RECORDED = [Path(__file__).parents[3] / "pcaps" / "docker-http" / f"{node}.pcapng" for node in ("master", "slave")]
TRACE, CONNTRACK = 10, 1


def subsystem(link_type: int, data: bytes) -> int | None:
    return data[21] if link_type == LinkType.NETLINK else None


KEPT = {
    "-Y tcp": lambda link_type, data: tcp_frames(link_type, data),
    "with the trace, without conntrack": lambda link_type, data: (
        tcp_frames(link_type, data) or subsystem(link_type, data) == TRACE
    ),
    "with snapshots": lambda link_type, data: tcp_frames(link_type, data) or link_type == LinkType.WIRESHARK_UPPER_PDU,
    "with conntrack alone": lambda link_type, data: (
        tcp_frames(link_type, data) or subsystem(link_type, data) == CONNTRACK
    ),
}


@pytest.mark.parametrize("keep", KEPT)
def test_what_a_filter_left_is_enough_to_follow_every_packet(tmp_path, keep):
    files = [saved(path, tmp_path / path.name, KEPT[keep]) for path in RECORDED]
    result = correlate_captures(files)
    assert_same_in_parts(files, result)
    seen = [path for path in paths(result) if path.protocol == "tcp"]
    assert len(seen) == 10
    for path in seen:
        assert len({(hop.node, hop.netns, hop.interface) for hop in path.hops if hasattr(hop, "frame")}) == 8
        assert {rewrite.field for rewrite in path.rewrites} == {"source", "destination"}
        assert path.outcome not in ("lost", "dropped")
    assert len({path.connection for path in seen}) == 1


@pytest.mark.parametrize(
    "keep",
    [lambda link_type, _: link_type == LinkType.NETLINK, lambda link_type, _: link_type == 252, lambda *_: False],
    ids=["messages", "snapshots", "nothing"],
)
def test_nothing_but_messages_or_nothing_at_all_is_no_error(tmp_path, keep):
    files = [saved(path, tmp_path / path.name, keep) for path in RECORDED]
    result = correlate_captures(files)
    assert_same_in_parts(files, result)
    assert not [path for path in paths(result) if path.outcome == "lost"]


def test_a_namespace_is_informed_by_messages_or_by_statistics(tmp_path):
    def informed(path: str) -> list[bool]:
        return [namespace.has_conntrack for namespace in correlate_captures([path]).topology.namespaces]

    assert informed(str(RECORDED[0])) == [True, True]  # web1 had none, and the statistics say so
    assert informed(saved(RECORDED[0], tmp_path / "a.pcapng", lambda *_: True)) == [True, False]
    assert informed(saved(RECORDED[0], tmp_path / "b.pcapng", tcp_frames)) == [False, False]
