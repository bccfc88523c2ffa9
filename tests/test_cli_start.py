"""What `ttrace` does without typer: a node's commands, and every help, as typer would."""

import json
import os
import subprocess
import sys

import pytest

from ttrace.ahead.command_table import FILE, whole_table
from ttrace.cli import app
from ttrace.lab.demo import RECORDED

pytestmark = pytest.mark.slow

HELPS = json.loads(FILE.read_text())["helps"]


def said(module: str, *words: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `ttrace`, and on a last line of stderr which of these were imported."""
    program = (
        "import atexit, sys\n"
        "def tell():\n"
        "    found = sorted({'typer', 'numpy', 'pydantic', 'rich', 'asyncio'} & set(sys.modules))\n"
        "    sys.__stderr__.write(f'{found}\\n')\n"
        "atexit.register(tell)\n"
        "sys.argv[0] = 'ttrace'\n"
        f"from ttrace.{module} import main; main()"
    )
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "TERMINAL_WIDTH")}
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=clean | environment)
    return done.returncode, done.stdout, done.stderr


def test_the_table_is_that_of_the_commands():
    """After a change of an option: `python -m ttrace.ahead.command_table`."""
    assert FILE.read_text() == whole_table(app)


@pytest.mark.parametrize("command", ["", "capture", "correlate", "lab", "lab up"])
def test_help_is_that_of_typer_and_needs_none(command):
    for asked in ("--help", "-h"):
        code, out, err = said("cli_start", *command.split(), asked)
        assert (code, err) == (0, "[]\n")
        assert out == HELPS[command]
    assert said("cli", *command.split(), "--help")[:2] == (0, HELPS[command])


def test_in_a_narrow_terminal_typer_lays_the_help_out():
    _, out, _ = said("cli_start", "capture", "--help", COLUMNS="50")
    assert out == said("cli", "capture", "--help", COLUMNS="50")[1] != HELPS["capture"]


@pytest.mark.parametrize(
    "words",
    [
        ["capture", "--count", "0"], ["capture", "--snaplen", "x"], ["capture", "--rotate-size", "1"], ["doctor", "x"],
        ["capture", "--force=1"], ["capture", "-w"], ["doctor", "--putback"],
        ["capture", "--filter", "udp", "--min-free", "much"],
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_as_typer_says_it_and_without_it(words):
    code, out, err = said("cli_start", *words)
    assert (code, out) == (2, "")
    assert err.endswith("\n[]\n")
    of_typer = said("cli", *words)
    assert of_typer[:2] == (2, "")
    own, of_typer = ([line for line in text.splitlines() if line.startswith("Error: ")] for text in (err, of_typer[2]))
    assert own[0].split(":")[:2] == of_typer[0].split(":")[:2]  # the rest is worded otherwise by each version of typer


DEMO = [str(file) for file in sorted((RECORDED).glob("*.pcapng"))]


@pytest.mark.parametrize(
    "words",
    [
        [], ["--format", "json", "--paths", "all"], ["--format=jsonl", "--path", "1", "--path=2"],
        ["--connection", "4"],
        ["--explain", f"{DEMO[0]}:20"], ["--filter", "port 8080", "--memory", "512", "--vxlan-port", "4789"],
        ["--only", "fault", "--why-not", "DOCKER-USER 1"], ["--explain", "x:1", "--paths", "all"], ["--why", "-1"],
    ],
)  # fmt: skip
def test_correlate_is_done_as_by_typer_and_needs_none(words):
    code, out, err = said("cli_start", "correlate", *words, *DEMO)
    assert err.endswith("['numpy']\n" if code == 0 else "]\n")
    assert "typer" not in err.splitlines()[-1]
    of_typer = said("cli", "correlate", *words, *DEMO)
    assert (code, out) == of_typer[:2]
    assert err.splitlines()[:-1] == of_typer[2].splitlines()[:-1]


def test_correlate_writes_where_it_is_told_to(tmp_path):
    for module in ("cli_start", "cli"):
        code, out, _ = said(module, "correlate", *DEMO, "-o", str(tmp_path / module))
        assert (code, out) == (0, "")
    assert (tmp_path / "cli_start").read_bytes() == (tmp_path / "cli").read_bytes() != b""


@pytest.mark.parametrize(
    "words",
    [
        [], ["--version"], ["nothing"], ["show"], ["correlate"], ["correlate", "x", "--format", "xml"],
        ["correlate", "x", "--memory", "1"], ["correlate", "x", "--paths", "some"], ["correlate", "x", "--filter"],
        ["correlate", "x", "--path", "one"], ["correlate", "--none", "x"], ["correlate", "x", "--vxlan-port", "65536"],
    ],
)  # fmt: skip
def test_all_else_is_done_by_typer(words):
    assert said("cli_start", *words) == said("cli", *words)


@pytest.mark.parametrize("words", [["capture", "a\nb"], ["capture", "--x\x1b[2J"], ["doctor", "\u202e"]])
def test_what_was_typed_gives_no_orders_to_a_terminal(words):
    _, _, err = said("cli_start", *words)
    assert len(err.splitlines()) == 5  # usage, where help is, nothing, the error, and what was imported
    assert "\x1b" not in err
    assert "\u202e" not in err


def test_without_the_table_typer_does_it_all():
    program = (
        "import sys; sys.argv[0] = 'ttrace'; from pathlib import Path; from ttrace import cli_start\n"
        "cli_start._TABLE = Path('/nonexistent'); cli_start.main()"
    )
    command = [sys.executable, "-c", program, "capture", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "80"})
    assert done.stdout == HELPS["capture"]
