"""Four captures of two nodes that have nothing in common."""

from pathlib import Path

from ttrace.tests.cases.no_flow_in_common.make import files, other, tcp


def make(folder: Path) -> list[str]:
    paths = files(folder, [(0, tcp(1))], [(1, tcp(1))], [(0, other(1))], [(1, other(1))])
    return [f"{node}/{i}={path}" for i, (node, path) in enumerate(zip(("n", "n", "m", "m"), paths, strict=True))]
