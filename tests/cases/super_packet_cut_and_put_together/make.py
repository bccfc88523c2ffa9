"""One packet in, three on the bridge, one out."""

from pathlib import Path

from ttrace.tests.cases.super_packet_put_together.make import acknowledge, data, late
from ttrace.tests.correlate.scene import IN, OUT, docker_host


def make(folder: Path) -> list[str]:
    host = docker_host()
    host.see("eth0", IN, 0, data(1, 3000, 10))
    for number in range(3):
        host.see("docker0", OUT, 5 + number, data(1 + 1000 * number, 1000, 10 + number))
    host.see("veth1", OUT, 9, data(1, 3000, 20))
    acknowledge(host, 3001)
    late(host)
    return [host.write(folder)]
