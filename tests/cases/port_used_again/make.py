"""Two connections of web1 from one port, through MASQUERADE."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import DESTROYED, IN, OUT, SNAT, docker_host

WEB1, HOST, FAR = "172.17.0.2", "192.0.2.1", "203.0.113.1"
ENTRY = (((WEB1, 1000), (FAR, 80)), ((FAR, 80), (HOST, 1000)))


def make(folder: Path) -> list[str]:
    host = docker_host()
    for life, start in enumerate((0, 30_000_000)):
        syn = TCP(sport=1000, dport=80, flags="S", seq=1000 * life + 1)
        host.see("docker0", IN, start, IP(src=WEB1, dst=FAR, id=10 + life) / syn)
        host.see("eth0", OUT, start + 9, IP(src=HOST, dst=FAR, id=10 + life) / syn)
        answer = TCP(sport=80, dport=1000, flags="SA", seq=5000 * life + 1)
        host.see("eth0", IN, start + 100, IP(src=FAR, dst=HOST, id=20 + life) / answer)
        host.see("docker0", OUT, start + 109, IP(src=FAR, dst=WEB1, id=20 + life) / answer)
        host.conntrack(start + 10, *ENTRY, status=SNAT, ct_id=70 + life)
        host.conntrack(start + 1000, *ENTRY, status=SNAT, ct_id=70 + life, event=DESTROYED)
    return [host.write(folder)]
