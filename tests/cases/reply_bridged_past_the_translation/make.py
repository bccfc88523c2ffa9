"""A SYN that is translated, and SYN-ACKs that are bridged as they are."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import (
    DNAT,
    DNAT_RULE,
    DOCKER0,
    ETH0,
    IN,
    JUMP_RULE,
    OUT,
    docker_host,
    keep_recording,
)

HOST, WEB1, WEB2, OUTSIDE = "192.0.2.1", "172.17.0.2", "172.17.0.3", "192.0.2.9"
ACCEPT = 1


def make(folder: Path) -> list[str]:
    host = docker_host()
    host.interface("veth2", 6, kind="veth", master=DOCKER0, peer="web2")
    for client, port, came_by in ((WEB2, 4000, DOCKER0), (OUTSIDE, 5000, ETH0)):
        start = 0 if client == WEB2 else 1_000_000
        asked = IP(src=client, dst=HOST, id=port) / TCP(sport=port, dport=8080, flags="S", seq=100)
        inside = asked.copy()
        inside[IP].dst, inside[IP].ttl, inside[TCP].dport = WEB1, 63, 80
        host.conntrack(start + 8, ((client, port), (HOST, 8080)), ((WEB1, 80), (client, port)), status=DNAT, ct_id=port)
        for name in ("veth2", "docker0") if client == WEB2 else ("eth0",):
            host.see(name, IN, start, asked)
        rules = [("PREROUTING", JUMP_RULE, "DOCKER"), ("DOCKER", DNAT_RULE, ACCEPT)]
        seen = {"iif": came_by, "ct": (port, 0, 0), "trace_id": port}
        host.trace(start + 5, asked, "PREROUTING", table="nat", rules=rules, policy=None, **seen)
        host.see("docker0", OUT, start + 20, inside)
        host.see("veth1", OUT, start + 21, inside)
        answer = IP(src=WEB1, dst=client, id=port + 1) / TCP(sport=80, dport=port, flags="SA", seq=700, ack=101)
        host.see("veth1", IN, start + 60, answer)
        if client == WEB2:
            host.see("veth2", OUT, start + 61, answer)
            reset = IP(src=WEB2, dst=WEB1, id=9) / TCP(sport=port, dport=80, flags="R", seq=101)
            host.see("veth2", IN, start + 80, reset)
            host.see("veth1", OUT, start + 81, reset)
            continue
        restored = answer.copy()
        restored[IP].src, restored[IP].ttl, restored[TCP].sport = HOST, 63, 8080
        host.see("docker0", IN, start + 61, answer)
        host.trace(
            start + 65, restored, "forward_last", family="inet", table="ttrace", iif=DOCKER0, oif=ETH0, ct=(port, 1, 0)
        )
        host.see("eth0", OUT, start + 70, restored)
    keep_recording(host)
    return [host.write(folder)]
