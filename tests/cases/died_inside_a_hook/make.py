"""A SYN that FORWARD accepts and that never comes to the end of its hook."""

from pathlib import Path

from ttrace.tests.cases.lost_behind_a_hook.make import accepted_by_forward


def make(folder: Path) -> list[str]:
    return accepted_by_forward(folder, "prerouting_last")
