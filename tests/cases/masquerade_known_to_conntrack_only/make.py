"""web1 opens a connection through MASQUERADE that is not traced."""

from pathlib import Path

from ttrace.tests.cases.masquerade_traced.make import connection_out
from ttrace.tests.correlate.scene import docker_host


def make(folder: Path) -> list[str]:
    host = docker_host()
    connection_out(host, traced=False)
    return [host.write(folder)]
