"""`python -m bench.truth --views`: each capture by itself, and what came of all of them."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ttrace.bench.truth.clock import write_pcap
from ttrace.bench.truth.views import running
from ttrace.bench.truth.views.example import conversation, records
from ttrace.bench.truth.views.judge import judge
from ttrace.bench.truth.views.kinds import KINDS
from ttrace.bench.truth.views.running import Plan, captures_in, measure_all

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def write(path, port=40000):
    found = records(conversation(port, port * 11))
    write_pcap(path, 1, found, [record.time_ns for record in found])
    return path


def outcomes(paths, plan, jobs=2):
    return {outcome.path.name: outcome for outcome in measure_all(paths, plan, jobs)}


def test_what_crashes_or_hangs_is_named_and_the_others_are_measured(tmp_path, monkeypatch):
    paths = [write(tmp_path / f"{name}.pcap") for name in ("abort", "fine", "hang", "raise")]
    (tmp_path / "text.pcap").write_text("no capture")

    def judge_or_worse(view):
        name = view.crossing.seed.partition(".")[0]
        if name == "abort":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "hang":
            time.sleep(60)
        if name == "raise":
            raise KeyError("what is missing")
        return judge(view)

    monkeypatch.setattr(running, "judge", judge_or_worse)
    found = outcomes([*paths, tmp_path / "text.pcap"], Plan(("routed",), timeout_s=10))
    assert found["abort.pcap"].failure == "crashed: SIGKILL"
    assert found["hang.pcap"].failure == "took longer than 10 s"
    assert found["raise.pcap"].failure.startswith("crashed: KeyError: 'what is missing' (test_views_run.py:")
    assert found["text.pcap"].failure.startswith("unreadable: ")
    ((name, seed, score),) = found["fine.pcap"].scores
    assert (name, seed) == ("routed", "fine.pcap:routed:0")
    assert score.found == score.true_pairs == 12


def test_which_views_are_made_of_a_capture_follows_from_its_name_and_the_seed():
    plan = Plan(per_file=3)
    assert plan.views_of("a.pcap") == plan.views_of("a.pcap")
    drawn = {tuple(kind.name for kind, _ in plan.views_of(f"{n}.pcap")) for n in range(50)}
    assert len(drawn) > 30
    assert {kind for kinds in drawn for kind in kinds} == {kind.name for kind in KINDS}
    assert replace(plan, seed=1).views_of("a.pcap") != plan.views_of("a.pcap")
    assert len(Plan(per_file=0).views_of("a.pcap")) == len(KINDS)


def test_captures_are_found_in_folders_below(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    inside, beside = write(tmp_path / "deep" / "er" / "b.pcap"), write(tmp_path / "a.cap")
    (tmp_path / "notes.txt").write_text("")
    assert captures_in(tmp_path) == [beside, inside]
    assert captures_in(beside) == [beside]


def test_the_command_prints_a_table_and_keeps_what_it_made(tmp_path):
    folder = tmp_path / "captures"
    folder.mkdir()
    for n in range(4):
        write(folder / f"{n}.pcap", 40000 + n)
    (folder / "broken.pcap").write_text("")
    command = [sys.executable, "-m", "bench.truth", "--views", str(folder), "--kinds", "snat,lossy", "--per-file", "0"]
    command += ["--log", str(tmp_path / "log"), "--keep", str(tmp_path / "kept"), "--each"]
    command += ["--write", str(tmp_path / "page.md"), "--sources", "four of ours"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    lines = done.stdout.splitlines()
    assert sum(line.startswith("snat ") for line in lines) == 4 + 1
    assert any(line.startswith("all") and " 8 " in line for line in lines)
    assert "5 captures, 8 views" in done.stdout
    assert "1 captures could not be measured:" in done.stdout
    assert "broken.pcap: unreadable: " in done.stdout
    assert "false claims: 0 of" in done.stdout
    logged = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert sum(len(one["views"]) for one in logged) == 8
    page = (tmp_path / "page.md").read_text()
    assert "four of ours" in page
    assert "| lossy | 4 |" in page
    assert "broken" not in page
    assert (tmp_path / "kept" / "0.pcap:snat:0" / "point1.pcap").exists()


def test_a_view_that_does_not_exist_is_refused(tmp_path):
    command = [sys.executable, "-m", "bench.truth", "--views", str(tmp_path), "--kinds", "nonsense"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no view is called nonsense" in done.stderr
