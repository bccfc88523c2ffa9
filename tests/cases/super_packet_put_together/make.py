"""Three segments in, one packet out."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import IN, OUT, Node, docker_host


def make(folder: Path) -> list[str]:
    host = docker_host()
    for number in range(3):
        host.see("eth0", IN, number, data(1 + 1000 * number, 1000, 10 + number))
    host.see("docker0", OUT, 5, data(1, 3000, 10))
    host.see("veth1", OUT, 7, data(1, 3000, 10))
    acknowledge(host, 3001)
    late(host)
    return [host.write(folder)]


def data(sequence: int, size: int, ip_id: int) -> IP:
    """A segment from far away to web1."""
    tcp = TCP(sport=1000, dport=80, flags="A", seq=sequence)
    return IP(src="203.0.113.1", dst="172.17.0.2", id=ip_id) / tcp / bytes(size)


def acknowledge(host: Node, up_to: int, time_us: float = 30) -> None:
    """web1 has all bytes before this one."""
    packet = IP(src="172.17.0.2", dst="203.0.113.1", id=1) / TCP(sport=80, dport=1000, flags="A", ack=up_to)
    for number, (point, way) in enumerate((("veth1", IN), ("docker0", IN), ("eth0", OUT))):
        host.see(point, way, time_us + number, packet)


def late(host: Node) -> None:
    """The capture went on for seconds."""
    host.see("eth0", OUT, 5_000_000, IP(src="192.0.2.1", dst="203.0.113.1", id=1) / TCP(sport=1, dport=2))
