"""A short run of every fuzz target, and every input that once was a finding."""

import os
import random
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from ttrace.errors import TtraceError

from .mutator import json_mutant
from .targets import NAMES, target

FINDINGS = sorted((Path(__file__).parent / "findings").glob("*/*.bin"))
SECONDS = int(os.environ.get("TTRACE_FUZZ_SECONDS", "20"))
"""CI sets 60."""


@pytest.mark.slow
@pytest.mark.fault(
    "fuzzing", "20 s of mutants of all recordings, for each parser (docs/fuzzing.md)", "rows, or one line"
)
def test_mutants_are_rows_or_an_error(tmp_path, report_numbers):
    command = [sys.executable, "-m", "ttrace.tests.fuzz", "--seconds", str(SECONDS), "--found", str(tmp_path / "found")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS + 400)
    assert done.returncode == 0, done.stdout + done.stderr
    tried = {
        name: int(number.replace(",", ""))
        for name, number in re.findall(r"^(\w+) +([\d,]+) ", done.stdout, re.MULTILINE)
    }
    assert set(NAMES) <= set(tried)
    assert all(tried[name] > 0 for name in NAMES), done.stdout
    report_numbers(f"fuzzing: {done.stdout.splitlines()[-1]}")


@pytest.mark.fault("fuzzing", "every input that once was a finding", "rows, or one line")
@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_was_found_stays_mended(path):
    with suppress(TtraceError):
        target(path.parent.name).run(path.read_bytes())


def test_mutants_are_the_same_again():
    for name in ("ruleset_json", "conntrack", "pcapng_file"):
        one = target(name)
        seeds = one.seeds()
        made = [one.mutate(random.Random(f"7 {i}"), seeds[0], seeds) for i in range(20)]
        assert made == [one.mutate(random.Random(f"7 {i}"), seeds[0], seeds) for i in range(20)]
        assert sum(mutant != seeds[0] for mutant in made) > 15
    assert json_mutant(random.Random(1), {"a": [1, 2]}) != {"a": [1, 2]}


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("raise ValueError(3)", "ValueError"),
        ("import os; os.abort()", "crash"),
        ("import time; time.sleep(60)", "hang"),
    ],
)
def test_the_runner_finds_what_fails(body, what, tmp_path):
    """A target that fails, dies or hangs is a finding; so the run above can fail."""
    code = f"""
import sys, types
from ttrace.tests.fuzz import runner
def run(data):
    if data != b"seed": {body}
made = types.SimpleNamespace(seeds=lambda: [b"seed"], mutate=lambda rng, seed, others: b"mutant", run=run)
runner.target = lambda name: made
runner.HANG_S = 0.5
print(runner.run(["x"], 1.0, 1, runner.Path(sys.argv[1])))
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True, timeout=60)
    (found,) = (tmp_path / "x").glob("*.txt")
    assert what in found.read_text()
    assert found.with_suffix(".bin").read_bytes() == b"mutant"
