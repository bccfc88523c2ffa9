"""A SYN from web1 to web2 through the published port of their host."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import DNAT, DOCKER0, IN, OUT, SNAT, docker_host


def make(folder: Path) -> list[str]:
    before = IP(src="172.17.0.2", dst="192.0.2.1", id=6) / TCP(sport=7, dport=8080, flags="S")
    halfway = IP(src="172.17.0.2", dst="172.17.0.3", id=6) / TCP(sport=7, dport=80, flags="S")
    after = IP(src="172.17.0.1", dst="172.17.0.3", id=6) / TCP(sport=7, dport=80, flags="S")
    host = docker_host()
    host.interface("veth2", 6, kind="veth", master=DOCKER0, peer="web2")
    host.see("veth1", IN, 0, before)
    host.see("docker0", OUT, 3, halfway)
    host.see("veth2", OUT, 9, after)
    host.conntrack(
        10, (("172.17.0.2", 7), ("192.0.2.1", 8080)), (("172.17.0.3", 80), ("172.17.0.1", 7)), status=SNAT | DNAT
    )
    ct = (77, 0, SNAT | DNAT)
    host.trace(20, before, "PREROUTING", table="nat", iif=DOCKER0, ct=ct)
    host.trace(21, halfway, "FORWARD", iif=DOCKER0, oif=DOCKER0, ct=ct)
    host.trace(22, halfway, "POSTROUTING", table="nat", oif=DOCKER0, ct=ct)
    return [host.write(folder)]
