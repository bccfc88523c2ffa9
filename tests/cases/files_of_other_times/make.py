"""Two captures, two hours apart."""

from pathlib import Path

from ttrace.tests.cases.no_flow_in_common.make import files, tcp, udp

HOUR_US = 3_600_000_000


def make(folder: Path) -> list[str]:
    late = [(2.05 * HOUR_US + i, udp(i + 50)) for i in range(3)]
    return files(folder, [(i, tcp(i)) for i in range(3)], late)
