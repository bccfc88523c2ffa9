"""A masqueraded SYN out of a container, on a host without bridge-nf."""

from pathlib import Path

from ttrace.tests.cases.from_container_with_bridge_nf.make import MASQUERADED, OUTBOUND, TRANSLATION
from ttrace.tests.correlate.scene import DOCKER0, ETH0, IN, OUT, docker_host


def make(folder: Path) -> list[str]:
    host = docker_host(bridge_nf=False)
    host.see("veth1", IN, 1, OUTBOUND)
    host.see("docker0", IN, 5, OUTBOUND)
    host.see("eth0", OUT, 9, MASQUERADED)
    host.conntrack(19, *TRANSLATION, status=0x10)
    host.trace(20, OUTBOUND, "PREROUTING", table="nat", iif=DOCKER0)
    host.trace(21, OUTBOUND, "FORWARD", iif=DOCKER0, oif=ETH0)
    return [host.write(folder)]
