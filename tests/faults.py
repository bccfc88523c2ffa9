"""What was tried on ttrace, and what it does then: tests say both in a mark, and docs/faults.md is made of the marks.

    @pytest.mark.fault("output file", "it is a symbolic link to another file", "refused; the other file is untouched")

A test of several faults has the mark on each `pytest.param(…, marks=…)`.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest

HEAD = """# Faults that were tried

Each line is a test that injects the fault and asserts what stands beside it (`pytest -m fault`). None may end in a
traceback, hang, leave anything behind or lose something that is not counted. This file is made of the tests:
`pytest --collect-only -q -m "fault" --write-faults docs/faults.md`.
"""


def table(items: Iterable[pytest.Item]) -> str:
    """The document: a table for each group, in the order of their names."""
    rows: dict[str, dict[str, str]] = {}
    for item in items:
        for mark in item.iter_markers("fault"):
            group, tried, result = mark.args
            rows.setdefault(group, {})[tried] = result
    text = HEAD + f"\n{sum(map(len, rows.values()))} faults.\n"
    for group in sorted(rows):
        text += f"\n## {group[0].upper()}{group[1:]}\n\n| tried | what ttrace does |\n| --- | --- |\n"
        text += "".join(f"| {tried} | {result} |\n" for tried, result in sorted(rows[group].items()))
    return text


def write(items: Iterable[pytest.Item], path: Path) -> None:
    """Write the document."""
    path.write_text(table(items))
