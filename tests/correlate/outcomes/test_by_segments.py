"""Super-packets that are cut or put together on the way: not lost, when their bytes arrive in other segments."""

from scapy.layers.inet import IP, TCP

from ttrace.tests.cases.super_packet_put_together.make import acknowledge, data

from ..scene import IN, OUT, Node, correlate, docker_host, paths

LATER = 5_000_000


def test_segments_of_a_retransmission_do_not_excuse_the_loss(tmp_path):
    host = docker_host()
    host.see("eth0", IN, 0, data(1, 3000, 10))
    for number in range(3):
        segment = data(1 + 1000 * number, 1000, 50 + number)
        host.see("eth0", IN, 300_000 + number, segment)
        host.see("docker0", OUT, 300_010 + number, segment)
        host.see("veth1", OUT, 300_020 + number, segment)
    host.see("eth0", OUT, LATER, IP(src="192.0.2.1", dst="203.0.113.1", id=1) / TCP(sport=1, dport=2))
    assert paths(correlate(tmp_path, host))[0].outcome == "lost"


def retransmission(host: Node, start: float, *, cut: bool = True) -> None:
    """The 3,000 bytes again, with a kilobyte more, cut as well."""
    host.see("eth0", IN, start, data(1, 4000, 90))
    for number in range(4 if cut else 0):
        host.see("docker0", OUT, start + 5 + number, data(1 + 1000 * number, 1000, 90 + number))
        host.see("veth1", OUT, start + 7 + number, data(1 + 1000 * number, 1000, 90 + number))


def test_segments_of_a_larger_retransmission_do_not_excuse_the_loss(tmp_path):
    host = docker_host()
    host.see("eth0", IN, 0, data(1, 3000, 10))
    retransmission(host, 300_000)
    acknowledge(host, 4001, 300_100)
    host.see("eth0", OUT, LATER, IP(src="192.0.2.1", dst="203.0.113.1", id=1) / TCP(sport=1, dport=2))
    first, again = paths(correlate(tmp_path, host))[:2]
    assert (first.outcome, first.goes_on_as) == ("lost", ())
    assert (again.outcome, again.goes_on_as) == ("delivered", (3, 4, 5, 6))


def test_a_needless_retransmission_makes_no_loss(tmp_path):
    """Both were cut, and the segments of both arrived, those of the first one late."""
    host = docker_host()
    host.see("eth0", IN, 0, data(1, 3000, 10))
    host.see("eth0", IN, 100, data(1, 4000, 90))
    for start, sizes in ((200, 3), (300, 4)):
        for number in range(sizes):
            segment = data(1 + 1000 * number, 1000, start + number)
            host.see("docker0", OUT, start + 5 + number, segment)
            host.see("veth1", OUT, start + 7 + number, segment)
    acknowledge(host, 4001, 400)
    host.see("eth0", OUT, LATER, IP(src="192.0.2.1", dst="203.0.113.1", id=1) / TCP(sport=1, dport=2))
    assert {path.outcome for path in paths(correlate(tmp_path, host))[:9]} == {"delivered"}


def test_a_retransmission_that_is_a_super_packet_upstream_does_not_excuse_a_lost_segment(tmp_path):
    """What was cut before it was lost is sent again, larger, from where the way begins."""
    host = docker_host()
    syn = IP(src="203.0.113.1", dst="172.17.0.2", id=1) / TCP(sport=1000, dport=80, flags="S", seq=0)
    for time, (point, way) in enumerate((("eth0", IN), ("docker0", OUT), ("veth1", OUT))):
        host.see(point, way, time, syn)
    host.see("eth0", IN, 100, data(1, 3000, 10))
    for number in range(3):
        host.see("docker0", OUT, 105 + number, data(1 + 1000 * number, 1000, 10 + number))
        if number != 1:
            host.see("veth1", OUT, 107 + number, data(1 + 1000 * number, 1000, 10 + number))
    retransmission(host, 300_000)
    host.see("eth0", OUT, LATER, IP(src="192.0.2.1", dst="203.0.113.1", id=1) / TCP(sport=1, dport=2))
    found = paths(correlate(tmp_path, host))
    lost = [path for path in found if path.outcome == "lost"]
    assert [(path.info, path.start_ns - found[0].start_ns) for path in lost] == [
        ("ACK 3,000 bytes", 100_000),
        ("ACK 1,000 bytes", 106_000),
    ]
