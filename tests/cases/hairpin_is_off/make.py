"""Two SYNs from web1 to itself, through the published port of its host."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import IN, OUT, docker_host, keep_recording


def make(folder: Path) -> list[str]:
    host = docker_host()
    host.change_link("veth1", port={"hairpin": 0, "isolated": 0, "state": 3})
    for number in range(2):
        before = IP(src="172.17.0.2", dst="192.0.2.1", id=6 + number) / TCP(sport=7, dport=8080, flags="S", seq=1)
        after = IP(src="172.17.0.2", dst="172.17.0.2", id=6 + number) / TCP(sport=7, dport=80, flags="S", seq=1)
        time_us = 1_000_000 * number
        host.see("veth1", IN, time_us, before)
        host.trace(time_us + 5, before, "PREROUTING", table="nat", iif=5)
        host.see("docker0", OUT, time_us + 9, after)
    keep_recording(host)
    return [host.write(folder)]
