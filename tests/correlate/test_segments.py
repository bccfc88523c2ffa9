"""Super-packets that are cut or put together on the way: not lost, when their bytes arrive in other segments."""

from scapy.layers.inet import IP, TCP

from .scene import IN, OUT, Node, correlate, docker_host, paths

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
