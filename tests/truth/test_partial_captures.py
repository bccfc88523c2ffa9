"""Captures that see only a part: what ttrace can still tell, and what it must not claim."""

import pytest

from ttrace.lab import DockerLab, LightLab

from .judge import frame_errors, frames_of_paths, places, rewrites, with_port
from .rawfile import header_of, packets
from .scene import recorded
from .traffic import MASTER, SLAVE, Traffic

UDP, HTTP, LOCAL = 7001, 7002, 7003


@pytest.fixture(scope="module")
def lab():
    with LightLab("ttpart") as lab:
        yield lab


def record(lab, folder, port, *options, **places):
    """A request and a datagram to slave, from a port of this scene's own: conntrack remembers the earlier ones."""
    with recorded(lab, folder, *options, **places) as scene:
        traffic = Traffic(lab)
        traffic.http("web1", SLAVE, 8080, port)
        traffic.udp("web1", SLAVE, 9000, port)
        traffic.finish()
    assert frame_errors(scene.frames, frames_of_paths(scene.paths)) == []
    return with_port(scene.paths, port)


def test_without_tracing_conntrack_explains_the_rewrites(lab, tmp_path):
    paths = record(lab, tmp_path, 7101, "--no-trace")
    assert len(paths) >= 10
    for path in paths:
        assert len(places(path)) == 8
        forward = path["direction"] == "forward"
        assert [(r["field"], r["undo"]) for r in path["rewrites"]] == [
            ("source", not forward),
            ("destination", not forward),
        ]
        assert {(r["evidence"], r["rule"] and r["rule"]["text"]) for r in path["rewrites"]} == {("conntrack", None)}
        assert [hop for hop in path["hops"] if hop["kind"] == "chain"] == []


def test_docker0_alone_on_both_nodes_is_joined_across_them(lab, tmp_path):
    paths = record(lab, tmp_path, 7102, "--iface", "docker0", inside=False)
    assert len(paths) >= 10
    for path in paths:
        there = [("master", "root", "docker0", "in"), ("slave", "root", "docker0", "out")]
        back = [("slave", "root", "docker0", "in"), ("master", "root", "docker0", "out")]
        assert places(path) == (there if path["direction"] == "forward" else back)
        assert [(r["field"], r["kind"]) for r in path["rewrites"]] == (
            [("source", "masquerade"), ("destination", "dnat")]
            if path["direction"] == "forward"
            else [("source", "dnat"), ("destination", "masquerade")]
        )
        assert path["outcome"] == "delivered"


def test_one_node_alone_does_not_know_what_became_of_a_packet(lab, tmp_path):
    paths = record(lab, tmp_path, 7103, nodes=["master"])
    assert {(p["direction"], p["outcome"]) for p in paths} == {("forward", "unknown"), ("reply", "delivered")}
    assert {p["reason"]["kind"] for p in paths if p["direction"] == "forward"} == {"not-captured"}
    assert {tuple(rewrites(p)) for p in paths if p["direction"] == "forward"} == {
        (("master", "source", "masquerade", False),)
    }


def test_short_snaplen_finds_the_same_paths(lab, tmp_path):
    paths = record(lab, tmp_path, 7104, "--snaplen", "64")
    assert {len(places(path)) for path in paths} == {8}
    assert {len(path["rewrites"]) for path in paths} == {2}
    assert {path["outcome"] for path in paths} == {"delivered"}


def test_loopback_is_one_path_that_leaves_and_comes_back(lab, tmp_path):
    with recorded(lab, tmp_path, "--iface", "lo", nodes=["master"], inside=False) as scene:
        traffic = Traffic(lab)
        traffic.udp("master", "127.0.0.1", 9, 7105, answered=False)
        traffic.finish()
    (path,) = [p for p in with_port(scene.paths, 7105) if p["protocol"] == "udp"]
    assert places(path) == [("master", "root", "lo", "out"), ("master", "root", "lo", "in")]
    assert path["outcome"] == "delivered"
    assert path["rewrites"] == []


def test_legacy_iptables_rules_are_named(tmp_path):
    with LightLab("ttlegacy", iptables="iptables-legacy") as lab:
        paths = record(lab, tmp_path, 7106)
    (syn,) = [p for p in paths if p["info"] == "SYN"]
    assert [r["rule"]["text"] for r in syn["rewrites"]] == [
        "-A POSTROUTING -s 172.17.0.0/24 ! -o docker0 -j MASQUERADE",
        "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80",
    ]
    assert {r["evidence"] for r in syn["rewrites"]} == {"trace"}
    assert {len(path["rewrites"]) for path in paths} == {2}


@pytest.mark.parametrize("proxy", [True, False], ids=["proxy", "hairpin-nat"])
def test_a_container_that_calls_its_own_published_port(tmp_path, proxy):
    """docker-proxy makes a second connection; without it source and destination of one connection change."""
    with DockerLab("tthair", userland_proxy=proxy) as lab, recorded(lab, tmp_path, "--trace-limit", "0") as scene:
        page = lab.in_container("web1", ["wget", "-q", "-O", "-", f"http://{MASTER}:8080/"]).stdout
        assert page == "hello from web1\n"
    assert frame_errors(scene.frames, frames_of_paths(scene.paths)) == []
    syns = [p for p in scene.paths if p["info"] == "SYN" and places(p)]
    there = syns[0]
    assert {p["outcome"] for p in syns} == {"delivered"}
    if proxy:
        assert [len(p["rewrites"]) for p in syns] == [0, 0]
        assert [(place[2][:4], place[3]) for place in places(there)] == [
            ("eth0", "out"),
            ("veth", "in"),
            ("dock", "in"),
        ]
        assert [(place[2][:4], place[3]) for place in places(syns[1])] == [
            ("dock", "out"),
            ("veth", "out"),
            ("eth0", "in"),
        ]
    else:
        assert len(syns) == 1
        shown = [hop.get("interface") or hop["chain"] for hop in there["hops"]]
        assert [name[:4] if name.startswith("veth") else name for name in shown] == [
            "eth0", "veth", "PREROUTING", "docker0", "FORWARD", "POSTROUTING", "veth", "eth0",
        ]  # fmt: skip
        assert rewrites(there) == [("master", "destination", "dnat", False), ("master", "source", "masquerade", False)]
        (back,) = [p for p in scene.paths if p["info"] == "SYN,ACK" and p["connection"] == there["connection"]]
        assert rewrites(back) == [("master", "destination", "masquerade", True), ("master", "source", "dnat", True)]


def test_segments_of_a_super_packet_are_not_lost(tmp_path):
    """Without offloading at the uplinks, packets of up to 64 KiB on the bridge are cut into frames on the wire."""
    with LightLab("ttcut") as lab:
        for node in lab.nodes:
            lab.command(node, ["ethtool", "-K", "eth0", "tso", "off", "gso", "off", "gro", "off"])
        with recorded(lab, tmp_path, "--trace-limit", "0") as scene:
            traffic = Traffic(lab)
            traffic.http("web1", SLAVE, 8080, 7107, page="/large")
            traffic.finish()
    assert frame_errors(scene.frames, frames_of_paths(scene.paths)) == []
    at_nodes = [frame for frame in packets(scene.frames) if frame.point.netns == "root"]
    sizes = {
        (frame.point.interface, header_of(frame) is not None and header_of(frame).length > 1500) for frame in at_nodes
    }
    assert {("docker0", True), ("eth0", False)} <= sizes
    assert ("eth0", True) not in sizes
    assert {p["outcome"] for p in with_port(scene.paths, 7107)} == {"delivered"}
