"""What the capture itself lost."""

from scapy.layers.inet import IP, TCP

from ttrace.report.telling import Telling

from ..scene import IN, OUT, Node, correlate, docker_host, keep_recording


def cut_short(lost: int) -> Node:
    """A segment that is last seen at the bridge; the capture lost something at the port behind it, or did not."""
    host = docker_host(inside=True)
    host.change_link("veth1", peer_index=2)
    for number, (flags, way) in enumerate([("S", OUT), ("SA", IN), ("A", OUT)]):
        back = way == IN
        ends = ("172.17.0.2", "172.17.0.1", 80, 1000) if back else ("172.17.0.1", "172.17.0.2", 1000, 80)
        packet = IP(src=ends[0], dst=ends[1], id=number + 1) / TCP(sport=ends[2], dport=ends[3], flags=flags)
        for step, (name, netns) in enumerate([("docker0", "root"), ("veth1", "root"), ("eth0", "web1")]):
            inside = {IN: OUT, OUT: IN}[way] if netns == "web1" else way
            host.see(name, inside, 100 * number + (2 - step if back else step), packet, netns=netns)
    data = IP(src="172.17.0.1", dst="172.17.0.2", id=9) / TCP(sport=1000, dport=80, flags="PA", seq=1) / b"question"
    host.see("docker0", OUT, 1000, data)
    host.lost("docker0", 4_000_000, 0)
    host.lost("eth0", 4_000_000, 0, netns="web1")
    host.lost("veth1", 4_000_000, lost)
    keep_recording(host)
    return host


def test_what_was_lost_and_what_that_leaves_open(tmp_path):
    found = Telling.chosen(correlate(tmp_path, cut_short(4))).head[0]
    (one,) = (one for one in found if one.kind == "capture_lost")
    assert one.severity == "notice"
    assert one.text == (
        "the capture, not the network, lost 4 packets at host veth1: what became of 1 packet of tcp 172.17.0.1:1000 "
        "(host) -> 172.17.0.2:80 (web1) is not known, last seen at host docker0 out"
    )
    assert one.evidence[0].what == "counter"


def test_a_capture_that_lost_nothing_is_not_to_blame(tmp_path):
    found = Telling.chosen(correlate(tmp_path, cut_short(0))).head[0]
    assert "capture_lost" not in [one.kind for one in found]
