"""web1's connection was there when the capture began."""

from pathlib import Path

from ttrace.tests.cases.masquerade_traced.make import CT, FAR, HOST, WEB1, connection_out
from ttrace.tests.correlate.scene import DUMPED, SNAT, docker_host


def make(folder: Path) -> list[str]:
    host = docker_host()
    connection_out(host, traced=False, conntrack=False)
    host.conntrack(-100, ((WEB1, 1000), (FAR, 80)), ((FAR, 80), (HOST, 1000)), status=SNAT, ct_id=CT, event=DUMPED)
    return [host.write(folder)]
