"""A traceroute probe that reaches its end, and the answer."""

from pathlib import Path

from ttrace.tests.cases.probe_with_no_hop_left.make import probe_answered_with

PORT_UNREACHABLE = {"type": 3, "code": 3}


def make(folder: Path) -> list[str]:
    return probe_answered_with(folder, **PORT_UNREACHABLE)
