"""One packet in, two thirds of its bytes out."""

from pathlib import Path

from ttrace.tests.cases.super_packet_cut_into_segments.make import make as cut_into


def make(folder: Path) -> list[str]:
    return cut_into(folder, segments=2)
