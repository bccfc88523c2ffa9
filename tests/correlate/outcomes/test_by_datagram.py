"""Datagrams in pieces: one piece makes no datagram, and all are one path."""

import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.packet import Raw

from ..scene import DOCKER0, ETH0, IN, OUT, correlate, docker_host, keep_recording, paths

WEB1, FAR = "172.17.0.2", "203.0.113.1"


def pieces(source: str, destination: str, ip_id: int = 5, ttl: int = 64) -> list[IP]:
    datagram = IP(src=source, dst=destination, id=ip_id, ttl=ttl) / UDP(sport=1000, dport=2000) / Raw(bytes(3000))
    return [IP(bytes(piece)) for piece in fragment(datagram, fragsize=1480)]


@pytest.mark.parametrize(
    ("arriving", "expected"),
    [((0, 1, 2), ("delivered", None)), ((0, 2), ("unknown", "incomplete")), ((0, 1), ("unknown", "incomplete"))],
)
def test_a_datagram_arrived_where_all_its_pieces_came_to_the_last_place(arriving, expected, tmp_path):
    host = docker_host()
    for number, piece in enumerate(pieces(FAR, WEB1)):
        if number in arriving:
            host.see("docker0", OUT, number, piece)
            host.see("veth1", OUT, 10 + number, piece)
    answer = IP(src=WEB1, dst=FAR, id=1) / UDP(sport=2000, dport=1000) / b"thanks"
    for number, (point, way) in enumerate((("veth1", IN), ("docker0", IN), ("eth0", OUT))):
        host.see(point, way, 100 + number, answer)
    keep_recording(host)
    path = paths(correlate(tmp_path, host))[0]
    assert (path.outcome, path.reason.kind if path.reason else None) == expected


def test_pieces_that_are_traced_one_by_one_are_one_path(tmp_path):
    """A namespace without conntrack does not put them together: each goes through its chains by itself."""
    host = docker_host()
    for number, piece in enumerate(pieces(WEB1, FAR)):
        host.see("docker0", IN, number * 10, piece)
        host.trace(number * 10 + 5, piece, "FORWARD", iif=DOCKER0, oif=ETH0, trace_id=20 + number)
    for number, piece in enumerate(pieces(WEB1, FAR, ttl=63)):
        host.see("eth0", OUT, number * 10 + 8, piece)
    keep_recording(host)
    found = [path for path in paths(correlate(tmp_path, host)) if "127.0.0.1" not in path.hops[0].source]
    assert len(found) == 1
    assert (found[0].outcome, found[0].reason.kind) == ("unknown", "not-captured")
