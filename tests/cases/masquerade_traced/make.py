"""web1 opens a connection through MASQUERADE."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import ACCEPT, DOCKER0, ETH0, IN, MASQUERADE_RULE, OUT, SNAT, Node, docker_host

WEB1, HOST, FAR = "172.17.0.2", "192.0.2.1", "203.0.113.1"
CT = 77


def make(folder: Path) -> list[str]:
    host = docker_host()
    connection_out(host)
    return [host.write(folder)]


def connection_out(host: Node, *, traced: bool = True, conntrack: bool = True) -> None:
    """SYN, SYN-ACK, ACK."""
    out = [tcp(WEB1, FAR, 1000, 80, ip_id=1), tcp(WEB1, FAR, 1000, 80, ip_id=2, flags="A", seq=2)]
    wire = [tcp(HOST, FAR, 1000, 80, ip_id=1, ttl=63), tcp(HOST, FAR, 1000, 80, ip_id=2, flags="A", seq=2, ttl=63)]
    for number, start in enumerate((0, 1000)):
        host.see("docker0", IN, start, out[number])
        host.see("eth0", OUT, start + 9, wire[number])
        if traced:
            ct = (CT, 0, SNAT)
            host.trace(start + 20, out[number], "FORWARD", iif=DOCKER0, oif=ETH0, ct=ct)
            if number == 0:
                host.trace(
                    start + 21,
                    out[0],
                    "POSTROUTING",
                    table="nat",
                    oif=ETH0,
                    rules=[("POSTROUTING", MASQUERADE_RULE, ACCEPT)],
                    policy=None,
                    ct=ct,
                )
    if conntrack:
        host.conntrack(22, ((WEB1, 1000), (FAR, 80)), ((FAR, 80), (HOST, 1000)), status=SNAT, ct_id=CT)
    back, inside = (
        tcp(FAR, HOST, 80, 1000, ip_id=9, flags="SA", seq=5),
        tcp(FAR, WEB1, 80, 1000, ip_id=9, flags="SA", seq=5, ttl=63),
    )
    host.see("eth0", IN, 500, back)
    host.see("docker0", OUT, 509, inside)
    if traced:
        host.trace(520, inside, "FORWARD", iif=ETH0, oif=DOCKER0, ct=(CT, 1, SNAT))


def tcp(
    source: str,
    destination: str,
    sport: int,
    dport: int,
    *,
    flags: str = "S",
    ip_id: int = 1,
    ttl: int = 64,
    seq: int = 1,
) -> IP:
    """A segment without data."""
    return IP(src=source, dst=destination, id=ip_id, ttl=ttl) / TCP(sport=sport, dport=dport, flags=flags, seq=seq)
