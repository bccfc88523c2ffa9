"""A request to a published port, traced, and its answer, not traced."""

from pathlib import Path

from ttrace.tests.cases.masquerade_traced.make import CT, FAR, HOST, WEB1, tcp
from ttrace.tests.correlate.scene import ACCEPT, DNAT, DNAT_RULE, DOCKER0, ETH0, IN, JUMP_RULE, OUT, docker_host


def make(folder: Path) -> list[str]:
    host = docker_host()
    before, after = tcp(FAR, HOST, 7, 8080), tcp(FAR, WEB1, 7, 80, ttl=63)
    host.see("eth0", IN, 0, before)
    host.see("docker0", OUT, 9, after)
    host.trace(
        20,
        before,
        "PREROUTING",
        table="nat",
        iif=ETH0,
        rules=[("PREROUTING", JUMP_RULE, "DOCKER"), ("DOCKER", DNAT_RULE, ACCEPT)],
        policy=None,
        ct=(CT, 0, DNAT),
    )
    host.trace(21, after, "FORWARD", iif=ETH0, oif=DOCKER0, ct=(CT, 0, DNAT))
    host.conntrack(22, ((FAR, 7), (HOST, 8080)), ((WEB1, 80), (FAR, 7)), status=DNAT, ct_id=CT)
    host.see("docker0", IN, 100, tcp(WEB1, FAR, 80, 7, flags="SA", ip_id=0))
    host.see("eth0", OUT, 109, tcp(HOST, FAR, 8080, 7, flags="SA", ip_id=0, ttl=63))
    return [host.write(folder)]
