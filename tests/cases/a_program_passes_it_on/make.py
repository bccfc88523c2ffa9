"""Connections by eth0, and by docker0 those of a program that carry the same bytes."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import IN, OUT, Node, docker_host

CLIENT, HOST, GATEWAY, WEB = "192.0.2.9", "192.0.2.1", "172.17.0.1", "172.17.0.2"
REQUEST, OTHER, ANSWER = b"GET / HTTP/1.0\r\n\r\n", b"GET /else HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"


def make(folder: Path) -> list[str]:
    node = docker_host(address=HOST)
    _talk(node, "eth0", (CLIENT, 1000, HOST, 8080), (0, 1_000, 5_000), 10, REQUEST)
    _talk(node, "docker0", (GATEWAY, 2000, WEB, 80), (1_100, 2_000, 3_000), 7000, REQUEST)
    for number in range(2):
        _talk(
            node, "eth0", ("192.0.2.10", 1001 + number, HOST, 8080), (9_000, 9_100, 13_000), 400 + 900 * number, REQUEST
        )
    _talk(node, "docker0", (GATEWAY, 2001, WEB, 80), (10_000, 10_500, 12_000), 17_000, REQUEST)
    _talk(node, "eth0", (CLIENT, 1005, HOST, 8080), (90_000, 91_000, 95_000), 50_000, OTHER)
    return [node.write(folder)]


def _talk(
    node: Node,
    point: str,
    ends: tuple[str, int, str, int],
    times_us: tuple[float, float, float],
    seq: int,
    request: bytes,
) -> None:
    """SYN, request, answer; requests come in by eth0 and go out by docker0."""
    client, sport, server, dport = ends
    asks, answers = (IN, OUT) if point == "eth0" else (OUT, IN)
    asked, back = {"src": client, "dst": server}, IP(src=server, dst=client, id=seq + 50)
    node.see(point, asks, times_us[0], IP(id=seq, **asked) / TCP(sport=sport, dport=dport, flags="S", seq=seq))
    data = TCP(sport=sport, dport=dport, flags="PA", seq=seq + 1, ack=900)
    node.see(point, asks, times_us[1], IP(id=seq + 1, **asked) / data / request)
    answer = TCP(sport=dport, dport=sport, flags="PA", seq=900, ack=seq + 1 + len(request))
    node.see(point, answers, times_us[2], back / answer / ANSWER)
