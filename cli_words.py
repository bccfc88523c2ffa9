"""A command line read by a table of options (`ahead/command_table.py` makes it), as typer reads it: which is not
imported."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .cli_sizes import file_size, size


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
    "text": str, "path": Path, "integer": _whole, "float": _real, "size": size, "file_size": file_size,
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

    def asks_for(self, name: str) -> bool:
        """Whether the option of this name was typed."""
        return any(option["name"] == name for option, _ in self.found)

    def values(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Every option of the command by name, with its default where it was not typed, and its argument: a list."""
        values = {option["name"]: option["default"] for option in command["options"]}
        for option, typed in self.found:
            value = typed if option["kind"] == "flag" else self._value(option, typed)
            values[option["name"]] = [*(values[option["name"]] or ()), value] if option["many"] else value
        if command.get("argument"):
            if not self.others:
                raise WrongUsageError(self.name, "Missing argument.")
            values[command["argument"]] = self.others
        elif self.others:
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
        if value not in option.get("choices", [value]):
            raise WrongUsageError(self.name, f"Invalid value for {names}: {value!r} is not one of the choices.")
        return value * option["times"] if "times" in option else value


def _near(written: str, known: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    near = sorted(get_close_matches(written, known))
    if not near:
        return ""
    return f" Did you mean {near[0]}?" if len(near) == 1 else f" (Possible options: {', '.join(near)})"
