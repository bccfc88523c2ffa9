"""The type checker finds rows of structured arrays that are copied field by field (tools/rows_by_take.py)."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLUGIN = "tools/rows_by_take.py"
USES = """
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ROW = np.dtype([("a", "i8"), ("b", "u2")])


@dataclass
class Table:
    rows: npt.NDArray[np.void]

    @property
    def more(self) -> npt.NDArray[np.void]:
        return self.rows


def slow(
    rows: npt.NDArray[np.void], numbers: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_], table: Table
) -> list[object]:
    made = np.zeros(3, ROW)
    room = np.empty(6, ROW)
    room[numbers] = rows  # slow
    room[:3] = made  # slow
    table.rows[mask] = made  # slow
    room[3:][mask] = rows.take(numbers)  # slow
    return [
        rows[numbers],  # slow
        rows[mask],  # slow
        rows[[0, 1]],  # slow
        rows[numbers > 1],  # slow
        rows[np.flatnonzero(mask)],  # slow
        rows[np.lexsort((rows["a"], rows["b"]))],  # slow
        rows[rows["b"] > 1],  # slow
        rows[rows["a"].astype(np.int64) - 1],  # slow
        rows[1:][mask[1:]],  # slow
        rows[["a", "b"]][numbers],  # slow
        table.rows[mask],  # slow
        table.more[numbers],  # slow
        made[numbers],  # slow
        rows.copy(),  # slow
        table.more[2:].copy(),  # slow
        rows.astype(ROW),  # slow
        np.concatenate([rows, made]),  # slow
        np.concatenate((made, *(one.rows for one in [table]))),  # slow
        np.append(rows, made),  # slow
        np.where(mask, rows, made),  # slow
        np.array(rows),  # slow
    ]


def quick(
    rows: npt.NDArray[np.void], numbers: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_], names: list[str]
) -> list[object]:
    room = np.empty(6, ROW)
    room["a"] = rows["a"]
    room["a"][mask] = 3
    room.put(numbers, rows)
    for row in rows:
        names += [str(row["a"])]
    return [
        rows.take(numbers),
        rows.take(np.flatnonzero(mask)),
        rows[1:],
        rows[::2],
        rows[0],
        rows[-1],
        rows[int(numbers[0])],
        rows["a"][mask],
        rows["a"].copy(),
        rows[["a", "b"]],
        rows[names],
        np.concatenate([rows["a"], numbers]),
        numbers[mask],
        numbers.copy(),
    ]


def kernel(rows, numbers):  # type: ignore[no-untyped-def]
    room = np.empty(6, ROW)
    room[:3] = rows[numbers]
    return room[:3].copy()
"""


def test_the_type_checker_is_asked_to():
    """`make check` runs it over all sources."""
    assert PLUGIN in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["plugins"]
    assert "mypy -p ttrace" in (ROOT / "Makefile").read_text()


@pytest.mark.slow
def test_each_way_to_copy_rows_by_field_is_found_and_no_other(tmp_path):
    path = tmp_path / "uses.py"
    path.write_text(USES)
    # From the root, where the checker has kept what it knows of NumPy.
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--show-error-codes", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.findall(r"uses\.py:(\d+): error: .*\[([\w-]+)\]", done.stdout)
    assert {code for _, code in found} == {"rows-by-field"}, done.stdout + done.stderr
    slow = [number for number, line in enumerate(USES.splitlines(), 1) if line.endswith("# slow")]
    assert sorted({int(line) for line, _ in found}) == slow, done.stdout


def test_ways_around_it_are_few():
    """Where rows are copied as wholes, and nowhere else, the checker is told to look away."""
    sources = [path for folder in ("correlate", "pcapng", "report") for path in (ROOT / folder).rglob("*.py")]
    looking_away = [path for path in sources if "rows-by-field" in path.read_text()]
    assert looking_away == [ROOT / "pcapng" / "rows.py"]
