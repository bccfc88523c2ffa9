"""Captures of several nodes in one file: taken apart, or refused in one line."""

from collections import Counter
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP

from ttrace.correlate import correlate_captures
from ttrace.correlate.explain.frame_reference import find_frame
from ttrace.correlate.result.values import ChainHop, InterfaceHop
from ttrace.correlate.summaries.one_file import describe_capture
from ttrace.errors import TtraceError
from ttrace.tests.correlate.same_in_parts import assert_same_in_parts
from ttrace.tests.correlate.scene import IN, OUT, Node, paths
from ttrace.tests.other_hands import PACKET, SECTION, blocks_of, joined, merged, saved, split, tcp_frames, write

RECORDED = [Path(__file__).parents[3] / "pcaps" / "docker-http" / f"{node}.pcapng" for node in ("master", "slave")]


def told(result) -> Counter:
    """What is said of each packet, without the numbers of its frames, which the files give it."""
    return Counter(
        (
            path.info,
            path.outcome,
            tuple(
                (hop.node, hop.netns, hop.interface, hop.direction, hop.source, hop.destination)
                if isinstance(hop, InterfaceHop)
                else (hop.node, hop.netns, hop.chain, tuple(rule.text for rule in hop.rules))
                for hop in path.hops
                if isinstance(hop, InterfaceHop | ChainHop)
            ),
            tuple((r.node, r.field, r.old, r.new, r.kind, r.undo, r.rule and r.rule.text) for r in path.rewrites),
        )
        for path in paths(result)
        if path.protocol == "tcp"
    )


@pytest.fixture(scope="module")
def apart() -> Counter:
    """The two files as they were recorded."""
    return told(correlate_captures([str(path) for path in RECORDED]))


@pytest.mark.parametrize("merge", [merged, joined])
@pytest.mark.parametrize("turned", [False, True])
def test_two_nodes_in_one_file_are_taken_apart(tmp_path, apart, merge, turned):
    file = merge(RECORDED[::-1] if turned else RECORDED, tmp_path / "m.pcapng")
    result = correlate_captures([file])
    assert_same_in_parts([file], result)
    assert told(result) == apart
    assert sorted(node for node in result.topology.nodes) == ["master", "slave"]
    assert [description.node for description in describe_capture(file)] == list(result.topology.nodes)


def test_frames_keep_their_numbers(tmp_path):
    file = merged(RECORDED, tmp_path / "m.pcapng")
    result = correlate_captures([file])
    records = result.opened[0].records
    for path in paths(result):
        for hop in path.hops:
            if isinstance(hop, InterfaceHop):
                interface = result.opened[0].interfaces[records[hop.frame - 1]["interface"]]
                other = result.opened[1].interfaces[records[hop.frame - 1]["interface"]]
                assert hop.interface in (interface.name, other.name)
                row = find_frame(result, f"m.pcapng:{hop.frame}")
                assert (result.sightings[row]["frame"], result.hop_of(row)) == (hop.frame, hop)
    (hop, *_) = paths(result)[-1].hops
    assert find_frame(result, str(hop.frame)) == find_frame(result, f"{file}:{hop.frame}")


def test_pieces_of_nodes_that_are_merged_again(tmp_path, apart):
    pieces = [piece for path in RECORDED for piece in split(path, tmp_path, 100)]
    file = merged(pieces, tmp_path / "m.pcapng")
    result = correlate_captures([file])
    assert_same_in_parts([file], result)
    assert told(result) == apart


def test_one_node_merged_of_pieces_has_its_own_name(tmp_path):
    file = merged(split(RECORDED[0], tmp_path, 120), tmp_path / "m.pcapng")
    assert list(correlate_captures([file]).topology.nodes) == ["master"]


def test_a_node_of_which_only_packets_are_left(tmp_path, apart):
    """Its name is gone with its snapshots; it is a node of its own all the same, without the rules of the other."""
    rest = saved(RECORDED[1], tmp_path / "s.pcapng", tcp_frames)
    file = merged([RECORDED[0], rest], tmp_path / "m.pcapng")
    result = correlate_captures([file])
    assert_same_in_parts([file], result)
    assert list(result.topology.nodes) == ["master", "m-2"]
    seen = [path for path in paths(result) if path.protocol == "tcp"]
    assert len(seen) == sum(apart.values())
    for path in seen:
        assert path.outcome not in ("lost", "dropped")
        assert len({(r.old, r.new) for r in path.rewrites}) == 2
        assert all(r.rule is None for r in path.rewrites if r.node == "m-2")


def small(name: str, *, boot_id: str | None = None, snapshots: bool = True, inode: int = 1) -> Node:
    node = Node(name, boot_id=boot_id, snapshots=snapshots, inode=inode)
    node.interface("eth0", 2, addresses=["192.0.2.1"])
    node.listen()
    return node


def test_nodes_with_equal_inodes_are_told_apart_by_their_snapshots(tmp_path):
    """Machines with the same kernel number their first namespace alike."""
    nodes = [small(name, boot_id=name) for name in ("one", "two", "three")]
    packet = IP(src="192.0.2.1", dst="192.0.2.9", id=5) / UDP(sport=5, dport=6)
    for number, node in enumerate(nodes):
        packet.ttl = 64 - number
        node.see("eth0", IN if number else OUT, 10 * number, packet)
    file = merged([node.write(tmp_path) for node in nodes], tmp_path / "m.pcapng")
    result = correlate_captures([file])
    assert_same_in_parts([file], result)
    (path,) = paths(result)
    assert [hop.node for hop in path.hops] == ["one", "two", "three"]


def test_machines_of_one_name_are_two(tmp_path):
    nodes = [small("same", boot_id="a"), small("same", boot_id="b")]
    files = []
    for number, node in enumerate(nodes):
        (tmp_path / str(number)).mkdir()
        node.see("eth0", OUT, number, IP(src="192.0.2.1", dst="192.0.2.9", id=5) / UDP(sport=5, dport=6))
        files.append(node.write(tmp_path / str(number)))
    result = correlate_captures([merged(files, tmp_path / "m.pcapng")])
    assert list(result.topology.nodes) == ["same", "same-2"]


def test_plain_captures_beside_a_ttrace_capture_are_a_node_of_their_own(tmp_path):
    node = small("node")
    node.see("eth0", OUT, 0, IP(src="192.0.2.1", dst="192.0.2.9", id=5) / UDP(sport=5, dport=6))
    plain = saved(node.write(tmp_path), tmp_path / "p.pcapng", lambda link_type, _: link_type == 101)
    data = Path(plain).read_bytes()
    Path(plain).write_bytes(data.replace(b'{"netns"', b'#"netns"').replace(b'{"ttrace"', b'#"ttrace"'))
    file = merged([node.write(tmp_path), plain], tmp_path / "m.pcapng")
    assert list(correlate_captures([file]).topology.nodes) == ["node", "m"]


def test_what_cannot_be_told_apart_is_refused(tmp_path):
    """Snapshots of two nodes at one interface: merged by somebody who took equal descriptions for one interface."""
    one, two = small("one", boot_id="1"), small("two", boot_id="2")
    for node in (one, two):
        node.see("eth0", OUT, 0, IP(src="192.0.2.1", dst="192.0.2.9", id=5) / UDP(sport=5, dport=6))
    first, second = one.write(tmp_path), two.write(tmp_path)
    mixed = tmp_path / "m.pcapng"
    head = [block for block in blocks_of(first) if block[0] not in (PACKET, SECTION)]
    section = blocks_of(merged([], tmp_path / "empty.pcapng"))
    write(mixed, section + head + [b for file in (first, second) for b in blocks_of(file) if b[0] == PACKET])
    with pytest.raises(TtraceError, match=r"several nodes \(one, two\)") as refused:
        correlate_captures([str(mixed)])
    assert "one by one" in refused.value.hint
    with pytest.raises(TtraceError, match=r"called one: `x`"):
        correlate_captures([f"x={merged(RECORDED, tmp_path / 'r.pcapng')}"])
