"""What the capture itself lost."""

from scapy.layers.inet import IP, TCP

from ttrace.report.telling import Telling

from ..scene import IN, OUT, Node, correlate, docker_host, keep_recording
from .told import findings_of, of_kind


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


def test_what_others_lost_has_nothing_to_do_with_it(tmp_path):
    """Neither another node, nor the container, at which the packet would have come later."""
    host, other = cut_short(4), Node("other")
    other.interface("eth0", 2, addresses=["192.0.2.9"])
    other.see("eth0", IN, 900, IP(src="192.0.2.8", dst="192.0.2.9", id=1) / TCP(sport=5, dport=6, flags="A"))
    other.lost("eth0", 4_000_000, 99)
    host.lost("eth0", 4_100_000, 7, netns="web1")
    keep_recording(other)
    (one,) = of_kind(findings_of(tmp_path, host, other), "capture_lost")
    assert one.text.startswith("the capture, not the network, lost 4 packets at host veth1: what became of 1 packet")
    assert [evidence.text for evidence in one.evidence if evidence.what == "counter"] == ["4 packets at host veth1"]


def test_a_capture_that_lost_nothing_is_not_to_blame(tmp_path):
    found = Telling.chosen(correlate(tmp_path, cut_short(0))).head[0]
    assert "capture_lost" not in [one.kind for one in found]


def silence(syns: int, *, lost: int) -> Node:
    """A client that has its answer, and another that has none, as far as is seen."""
    host = docker_host()
    for number, flags in enumerate(("S", "SA", "A")):
        ends = {"src": "172.17.0.2", "dst": "172.17.0.1"} if number == 1 else {"src": "172.17.0.1", "dst": "172.17.0.2"}
        ports = {"sport": 80, "dport": 1000} if number == 1 else {"sport": 1000, "dport": 80}
        packet = IP(**ends, id=number + 1) / TCP(flags=flags, seq=1, ack=2 * min(number, 1), **ports)
        for name in ("docker0", "veth1")[:: -1 if number == 1 else 1]:
            host.see(name, IN if number == 1 else OUT, 100 * number + (name == "veth1"), packet)
    for number in range(syns):
        syn = IP(src="172.17.0.1", dst="172.17.0.2", id=50 + number) / TCP(sport=1001, dport=80, flags="S", seq=5)
        host.see("docker0", OUT, 1_000_000 * number + 500, syn)
        host.see("veth1", OUT, 1_000_000 * number + 501, syn)
    host.lost("docker0", 4_000_000, lost)
    host.lost("veth1", 4_000_000, lost)
    keep_recording(host)
    return host


def test_an_answer_that_the_capture_may_have_lost_is_not_missed(tmp_path):
    kinds = [one.kind for one in findings_of(tmp_path, silence(1, lost=5))]
    assert "unanswered" not in kinds


def test_of_a_syn_that_is_repeated_all_the_same_the_silence_is_probable(tmp_path):
    (found,) = of_kind(findings_of(tmp_path, silence(3, lost=5)), "unanswered")
    assert (found.severity, found.confidence) == ("fault", 0.7)
    assert "; the capture itself lost packets there meanwhile" in found.text


def test_where_nothing_was_lost_silence_is_sure(tmp_path):
    (found,) = of_kind(findings_of(tmp_path, silence(1, lost=0)), "unanswered")
    assert (found.severity, found.confidence) == ("fault", 1)
