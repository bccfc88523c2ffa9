"""A SYN that comes in at docker0 and leaves there with both ends translated."""

from pathlib import Path

from ttrace.tests.cases.masquerade_traced.make import CT, HOST, WEB1, tcp
from ttrace.tests.correlate.scene import DNAT, IN, OUT, SNAT, docker_host


def make(folder: Path) -> list[str]:
    host = docker_host()
    before, after = tcp(WEB1, HOST, 9, 8080), tcp("172.17.0.1", "172.17.0.3", 9, 80, ttl=63)
    host.see("docker0", IN, 0, before)
    host.see("docker0", OUT, 9, after)
    host.conntrack(20, ((WEB1, 9), (HOST, 8080)), (("172.17.0.3", 80), ("172.17.0.1", 9)), status=SNAT | DNAT, ct_id=CT)
    return [host.write(folder)]
