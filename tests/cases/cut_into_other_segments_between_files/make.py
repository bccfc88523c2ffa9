"""3,000 bytes in one packet here, in three there."""

from pathlib import Path

from ttrace.tests.cases.no_flow_in_common.make import files, tcp


def make(folder: Path) -> list[str]:
    whole = [(0, tcp(1000, data=bytes(3000)))]
    return files(folder, whole, [(i, tcp(1000 + 1000 * i, data=bytes(1000), ip_id=1000 + i)) for i in range(3)])
