"""The same addresses and ports in two captures, with other IP ids."""

from pathlib import Path

from ttrace.tests.cases.no_flow_in_common.make import files, udp


def make(folder: Path) -> list[str]:
    return files(folder, [(i, udp(i + 1)) for i in range(3)], [(i, udp(i + 90)) for i in range(3)])
