"""The host asks web1 twice, and sends each SYN again."""

from pathlib import Path

from scapy.layers.inet import IP, TCP

from ttrace.tests.correlate.scene import IN, OUT, docker_host, keep_recording

NGINX = {"protocol": "tcp", "address": "0.0.0.0", "port": 80, "index": None, "uid": 0, "inode": 9, "backlog": 2,
         "most": 1, "pid": 77, "process": "nginx"}  # fmt: skip


def make(folder: Path) -> list[str]:
    host = docker_host(inside=True)
    for moment, overflows, time_us in (("start", 5, 0), ("stop", 9, 4_000_000)):
        counters = {"netstat": {"TcpExtListenOverflows": overflows}}
        host.snapshot("listeners", [NGINX], netns="web1", moment=moment, time_us=time_us)
        host.snapshot("counters", counters, netns="web1", moment=moment, time_us=time_us)
    for number in range(4):
        port, time_us = 1000 + number % 2, 500_000 * number
        syn = IP(src="172.17.0.1", dst="172.17.0.2", id=number + 1) / TCP(sport=port, dport=80, flags="S", seq=1)
        host.see("docker0", OUT, time_us, syn)
        host.see("veth1", OUT, time_us + 1, syn)
        host.see("eth0", IN, time_us + 2, syn, netns="web1")
    keep_recording(host)
    return [host.write(folder)]
