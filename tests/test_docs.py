"""The documentation names what the program has: every command, option, JSON field and file-format word."""

import json
import re
import subprocess
import sys
from dataclasses import fields as fields_of
from pathlib import Path

import pytest
import typer.main

from ttrace.cli import app
from ttrace.correlate import correlate_captures
from ttrace.correlate.findings.kinds import Kind
from ttrace.correlate.in_common.shared_packets import NothingInCommon, Scope
from ttrace.correlate.in_common.why_nothing import Obstacle
from ttrace.correlate.nodes.snapshots import SHAPES
from ttrace.correlate.outcomes.kinds import REASON_KIND
from ttrace.correlate.result.select import select
from ttrace.report import Form, render

ROOT = Path(__file__).parent.parent


def commands():
    """(words of the command, its options) of every command."""
    found = []

    def walk(command, words):
        children = getattr(command, "commands", None)
        if children:
            for name, child in children.items():
                walk(child, [*words, name])
        else:
            options = [
                option for p in command.params for option in (*p.opts, *p.secondary_opts) if option.startswith("--")
            ]
            found.append((" ".join(words), options))

    walk(typer.main.get_command(app), ["ttrace"])
    return found


@pytest.mark.parametrize(("command", "options"), commands())
def test_every_command_and_option_is_documented(command, options):
    text = (ROOT / "docs" / "cli.md").read_text()
    assert f"`{command}" in text
    for option in options:
        assert re.search(rf"`{option}\b", text), f"{option} of {command}"


def test_every_form_of_the_result_is_documented():
    forms = re.search(r"^\| `--format ([^`]+)`", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE)
    assert forms
    assert forms[1].split(r"\|") == list(Form)


def test_every_json_field_is_documented():
    text = (ROOT / "docs" / "json.md").read_text()
    files = [str(ROOT / "pcaps" / "docker-dropped" / f"{node}.pcapng") for node in ("master", "slave")]
    result = correlate_captures(files)
    document = json.loads("".join(render(result, select(result), "json")))

    def fields(value):
        if isinstance(value, dict):
            for name, part in value.items():
                yield name
                yield from fields(part)
        elif isinstance(value, list):
            for part in value:
                yield from fields(part)

    missing = {name for name in fields(document) if f"`{name}`" not in text}
    assert not missing
    named = set(re.findall(r"`[a-z_-]+`", text))
    assert {f"`{kind}`" for kind in (*REASON_KIND.values(), *Obstacle, *Scope)} <= named
    assert {f"`{field.name}`" for field in fields_of(NothingInCommon)} <= named


def test_every_snapshot_kind_is_documented():
    text = (ROOT / "docs" / "file-format.md").read_text()
    assert not [kind for kind in SHAPES if f"| `{kind}` |" not in text]


def test_readme_shows_what_the_recorded_demo_shows():
    result = correlate_captures(
        [str(ROOT / "pcaps" / "docker-demo" / f"{node}.pcapng") for node in ("master", "slave")]
    )
    from ttrace.report.text.path import path_text

    readme = (ROOT / "README.md").read_text()
    shown = re.search(r"^    #(\d+) tcp SYN ", readme, re.MULTILINE)
    assert shown
    for line in path_text(result.path(int(shown[1]))).rstrip().splitlines():
        assert f"    {line}\n" in readme


@pytest.mark.slow
def test_every_injected_fault_is_in_the_list_of_faults(tmp_path):
    """docs/faults.md is made of the marks of the tests; tests/faults.py says how."""
    made = tmp_path / "faults.md"
    collect = ["-q", "--collect-only", "-m", "fault", "-p", "no:xdist", "-p", "no:cacheprovider"]
    subprocess.run(
        [sys.executable, "-m", "pytest", *collect, "--write-faults", made, "tests"],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert (ROOT / "docs" / "faults.md").read_text() == made.read_text()


def test_every_kind_of_finding_that_a_family_makes_is_documented():
    text = (ROOT / "docs" / "findings.md").read_text()
    sources = "".join(
        path.read_text() for path in (ROOT / "correlate" / "findings").glob("*.py") if path.stem != "kinds"
    )
    made = {Kind[name] for name in re.findall(r"Kind\.([A-Z_]+)", sources)}
    assert Kind.RULE_DROP in made
    assert not {kind for kind in made if f"`{kind}`" not in text}
