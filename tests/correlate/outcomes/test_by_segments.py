"""Super-packets that are cut or put together on the way: not lost, when their bytes arrive in other segments."""

from scapy.layers.inet import IP, TCP

from ttrace.correlate.result.select import select
from ttrace.report import render

from ..scene import IN, OUT, Node, correlate, docker_host, paths

LATER = 5_000_000


def data(sequence: int, size: int, ip_id: int) -> IP:
    tcp = TCP(sport=1000, dport=80, flags="A", seq=sequence)
    return IP(src="203.0.113.1", dst="172.17.0.2", id=ip_id) / tcp / bytes(size)


def super_packet(host: Node, sizes: list[int]) -> None:
    """3,000 bytes come in as one and leave as segments of these sizes."""
    host.see("eth0", IN, 0, data(1, 3000, 10))
    sequence = 1
    for number, size in enumerate(sizes):
        host.see("docker0", OUT, 5 + number, data(sequence, size, 10 + number))
        host.see("veth1", OUT, 7 + number, data(sequence, size, 10 + number))
        sequence += size
    host.see("eth0", OUT, LATER, IP(src="192.0.2.1", dst="203.0.113.1", id=1) / TCP(sport=1, dport=2))


def test_a_super_packet_whose_segments_all_arrive_is_delivered(tmp_path):
    host = docker_host()
    super_packet(host, [1000, 1000, 1000])
    found = paths(correlate(tmp_path, host))
    whole = found[0]
    assert (whole.info, whole.outcome, whole.reason.kind) == ("ACK 3,000 bytes", "delivered", "segmented")
    assert [path.outcome for path in found[1:4]] == ["delivered"] * 3


def test_a_super_packet_with_a_segment_missing_is_lost(tmp_path):
    host = docker_host()
    super_packet(host, [1000, 1000])
    assert paths(correlate(tmp_path, host))[0].outcome == "lost"


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


def test_it_names_the_segments_that_carry_its_bytes_on(tmp_path):
    host = docker_host()
    super_packet(host, [1000, 1000, 1000])
    result = correlate(tmp_path, host)
    whole, *pieces = paths(result)[:4]
    assert whole.goes_on_as == tuple(piece.id for piece in pieces)
    assert [piece.comes_from for piece in pieces] == [(whole.id,)] * 3
    text = "".join(render(result, select(result, paths=[whole.id, pieces[0].id]), "text"))
    assert "=> its bytes go on as #2, #3, #4: cut differently (GSO, GRO)" in text
    assert "=> carries bytes of #1: cut differently (GSO, GRO)" in text


def test_segments_that_are_put_together_name_the_super_packet(tmp_path):
    """GRO: three come in, one goes on."""
    host = docker_host()
    for number in range(3):
        host.see("eth0", IN, number, data(1 + 1000 * number, 1000, 10 + number))
    host.see("docker0", OUT, 5, data(1, 3000, 10))
    host.see("veth1", OUT, 7, data(1, 3000, 10))
    host.see("eth0", OUT, LATER, IP(src="192.0.2.1", dst="203.0.113.1", id=1) / TCP(sport=1, dport=2))
    found = paths(correlate(tmp_path, host))[:4]
    assert [path.outcome for path in found] == ["delivered"] * 4
    assert found[3].comes_from == (1, 2, 3)


def test_cut_and_put_together_again_is_delivered(tmp_path):
    host = docker_host()
    host.see("eth0", IN, 0, data(1, 3000, 10))
    for number in range(3):
        host.see("docker0", OUT, 5 + number, data(1 + 1000 * number, 1000, 10 + number))
    host.see("veth1", OUT, 9, data(1, 3000, 20))
    host.see("eth0", OUT, LATER, IP(src="192.0.2.1", dst="203.0.113.1", id=1) / TCP(sport=1, dport=2))
    found = paths(correlate(tmp_path, host))[:5]
    assert [path.outcome for path in found] == ["delivered"] * 5
    assert found[0].goes_on_as == (2, 3, 4)
    assert found[4].comes_from == (2, 3, 4)


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
