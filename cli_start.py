"""The beginning of `ttrace`: a node's commands, `correlate` and every help are done without typer, by a table that is
made of it.

typer takes 0.15 s to be imported and to read a command line, which is more than all else of a capture's start. The
table (`cli_table.json`) is what `python -m ttrace.ahead.command_table` makes of `cli.py`; a test holds them together.
"""

from . import cli_interrupt  # isort: skip - before all else: see there

import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from typing import Never

_TABLE: Final = Path(__file__).with_name("cli_table.json")
_COLUMNS: Final = 80
"""Of the help in the table: typer's own maximum. In a narrower terminal typer lays it out anew."""
_HELP: Final = ("-h", "--help")


def main() -> None:
    """Run the command line."""
    words, table = sys.argv[1:], _table()
    if not _needs_typer(words):
        if words and words[0] in table["commands"]:
            from .cli_agent import main as of_node

            cli_interrupt.allow()
            of_node(table)
        elif words[:1] == ["correlate"] and (given := _read(table["correlate"], words)):
            _correlate(given)
        elif words and words[-1] in _HELP and (text := table["helps"].get(" ".join(words[:-1]))):
            _tell(text, of_command=len(words) > 1)
    from .cli import main as of_typer

    of_typer()


def _table() -> dict[str, Any]:
    """None of it where it cannot be read: then typer does it all."""
    with suppress(OSError, ValueError):
        table: dict[str, Any] = json.loads(_TABLE.read_bytes())
        return table
    return {"commands": {}, "correlate": {"options": []}, "helps": {}}


def _read(command: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """What a command line gives its command, by name. None of it for help, and where anything is wrong with it: that is
    for typer to tell."""
    from .cli_words import Line, WrongUsageError

    line = Line(words[0], command, words[1:])
    try:
        line.read()
        return {} if line.asks_for("help") else line.values(command)
    except WrongUsageError:
        return {}


def _correlate(given: dict[str, Any]) -> "Never":
    from .cli_correlate import render
    from .cli_machine import begin
    from .cli_process import run_to_exit

    def correlated() -> int:
        begin()
        render(given)
        return 0

    cli_interrupt.allow()
    run_to_exit(correlated, (), lambda _error: None)


def _needs_typer(words: list[str]) -> bool:
    """Whether help may be asked for that has to be laid out for a narrow terminal, or as typer's own variable says."""
    if not set(words) & set(_HELP):
        return False
    return "TERMINAL_WIDTH" in os.environ or shutil.get_terminal_size((_COLUMNS, 24)).columns < _COLUMNS


def _tell(text: str, *, of_command: bool) -> None:
    from .cli_machine import begin
    from .cli_process import run_to_exit

    def told() -> int:
        if of_command:
            begin()
        sys.stdout.write(text)
        return 0

    cli_interrupt.allow()
    run_to_exit(told, (), lambda _error: None)
