"""A request into a container and its answer; of the container itself, only the trace."""

from pathlib import Path

from scapy.layers.inet import IP, UDP

from ttrace.tests.correlate.scene import IN, OUT, docker_host


def make(folder: Path) -> list[str]:
    reply = IP(src="172.17.0.2", dst="172.17.0.1", id=8) / UDP(sport=53, dport=5353)
    request = IP(src="172.17.0.1", dst="172.17.0.2", id=9) / UDP(sport=5353, dport=53)
    host = docker_host(bridge_nf=False)
    host.netns("web1", container="web1")
    host.see("veth1", OUT, 1, request)
    host.see("docker0", OUT, 0, request)
    host.see("veth1", IN, 10, reply)
    host.see("docker0", IN, 11, reply)
    host.trace(30, request, "INPUT", netns="web1")
    host.trace(31, reply, "OUTPUT", netns="web1")
    return [host.write(folder)]
