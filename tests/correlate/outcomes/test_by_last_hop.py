"""What became of each packet: dropped by what, lost for certain, or unknown because the capture cannot tell."""

import pytest
from scapy.layers.inet import IP, TCP, UDP

from ..scene import (
    ETH0,
    IN,
    OUT,
    Node,
    at,
    correlate,
    docker_host,
    keep_recording,
    paths,
)

WEB1, HOST, FAR = "172.17.0.2", "192.0.2.1", "203.0.113.1"


def syn(source: str, destination: str, ip_id: int = 1, ttl: int = 64, dport: int = 80) -> IP:
    return IP(src=source, dst=destination, id=ip_id, ttl=ttl) / TCP(sport=1000, dport=dport, flags="S")


def syn_ack(source: str, destination: str) -> IP:
    return IP(src=source, dst=destination, id=2) / TCP(sport=80, dport=1000, flags="SA", ack=1)


def first(tmp_path, *nodes: Node):
    return paths(correlate(tmp_path, *nodes))[0]


def lost_inside(host: Node) -> None:
    host.see("veth1", IN, 1_000_000, syn(WEB1, FAR))
    host.see("docker0", IN, 1_000_005, syn(WEB1, FAR))
    keep_recording(host)


def test_came_in_and_never_left_with_every_way_out_captured_is_lost(tmp_path):
    host = docker_host()
    lost_inside(host)
    path = first(tmp_path, host)
    assert (path.outcome, path.reason.kind) == ("lost", "inside")


def test_one_way_out_that_is_not_captured_makes_it_unknown(tmp_path):
    host = docker_host()
    host.interface("eth1", 9, captured=False)
    lost_inside(host)
    path = first(tmp_path, host)
    assert (path.outcome, path.reason.kind) == ("unknown", "not-captured")


@pytest.mark.parametrize("shared", [{"other_macs": ["02:00:00:00:00:17"]}, {}])
def test_what_may_have_been_for_a_macvlan_child_is_not_lost_inside(shared, tmp_path):
    """A child in a container's namespace takes the frames of the interface it hangs on, where no capture sees them."""
    host = docker_host()
    host.netns("web2", container="web2")
    host.interface("eth0", 5, netns="web2", kind="macvlan" if not shared else None)
    host.change_link("eth0", netns="web2", peer_index=ETH0)
    host.change_link("eth0", **shared)
    host.see("eth0", IN, 1_000_000, syn(FAR, "192.0.2.77"))
    keep_recording(host)
    path = first(tmp_path, host)
    assert (path.outcome, path.reason.kind) == ("unknown", "not-captured")


def test_without_snapshots_nothing_is_lost_inside(tmp_path):
    host = docker_host()
    host.snapshots = False
    lost_inside(host)
    assert first(tmp_path, host).outcome == "unknown"


@pytest.mark.parametrize("point", ["eth0", "veth1", "docker0"])
def test_where_the_capture_lost_packets_it_is_unknown(point, tmp_path):
    host = docker_host()
    lost_inside(host)
    host.lost(point, 500_000, 0)
    host.lost(point, 1_500_000, 3)
    path = first(tmp_path, host)
    assert (path.outcome, path.reason.kind) == ("unknown", "capture-lost")


@pytest.mark.parametrize("counted", [True, False])
def test_a_capture_that_was_saved_again_without_its_counts_does_not_say_what_it_lost(counted, tmp_path):
    """`tshark -w` keeps the snapshots and drops the statistics, with which a capture that came to its end closes."""
    host = docker_host()
    lost_inside(host)
    host.snapshot("capture", {"started_ns": at(0), "ended_ns": at(9_000_000)}, moment="stop")
    for point in ("lo", "eth0", "veth1", "docker0"):
        if counted:
            host.lost(point, 9_000_000, 0)
    path = first(tmp_path, host)
    assert (path.outcome, path.reason.kind) == (("lost", "inside") if counted else ("unknown", "maybe-missed"))


def test_losses_at_another_time_do_not_excuse(tmp_path):
    host = docker_host()
    lost_inside(host)
    host.lost("eth0", 3_000_000, 0)
    host.lost("eth0", 4_000_000, 3)
    assert first(tmp_path, host).outcome == "lost"
    before = docker_host("before")
    lost_inside(before)
    before.lost("eth0", 100_000, 3)
    before.lost("eth0", 4_000_000, 3)
    assert first(tmp_path, before).outcome == "lost"


def two_hosts() -> tuple[Node, Node]:
    return docker_host("a", "192.0.2.1"), docker_host("b", "192.0.2.2")


def test_losses_of_the_node_beyond_make_it_unknown(tmp_path):
    a, b = two_hosts()
    a.see("eth0", OUT, 1_000_000, syn("192.0.2.1", "192.0.2.2"))
    b.see("lo", OUT, 0, IP(src="127.0.0.1", dst="127.0.0.1", id=7) / UDP())
    b.lost("eth0", 1_200_000, 9)
    keep_recording(a, b)
    path = paths(correlate(tmp_path, a, b))[1]
    assert (path.outcome, path.reason.kind) == ("unknown", "capture-lost")


@pytest.mark.parametrize("ends", [True, False], ids=["ends before", "begins after"])
def test_a_node_beyond_that_was_not_recording_makes_it_unknown(ends, tmp_path):
    a, b = two_hosts()
    a.see("eth0", OUT, 1_000_000, syn("192.0.2.1", "192.0.2.2"))
    keep_recording(a)
    b.snapshots = False
    b.see("lo", OUT, 10 if ends else 2_000_000, IP(src="127.0.0.1", dst="127.0.0.1", id=7) / UDP())
    found = paths(correlate(tmp_path, a, b))
    (path,) = [p for p in found if p.protocol == "tcp"]
    assert path.outcome == "unknown"


def test_left_for_where_nothing_is_captured_is_unknown(tmp_path):
    host = docker_host()
    host.see("eth0", OUT, 0, syn(HOST, FAR))
    keep_recording(host)
    path = first(tmp_path, host)
    assert (path.outcome, path.reason.kind) == ("unknown", "not-captured")


def test_a_ttl_of_one_is_enough_for_the_node_itself(tmp_path):
    host = docker_host()
    host.see("eth0", IN, 0, syn(FAR, HOST, ttl=1))
    path = first(tmp_path, host)
    assert (path.outcome, path.reason.kind) == ("unknown", "unanswered")


def test_an_untraced_packet_at_its_destination_is_delivered_only_if_it_is_answered(tmp_path):
    silent = docker_host("silent")
    silent.see("eth0", IN, 0, syn(FAR, HOST))
    assert (first(tmp_path, silent).outcome, first(tmp_path, silent).reason.kind) == ("unknown", "unanswered")
    answering = docker_host("answering")
    answering.see("eth0", IN, 0, syn(FAR, HOST))
    answering.see("eth0", OUT, 30, syn_ack(HOST, FAR))
    path = first(tmp_path, answering)
    assert (path.outcome, path.delivered_to, path.reason) == ("delivered", "answering", None)


def test_delivered_into_a_container_is_told_by_its_name(tmp_path):
    inside = docker_host("inside", inside=True)
    inside.see("veth1", OUT, 0, syn(FAR, WEB1))
    inside.see("eth0", IN, 1, syn(FAR, WEB1), netns="web1")
    outside = docker_host("outside")
    outside.see("veth1", OUT, 0, syn(FAR, WEB1))
    for host in (inside, outside):
        host.see("veth1", IN, 30, syn_ack(WEB1, FAR))
    for host in (inside, outside):
        path = first(tmp_path, host)
        assert (path.outcome, path.delivered_to) == ("delivered", "web1")


@pytest.mark.parametrize("inside", [True, False])
def test_what_came_to_a_container_that_never_answers_is_unknown(inside, tmp_path):
    """The same whether the container was captured or not."""
    host = docker_host(inside=inside)
    host.see("veth1", OUT, 0, syn(FAR, WEB1))
    if inside:
        host.see("eth0", IN, 1, syn(FAR, WEB1), netns="web1")
    path = first(tmp_path, host)
    assert (path.outcome, path.reason.kind) == ("unknown", "unanswered")


@pytest.mark.parametrize(
    ("last_chain", "answered", "expected"),
    [
        (True, True, ("delivered", None)), (True, False, ("unknown", "unanswered")),
        (False, False, ("unknown", "unproven")),
    ],
)  # fmt: skip
def test_let_in_by_the_input_hook_is_delivered_where_all_its_chains_passed_it(last_chain, answered, expected, tmp_path):
    packet = syn(FAR, HOST)
    host = docker_host()
    host.trace(5, packet, "INPUT", iif=ETH0)
    if last_chain:
        host.trace(6, packet, "input_last", family="inet", table="ttrace", iif=ETH0)
    if answered:
        host.see("eth0", OUT, 30, syn_ack(HOST, FAR))
    path = first(tmp_path, host)
    assert (path.outcome, path.reason.kind if path.reason else None) == expected
    assert path.delivered_to == ("host" if answered else None)


def test_out_of_a_bridge_none_of_whose_captured_ports_sent_it_is_lost(tmp_path):
    host = docker_host()
    host.see("docker0", OUT, 0, syn(FAR, WEB1))
    keep_recording(host)
    path = first(tmp_path, host)
    assert path.outcome == "lost"
