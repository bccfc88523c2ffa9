"""One packet in, its bytes out in three."""

from pathlib import Path

from ttrace.tests.cases.super_packet_put_together.make import acknowledge, data, late
from ttrace.tests.correlate.scene import IN, OUT, docker_host


def make(folder: Path, segments: int = 3) -> list[str]:
    host = docker_host()
    host.see("eth0", IN, 0, data(1, 3000, 10))
    for number in range(segments):
        host.see("docker0", OUT, 5 + number, data(1 + 1000 * number, 1000, 10 + number))
        host.see("veth1", OUT, 7 + number, data(1 + 1000 * number, 1000, 10 + number))
    acknowledge(host, 1 + 1000 * segments)
    late(host)
    return [host.write(folder)]
