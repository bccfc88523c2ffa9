from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.correlate.findings.kinds import Kind, Severity
from ttrace.tests.correlate.scene import IN, OUT, Node, docker_host

from .told import findings_of, of_kind

CLIENT, HOST, GATEWAY, WEB = "192.0.2.9", "192.0.2.1", "172.17.0.1", "172.17.0.2"
REQUEST, ANSWER = b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"


def _talk(
    node: Node, point: str, ends: tuple[str, int, str, int], times_us: tuple[float, float, float], seq: int,
    request: bytes = REQUEST, answer: bytes = ANSWER,
) -> None:  # fmt: skip
    """SYN, request, answer; requests come in by eth0 and go out by docker0."""
    client, sport, server, dport = ends
    asks, answers = (IN, OUT) if point == "eth0" else (OUT, IN)
    there, back = IP(src=client, dst=server, id=seq), IP(src=server, dst=client, id=seq + 50)
    node.see(point, asks, times_us[0], there / TCP(sport=sport, dport=dport, flags="S", seq=seq))
    data = TCP(sport=sport, dport=dport, flags="PA", seq=seq + 1, ack=900)
    there.id += 1
    node.see(point, asks, times_us[1], there / data / request)
    node.see(
        point, answers, times_us[2], back / TCP(sport=dport, dport=sport, flags="PA", seq=900, ack=seq + 20) / answer
    )


def test_two_connections_with_the_same_bytes_one_within_the_other(tmp_path: Path) -> None:
    node = docker_host(address=HOST)
    _talk(node, "eth0", (CLIENT, 1000, HOST, 8080), (0, 1_000, 5_000), 10)
    _talk(node, "docker0", (GATEWAY, 2000, WEB, 80), (1_100, 2_000, 3_000), 7000)
    (finding,) = of_kind(findings_of(tmp_path, node), Kind.PROXIED)
    assert finding.severity == Severity.NOTICE
    assert f"takes tcp {CLIENT}:1000 -> {HOST}:8080" in finding.text
    assert f"from {GATEWAY} (host) to {WEB}:80 (web1)" in finding.text
    assert len(finding.connections) == 2
    assert finding.confidence > 0.9


def test_two_that_fit_are_said_to_be_doubtful(tmp_path: Path) -> None:
    node = docker_host(address=HOST)
    _talk(node, "eth0", (CLIENT, 1000, HOST, 8080), (0, 1_000, 5_000), 10)
    _talk(node, "eth0", (CLIENT, 1001, HOST, 8080), (100, 1_100, 5_100), 400)
    _talk(node, "docker0", (GATEWAY, 2000, WEB, 80), (1_200, 2_000, 3_000), 7000)
    (finding,) = of_kind(findings_of(tmp_path, node), Kind.PROXIED)
    assert "others with the same bytes would fit as well" in finding.text
    assert finding.confidence < 0.8


def test_other_bytes_or_an_answer_that_came_first_join_nothing(tmp_path: Path) -> None:
    node = docker_host(address=HOST)
    _talk(node, "eth0", (CLIENT, 1000, HOST, 8080), (0, 1_000, 5_000), 10)
    _talk(node, "docker0", (GATEWAY, 2000, WEB, 80), (1_100, 2_000, 3_000), 7000, b"GET /other HTTP/1.0\r\n\r\n")
    _talk(node, "docker0", (GATEWAY, 2001, WEB, 80), (1_100, 2_000, 9_000), 9000)
    assert of_kind(findings_of(tmp_path, node), Kind.PROXIED) == []


def test_short_bytes_are_alike_by_chance(tmp_path: Path) -> None:
    """As what clients of one protocol begin with, whoever they ask."""
    node = docker_host(address=HOST)
    for point, ends, times in (
        ("eth0", (CLIENT, 1000, HOST, 8080), (0, 1_000, 5_000)),
        ("docker0", (GATEWAY, 2000, WEB, 80), (1_100, 2_000, 3_000)),
    ):
        _talk(node, point, ends, times, 10 if point == "eth0" else 7000, b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n")
    assert of_kind(findings_of(tmp_path, node), Kind.PROXIED) == []


def test_two_clients_that_a_router_forwards_are_no_proxy(tmp_path: Path) -> None:
    """The same bytes at the same time, one within the other: both come in by eth0 and leave by docker0."""
    node = docker_host(address=HOST)
    for number, times in enumerate(((0, 1_000, 5_000), (100, 1_100, 3_000))):
        ends = (f"192.0.2.{9 + number}", 1000 + number, WEB, 80)
        _talk(node, "eth0", ends, times, 10 + 9_000 * number)
        _talk(node, "docker0", ends, (times[0] + 5, times[1] + 5, times[2] - 5), 10 + 9_000 * number)
    assert of_kind(findings_of(tmp_path, node), Kind.PROXIED) == []
