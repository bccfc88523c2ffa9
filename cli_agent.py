"""The commands of a node, `capture` and `doctor`, without typer: for the agent (`ahead/agent.py`), a file that a node's
own Python runs, and for `ttrace` itself (`cli_start.py`).

Options come from a table that was made of those of typer (`ahead/command_table.py`). What is written here reads a
command line as typer does, and words what is wrong with it so.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from .cli_machine import begin
from .cli_node import diagnose, record
from .cli_process import run_to_exit
from .cli_sizes import file_size, size
from .escaping import escape

Table = Mapping[str, Any]
"""`name` of the program; `version`; `commands`: by name ("" is the program itself), `help` and `options`. An option:
`name`, `on` and `off` (how it is written; `off` for what can be switched off), `kind`, `many`, `default`, and for
numbers `least`, `most` and the `range` in words."""


class WrongUsageError(Exception):
    """What was typed cannot be understood."""

    def __init__(self, command: str, message: str) -> None:
        super().__init__(message)
        self.command = command


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a valid integer.") from None


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a valid float.") from None


_KINDS: Final[dict[str, Callable[[str], Any]]] = {
    "text": str, "integer": _whole, "float": _real, "size": size, "file_size": file_size,
}  # fmt: skip


class Line:
    """A command line that is read, word by word."""

    def __init__(self, name: str, command: Mapping[str, Any], words: Sequence[str]) -> None:
        self.name, self._words = name, list(words)
        self._options = {written: option for option in command["options"] for written in option["on"] + option["off"]}
        self.found: list[tuple[Mapping[str, Any], Any]] = []
        """Options and what was typed for each; True or False for one that takes nothing."""
        self.others: list[str] = []

    def read(self, *, until_other: bool = False) -> list[str]:
        """Read all, or until what is no option; returns what is left."""
        while self._words:
            word = self._words.pop(0)
            if word == "--":
                self.others += self._words
                return []
            if word[:1] != "-" or word == "-":
                if until_other:
                    return [word, *self._words]
                self.others.append(word)
            else:
                self._option(word)
        return []

    def _option(self, word: str) -> None:
        written, equals, value = word.partition("=")
        if written in self._options:
            self._take(written, value if equals else None)
        elif word.startswith("--"):
            raise WrongUsageError(self.name, f"No such option: {written}{_near(written, self._options)}")
        else:
            self._letters(word[1:])

    def _letters(self, letters: str) -> None:
        """Several options of one letter; what is behind one that takes a value is its value."""
        for at, letter in enumerate(letters):
            option = self._options.get(f"-{letter}")
            if option is None:
                raise WrongUsageError(self.name, f"No such option: -{letter}")
            if option["kind"] != "flag":
                self._take(f"-{letter}", letters[at + 1 :] or None)
                return
            self._take(f"-{letter}", None)

    def _take(self, written: str, value: str | None) -> None:
        option = self._options[written]
        if option["kind"] == "flag":
            if value is not None:
                raise WrongUsageError(self.name, f"Option {written!r} does not take a value.")
            self.found.append((option, written in option["on"]))
            return
        if value is None:
            if not self._words:
                raise WrongUsageError(self.name, f"Option {written!r} requires an argument.")
            value = self._words.pop(0)
        self.found.append((option, value))

    def values(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Every option of the command by name, with its default where it was not typed."""
        values = {option["name"]: option["default"] for option in command["options"]}
        for option, typed in self.found:
            value = typed if option["kind"] == "flag" else self._value(option, typed)
            values[option["name"]] = [*(values[option["name"]] or ()), value] if option["many"] else value
        if self.others:
            raise WrongUsageError(self.name, f"Got unexpected extra argument(s) ({' '.join(self.others)})")
        return values

    def _value(self, option: Mapping[str, Any], typed: str) -> Any:  # noqa: ANN401 - as the option has it
        names = " / ".join(repr(written) for written in option["on"])
        try:
            value = _KINDS[option["kind"]](typed)
        except ValueError as error:
            raise WrongUsageError(self.name, f"Invalid value for {names}: {error}") from error
        least, most = option.get("least"), option.get("most")
        if (least is not None and value < least) or (most is not None and value > most):
            message = f"Invalid value for {names}: {value} is not in the range {option['range']}."
            raise WrongUsageError(self.name, message)
        return value


def _near(written: str, known: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    near = sorted(get_close_matches(written, known))
    if not near:
        return ""
    return f" Did you mean {near[0]}?" if len(near) == 1 else f" (Possible options: {', '.join(near)})"


def run(table: Table, words: Sequence[str]) -> int:
    """Do what a command line says; returns the exit code. Raises WrongUsageError, TtraceError."""
    if words and words[0] and words[0] in table["commands"]:
        return _run_command(table["commands"][words[0]], words[0], words[1:])
    own = Line("", table["commands"][""], words)
    rest = own.read(until_other=True)
    if not words or _asks_for(own, "help"):
        sys.stdout.write(table["commands"][""]["help"])
        return 0 if words else 2
    if _asks_for(own, "version"):
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
    if _asks_for(line, "help"):
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


def _asks_for(line: Line, name: str) -> bool:
    return any(option["name"] == name for option, _ in line.found)


def main(table: Table) -> None:
    """Run the command line, as `cli.main`."""

    def misused(error: WrongUsageError) -> None:
        name = f"{table['name']} {error.command}".strip()
        options = "[OPTIONS]" if error.command else "[OPTIONS] COMMAND [ARGS]..."
        sys.stderr.write(f"Usage: {name} {options}\nTry '{name} -h' for help.\n\nError: {escape(str(error))}\n")
        sys.exit(2)

    run_to_exit(lambda: run(table, sys.argv[1:]), WrongUsageError, misused)
