"""The commands of a node, `capture` and `doctor`, without typer: for the agent (`ahead/agent.py`), a file that a node's
own Python runs, and for `ttrace` itself (`cli_start.py`).

Options come from a table that was made of those of typer (`ahead/command_table.py`). What is wrong with a command line
is worded as typer has it.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .cli_machine import begin
from .cli_node import diagnose, record
from .cli_process import run_to_exit
from .cli_words import Line, WrongUsageError
from .escaping import escape

Table = Mapping[str, Any]
"""`name` of the program; `version`; `commands`: by name ("" is the program itself), `help` and `options`. An option:
`name`, `on` and `off` (how it is written; `off` for what can be switched off), `kind`, `many`, `default`, for numbers
`least`, `most` and the `range` in words, and `times` what is typed is meant; `choices` where only these will do."""


def run(table: Table, words: Sequence[str]) -> int:
    """Do what a command line says; returns the exit code. Raises WrongUsageError, TtraceError."""
    if words and words[0] and words[0] in table["commands"]:
        return _run_command(table["commands"][words[0]], words[0], words[1:])
    own = Line("", table["commands"][""], words)
    rest = own.read(until_other=True)
    if not words or own.asks_for("help"):
        sys.stdout.write(table["commands"][""]["help"])
        return 0 if words else 2
    if own.asks_for("version"):
        sys.stdout.write(f"ttrace {table['version']}\n")
        return 0
    if not rest:
        raise WrongUsageError("", "Missing command.")
    if not rest[0] or rest[0] not in table["commands"]:
        raise WrongUsageError("", f"No such command {rest[0]!r}.")
    return _run_command(table["commands"][rest[0]], rest[0], rest[1:])


def _run_command(command: Mapping[str, Any], name: str, words: Sequence[str]) -> int:
    line = Line(name, command, words)
    line.read()
    begin()
    if line.asks_for("help"):
        sys.stdout.write(command["help"])
        return 0
    values = line.values(command)
    del values["help"]
    if name == "capture":
        record(values)
        return 0
    text, is_well = diagnose(**values)
    sys.stdout.write(text)
    return 0 if is_well else 1


def main(table: Table) -> None:
    """Run the command line, as `cli.main`."""

    def misused(error: WrongUsageError) -> None:
        name = f"{table['name']} {error.command}".strip()
        options = "[OPTIONS]" if error.command else "[OPTIONS] COMMAND [ARGS]..."
        sys.stderr.write(f"Usage: {name} {options}\nTry '{name} -h' for help.\n\nError: {escape(str(error))}\n")
        sys.exit(2)

    run_to_exit(lambda: run(table, sys.argv[1:]), WrongUsageError, misused)
