"""A real VXLAN between the two nodes: containers talk through it, and both nodes are captured."""

import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.result.values import ChainHop, InterfaceHop
from ttrace.lab import LightLab
from ttrace.lab.namespace import ip_batch

from .scene import recorded

VNI, PORT = 42, 4799
PING = 77
UNDERLAY = {"master": "192.168.77.1", "slave": "192.168.77.2"}


def add_vxlan(lab: LightLab) -> None:
    """vxlan0 on both nodes, and the route to the other's containers through it; no masquerading there."""
    for number, (name, node) in enumerate(lab.nodes.items(), start=1):
        other = next(n for n in lab.nodes if n != name)
        subnet = lab.nodes[other].bridge_address.rsplit(".", 1)[0] + ".0/24"
        ip_batch(
            node.netns,
            [
                f"link add vxlan0 type vxlan id {VNI} local {UNDERLAY[name]} remote {UNDERLAY[other]} dstport {PORT}",
                f"address add 10.99.0.{number}/24 dev vxlan0",
                "link set vxlan0 up",
                f"route replace {subnet} via 10.99.0.{3 - number}",
            ],
        )
        for argv in (
            ["iptables", "-I", "FORWARD", "-j", "ACCEPT"],
            ["iptables", "-t", "nat", "-I", "POSTROUTING", "-o", "vxlan0", "-j", "ACCEPT"],
        ):
            lab.command(name, argv)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    with LightLab("ttvxlan") as lab:
        add_vxlan(lab)
        with recorded(lab, tmp_path_factory.mktemp("vxlan"), "--trace-limit", "0") as scene:
            address = lab.container("web2").address
            lab.in_container("web1", ["ping", "-q", "-c", "3", "-i", "0.05", "-e", str(PING), address])
            lab.in_container("web1", ["curl", "-sS", "-m", "10", f"http://{address}/"])
    return correlate_captures([str(f) for f in scene.files])


def test_the_way_of_every_packet_between_the_containers(result):
    mine = [p for n in range(1, result.packets.count + 1) if (p := result.path(n)).protocol in ("icmp", "tcp")]
    assert len(mine) > 10
    for path in mine:
        frames = [h for h in path.hops if isinstance(h, InterfaceHop)]
        root = [(h.node, h.interface, h.direction, h.encapsulation is not None) for h in frames if h.netns == "root"]
        assert path.rewrites == (), path
        assert path.outcome == "delivered"
        first, last = ("master", "slave") if path.forward else ("slave", "master")
        assert [step for step in root if not step[1].startswith("veth")] == [
            (first, "docker0", "in", False),
            (first, "vxlan0", "out", False),
            (first, "eth0", "out", True),
            (last, "eth0", "in", True),
            (last, "vxlan0", "in", False),
            (last, "docker0", "out", False),
        ]
        tunnel = next(h.encapsulation for h in frames if h.encapsulation)
        assert (tunnel.kind, tunnel.id) == ("VXLAN", VNI)
        assert tunnel.source.startswith(UNDERLAY[first])
        assert tunnel.destination == f"{UNDERLAY[last]}:{PORT}"


def test_the_chains_that_saw_the_outer_header_are_in_its_path(result):
    found = 0
    for number in range(1, result.packets.count + 1):
        path = result.path(number)
        if path.protocol != "icmp":
            continue
        chains = [(h.node, h.hook, f":{PORT}" in h.destination) for h in path.hops if isinstance(h, ChainHop)]
        hooks = list(dict.fromkeys(chains))
        first, last = ("master", "slave") if path.forward else ("slave", "master")
        assert (first, "output", True) in hooks
        assert (last, "input", True) in hooks
        order = [
            hooks.index(step)
            for step in (
                (first, "forward", False),
                (first, "output", True),
                (last, "input", True),
                (last, "forward", False),
            )
        ]
        assert order == sorted(order)
        found += 1
    assert found == 6


def test_no_outer_packet_is_left_over(result):
    leftover = [n for n in range(1, result.packets.count + 1) if result.path(n).protocol == "udp"]
    assert [result.path(n) for n in leftover] == []


def test_it_is_said_in_the_text(result):
    from ttrace.correlate.result.select import select
    from ttrace.report import render

    text = "".join(render(result, select(result), "text"))
    assert f"in VXLAN {VNI} {UNDERLAY['master']}:" in text
